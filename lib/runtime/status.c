/* SPDX-License-Identifier: Apache-2.0 */
/* Names and messages of the statuses, and the version of the library. */
#include <clattn/status.h>
#include <clattn/version.h>

const char *clattn_status_name(clattn_status status)
{
    switch (status) {
#define STATUS_NAME(name, value, message)                                                                              \
    case CLATTN_##name:                                                                                                \
        return "CLATTN_" #name;
        CLATTN_STATUS_LIST(STATUS_NAME)
#undef STATUS_NAME
    case CLATTN_STATUS_FORCE_INT:
        break;
    }
    return "CLATTN_UNKNOWN_STATUS";
}

const char *clattn_status_message(clattn_status status)
{
    switch (status) {
#define STATUS_MESSAGE(name, value, message)                                                                           \
    case CLATTN_##name:                                                                                                \
        return message;
        CLATTN_STATUS_LIST(STATUS_MESSAGE)
#undef STATUS_MESSAGE
    case CLATTN_STATUS_FORCE_INT:
        break;
    }
    return "a status that this version of clattn does not know";
}

const char *clattn_version(void)
{
    return CLATTN_VERSION_STRING;
}
