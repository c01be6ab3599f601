/* SPDX-License-Identifier: Apache-2.0 */
/* A context in a child. */
#include "tune/device.h"

#include "common/message.h"

#include <math.h>
#include <stdio.h>

#define OPEN_LIMIT_S 60.0

typedef struct request {
    const char *device;
    clattn_family family;
} request;

static void keep_error(void *user, clattn_log_level level, const char *message)
{
    tune_device *found = user;
    if (level == CLATTN_LOG_ERROR)
        snprintf(found->error, sizeof found->error, "%s", message);
}

static tune_outcome open_context(void *user, const tune_child *child, void *answer)
{
    const request *asked = user;
    tune_device *found = answer;
    tune_child_enter(child, "opening the device", OPEN_LIMIT_S);
    const clattn_context_params params = {.device = asked->device,
                                          .family = asked->family,
                                          .cache_dir = "",
                                          .tuning_file = "",
                                          .log = keep_error,
                                          .log_user = found};
    clattn_context *ctx = NULL;
    found->status = clattn_context_create(&params, &ctx);
    if (found->status == CLATTN_OK) {
        found->error[0] = '\0';
        found->facts = *clattn_context_device(ctx);
        found->family = clattn_context_family(ctx);
    }
    return TUNE_OK;
}

bool tune_device_find(const char *device, clattn_family family, tune_device *found)
{
    request asked = {device, family};
    const tune_child_params params = {.function = open_context,
                                      .user = &asked,
                                      .answer = found,
                                      .answer_bytes = sizeof *found,
                                      .start_limit_s = OPEN_LIMIT_S,
                                      .deadline = (double)INFINITY};
    const tune_child_result result = tune_child_run(&params);
    return result.outcome == TUNE_OK || tool_error("%s", result.reason);
}
