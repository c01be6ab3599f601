/* SPDX-License-Identifier: Apache-2.0 */
/* Statuses, what OpenCL's codes become, the error sentence and the log line. */
#include "runtime/cl_error.h"
#include "runtime/log.h"

#include <clattn/status.h>
#include <clattn/version.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct listed_status {
    clattn_status status;
    const char *name;
    int value;
} listed_status;

#define LISTED(name, value, message) {CLATTN_##name, "CLATTN_" #name, value},
static const listed_status listed[] = {CLATTN_STATUS_LIST(LISTED)};
#define NUM_LISTED ((int)(sizeof listed / sizeof listed[0]))

static void status_listed_has_its_name_and_value(void **state)
{
    (void)state;
    assert_int_equal(CLATTN_OK, 0);
    for (int i = 0; i < NUM_LISTED; i++) {
        assert_int_equal(listed[i].status, listed[i].value);
        assert_int_equal(listed[i].value, -i);
        assert_string_equal(clattn_status_name(listed[i].status), listed[i].name);
    }
}

static void status_messages_are_distinct(void **state)
{
    (void)state;
    for (int i = 0; i < NUM_LISTED; i++) {
        assert_true(strlen(clattn_status_message(listed[i].status)) > 0);
        for (int other = 0; other < i; other++)
            assert_string_not_equal(clattn_status_message(listed[i].status),
                                    clattn_status_message(listed[other].status));
    }
}

static void status_unknown_has_a_name_and_a_message(void **state)
{
    (void)state;
    const clattn_status unknown[] = {(clattn_status)-NUM_LISTED, (clattn_status)1, CLATTN_STATUS_FORCE_INT};
    for (int i = 0; i < 3; i++) {
        assert_string_equal(clattn_status_name(unknown[i]), "CLATTN_UNKNOWN_STATUS");
        assert_string_not_equal(clattn_status_message(unknown[i]), clattn_status_message(CLATTN_OK));
    }
}

static void version_equals_the_header(void **state)
{
    (void)state;
    char expected[32];
    snprintf(expected, sizeof expected, "%d.%d.%d", CLATTN_VERSION_MAJOR, CLATTN_VERSION_MINOR, CLATTN_VERSION_PATCH);
    assert_string_equal(clattn_version(), expected);
    assert_string_equal(clattn_version(), CLATTN_VERSION_STRING);
}

static void cl_success_writes_nothing(void **state)
{
    (void)state;
    clattn_error error = {"before"};
    assert_int_equal(clattn_cl_check(&error, CL_SUCCESS, "clFinish"), CLATTN_OK);
    assert_string_equal(error.text, "before");
}

static void cl_failure_names_call_and_code(void **state)
{
    (void)state;
    clattn_error error = {""};
    assert_int_equal(clattn_cl_check(&error, CL_INVALID_KERNEL_ARGS, "clEnqueueNDRangeKernel"), CLATTN_OPENCL_ERROR);
    assert_non_null(strstr(error.text, "clEnqueueNDRangeKernel"));
    assert_non_null(strstr(error.text, "CL_INVALID_KERNEL_ARGS"));
    assert_non_null(strstr(error.text, "-52"));
    assert_string_equal(clattn_cl_error_name(-12345), "an unknown error");
    assert_string_equal(clattn_cl_error_name(-1001), "CL_PLATFORM_NOT_FOUND_KHR");
}

static void cl_failure_of_memory_tells_host_from_device(void **state)
{
    (void)state;
    const struct {
        cl_int result;
        const char *call;
        clattn_status expected;
    } cases[] = {
        {CL_OUT_OF_HOST_MEMORY, "clCreateBuffer", CLATTN_OUT_OF_MEMORY},
        {CL_MEM_OBJECT_ALLOCATION_FAILURE, "clCreateBuffer", CLATTN_OUT_OF_DEVICE_MEMORY},
        {CL_MEM_OBJECT_ALLOCATION_FAILURE, "clEnqueueNDRangeKernel", CLATTN_OUT_OF_DEVICE_MEMORY},
        {CL_INVALID_BUFFER_SIZE, "clCreateBuffer", CLATTN_OUT_OF_DEVICE_MEMORY},
        {CL_OUT_OF_RESOURCES, "clCreateBuffer", CLATTN_OUT_OF_DEVICE_MEMORY},
        {CL_OUT_OF_RESOURCES, "clEnqueueNDRangeKernel", CLATTN_OPENCL_ERROR},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        clattn_error error;
        assert_int_equal(clattn_cl_check(&error, cases[i].result, cases[i].call), cases[i].expected);
    }
}

static void error_sentence_is_cut_to_fit(void **state)
{
    (void)state;
    static char text[2 * CLATTN_ERROR_BYTES];
    memset(text, 'x', sizeof text - 1);
    struct {
        clattn_error error;
        char canary;
    } guarded = {.canary = 'c'};
    assert_int_equal(clattn_error_set(&guarded.error, CLATTN_INVALID_PAGE, "%s", text), CLATTN_INVALID_PAGE);
    assert_int_equal(strlen(guarded.error.text), CLATTN_ERROR_BYTES - 1);
    assert_int_equal(guarded.canary, 'c');
}

static void count_line(void *user, clattn_log_level level, const char *message)
{
    size_t *num_bytes = user;
    assert_int_equal(level, CLATTN_LOG_WARNING);
    *num_bytes = strlen(message);
}

static void log_line_reaches_the_callback_cut_to_fit(void **state)
{
    (void)state;
    static char text[2 * CLATTN_ERROR_BYTES];
    memset(text, 'x', sizeof text - 1);
    size_t num_bytes = 0;
    const clattn_log log = {.callback = count_line, .user = &num_bytes};
    clattn_log_write(&log, CLATTN_LOG_WARNING, "%d pages", 12);
    assert_int_equal(num_bytes, strlen("12 pages"));
    clattn_log_write(&log, CLATTN_LOG_WARNING, "%s", text);
    assert_int_equal(num_bytes, CLATTN_ERROR_BYTES - 1);
}

static void log_without_callback_is_silent(void **state)
{
    (void)state;
    const clattn_log silent = {0};
    clattn_log_write(&silent, CLATTN_LOG_ERROR, "%s", "nobody listens");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_listed_has_its_name_and_value),
        cmocka_unit_test(status_messages_are_distinct),
        cmocka_unit_test(status_unknown_has_a_name_and_a_message),
        cmocka_unit_test(version_equals_the_header),
        cmocka_unit_test(cl_success_writes_nothing),
        cmocka_unit_test(cl_failure_names_call_and_code),
        cmocka_unit_test(cl_failure_of_memory_tells_host_from_device),
        cmocka_unit_test(error_sentence_is_cut_to_fit),
        cmocka_unit_test(log_line_reaches_the_callback_cut_to_fit),
        cmocka_unit_test(log_without_callback_is_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
