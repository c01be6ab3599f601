/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much a test may compute. With CLATTN_TEST_SIZE=small kernels are interpreted, a hundred thousand times slower
 * than they run: problems are cut down there, and a test has so much to spend. One that only verifies problems ends
 * with the last that it can afford; any other ends as skipped, behind those that it has run. Sizes alone decide, never
 * a clock, so that every run tests the same.
 */
#ifndef SUPPORT_SIZE_H
#define SUPPORT_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Multiply-adds, those that tiles pad included; an interpreter that checks everything does some 30,000 in a second. */
#define SUPPORT_SMALL_WORK 50000 /* what a problem is cut down to, if it can be */
#define SUPPORT_TEST_WORK 120000 /* of all problems of a test, but for its first */
#define SUPPORT_MOST_WORK 400000 /* of a problem */

bool support_size_is_small(void);

/* Whether the running test has had a problem, and may go on with another. */
bool support_size_has_begun(void);
bool support_size_affords(int64_t num_multiply_adds);

/* The same, before a problem is made; if it may not, the test ends as skipped. */
void support_size_spend(int64_t num_multiply_adds);

/* A test begins: it has spent nothing. */
void support_size_begin(void);

struct CMUnitTest;

/* cmocka_run_group_tests_name() with the fixture of device.h, and the above for each test. */
int support_run_tests(const char *name, const struct CMUnitTest *tests, size_t num_tests);

#endif
