/* SPDX-License-Identifier: Apache-2.0 */
#include "size.h"

#include "device.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int64_t spent; /* by the running test */

bool support_size_is_small(void)
{
    const char *size = getenv("CLATTN_TEST_SIZE");

    return size && strcmp(size, "small") == 0;
}

bool support_size_has_begun(void)
{
    return spent > 0;
}

bool support_size_affords(int64_t num_multiply_adds)
{
    if (!support_size_is_small())
        return true;
    return num_multiply_adds <= SUPPORT_MOST_WORK && (spent == 0 || spent + num_multiply_adds <= SUPPORT_TEST_WORK);
}

void support_size_spend(int64_t num_multiply_adds)
{
    if (!support_size_affords(num_multiply_adds)) {
        fprintf(stderr, "# skipped: %" PRId64 " multiply-adds behind %" PRId64 " take an interpreter too long\n",
                num_multiply_adds, spent);
        skip();
    }
    spent += num_multiply_adds;
}

void support_size_begin(void)
{
    spent = 0;
}

static int begin_test(void **state)
{
    (void)state;
    support_size_begin();
    return 0;
}

int support_run_tests(const char *name, const struct CMUnitTest *tests, size_t num_tests)
{
    struct CMUnitTest *counted = malloc(num_tests * sizeof(*counted));
    int num_failed = -1;

    if (counted) {
        memcpy(counted, tests, num_tests * sizeof(*counted));
        for (size_t i = 0; i < num_tests; i++)
            if (!counted[i].setup_func)
                counted[i].setup_func = begin_test;
        num_failed = _cmocka_run_group_tests(name, counted, num_tests, support_device_setup, support_device_teardown);
    }
    free(counted);
    return num_failed;
}
