/* SPDX-License-Identifier: Apache-2.0 */
/* The trace reader of cl-bench and the steps that a trace becomes. */
#include "bench/batcher.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NUM_REQUESTS 7

static const char *trace_path; /* trace.csv */

static bench_trace read_trace(int32_t limit)
{
    bench_trace trace;
    assert_true(bench_trace_read(&trace, trace_path, limit));
    return trace;
}

static void lines_become_requests(void **state)
{
    (void)state;
    /* Seconds behind the first; the sixth comes after a leap day. */
    static const double arrivals[] = {0.0, 0.4, 0.5, 0.5, 0.75, 86400.5, 86400.6};
    static const int32_t prompts[] = {37, 5, 64, 1, 20, 11, 90};
    static const int32_t generated[] = {1, 4, 9, 2, 7, 3, 12};
    bench_trace trace = read_trace(1000);
    assert_int_equal(trace.num_requests, NUM_REQUESTS);
    for (int i = 0; i < NUM_REQUESTS; i++) {
        assert_true(fabs(trace.requests[i].arrival_s - arrivals[i]) < 1e-6);
        assert_int_equal(trace.requests[i].prompt_tokens, prompts[i]);
        assert_int_equal(trace.requests[i].generated_tokens, generated[i]);
    }
    bench_trace_finish(&trace);
}

static void a_limit_leaves_the_rest_unread(void **state)
{
    (void)state;
    bench_trace trace = read_trace(2);
    assert_int_equal(trace.num_requests, 2);
    bench_trace_finish(&trace);
    trace = read_trace(NUM_REQUESTS);
    assert_int_equal(trace.num_requests, NUM_REQUESTS);
    bench_trace_finish(&trace);
}

#define HEADING "TIMESTAMP,ContextTokens,GeneratedTokens\n"

static bool reads(const char *text)
{
    char path[] = "clattn_trace_XXXXXX"; /* in the build folder */
    const int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    FILE *file = fdopen(descriptor, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    bench_trace trace;
    const bool good = bench_trace_read(&trace, path, 10);
    assert_int_equal(good, trace.requests != NULL);
    bench_trace_finish(&trace);
    unlink(path);
    return good;
}

static void what_is_no_trace_is_refused(void **state)
{
    (void)state;
    assert_true(reads(HEADING "2023-11-16 18:17:03.97,1,1"));
    assert_true(reads(HEADING "2023-11-16 18:17:03,1,1\r\n2023-11-16 18:17:03,1,1\r\n"));
    static const char *const texts[] = {
        "",
        HEADING,
        "time,prompt,generated\n2023-11-16 18:17:03.97,1,1\n",
        HEADING "2023-11-16,1,1\n",
        HEADING "2023-13-16 18:17:03.97,1,1\n",
        HEADING "2023-11-16 18:17:63.97,1,1\n",
        HEADING "2023-11-16 18:17:nan,1,1\n",
        HEADING "2023-11-16 18:17:03.97,0,1\n",
        HEADING "2023-11-16 18:17:03.97,1,0\n",
        HEADING "2023-11-16 18:17:03.97,1\n",
        HEADING "2023-11-16 18:17:03.97,1,\n",
        HEADING "2023-11-16 18:17:03.97,1,1,1\n",
        HEADING "2023-11-16 18:17:03.97,1000000001,1\n",
        HEADING "2023-11-16 18:17:03.97,99999999999999999999,1\n",
        HEADING "\n",
        HEADING "2023-11-16 18:17:03.97,1,1\n2023-11-16 18:17:03.96,1,1\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(reads(texts[i]));
    bench_trace trace;
    assert_false(bench_trace_read(&trace, "/nonexistent/trace.csv", 1));
}

/* What a whole replay adds up to. */
typedef struct totals {
    int32_t computed[NUM_REQUESTS];
    int32_t first_step[NUM_REQUESTS], last_step[NUM_REQUESTS];
    int32_t num_steps;
} totals;

static void check_step(const bench_batcher *batcher, totals *sums)
{
    const bench_batcher_params *params = &batcher->params;
    int32_t new_tokens = 0;
    int32_t num_pages = 0;
    assert_in_range(batcher->num_shares, 1, params->max_seqs);
    for (int32_t i = 0; i < batcher->num_shares; i++) {
        const bench_share *share = &batcher->shares[i];
        const bench_request *request = &params->trace->requests[share->request];
        const int32_t kv_tokens = bench_request_kv_tokens(request);
        assert_int_equal(share->first, sums->first_step[share->request] == 0);
        if (share->first)
            sums->first_step[share->request] = sums->num_steps + 1;
        if (sums->computed[share->request] >= request->prompt_tokens)
            assert_int_equal(share->new_tokens, 1); /* a decode never waits */
        sums->computed[share->request] += share->new_tokens;
        assert_int_equal(share->total_tokens, sums->computed[share->request]);
        assert_int_equal(share->last, share->total_tokens == kv_tokens);
        if (share->last)
            sums->last_step[share->request] = sums->num_steps + 1;
        new_tokens += share->new_tokens;
        num_pages += (kv_tokens + params->page_size - 1) / params->page_size;
    }
    assert_in_range(new_tokens, 1, params->token_budget);
    assert_int_equal(num_pages, params->num_pages - batcher->free_pages);
    assert_true(batcher->free_pages >= 0);
    sums->num_steps++;
}

/* Runs a replay to its end, and checks that every request was computed once, in order of arrival. */
static totals replay(const bench_batcher_params *params)
{
    bench_batcher batcher;
    totals sums = {0};
    int64_t prompt_tokens = 0;
    int64_t decode_tokens = 0;
    assert_true(bench_batcher_init(&batcher, params));
    while (bench_batcher_next(&batcher)) {
        assert_true(sums.num_steps < 1000);
        check_step(&batcher, &sums);
    }
    for (int i = 0; i < NUM_REQUESTS; i++) {
        const bench_request *request = &params->trace->requests[i];
        assert_int_equal(sums.computed[i], bench_request_kv_tokens(request));
        assert_true(i == 0 || sums.first_step[i] >= sums.first_step[i - 1]);
        prompt_tokens += request->prompt_tokens;
        decode_tokens += request->generated_tokens - 1;
    }
    assert_int_equal(batcher.prompt_tokens, prompt_tokens);
    assert_int_equal(batcher.decode_tokens, decode_tokens);
    assert_int_equal(batcher.free_pages, params->num_pages);
    bench_batcher_finish(&batcher);
    return sums;
}

static void all_at_once_is_one_step_per_longest_answer(void **state)
{
    (void)state;
    bench_trace trace = read_trace(NUM_REQUESTS);
    const totals sums = replay(&(bench_batcher_params){
        .trace = &trace, .token_budget = 1000, .max_seqs = 100, .num_pages = 1000, .page_size = 16});
    assert_int_equal(sums.num_steps, 12); /* every prompt in the first, which gives the first of 12 tokens */
    for (int i = 0; i < NUM_REQUESTS; i++) {
        assert_int_equal(sums.first_step[i], 1);
        assert_int_equal(sums.last_step[i], trace.requests[i].generated_tokens);
    }
    bench_trace_finish(&trace);
}

static void requests_wait_for_their_arrival(void **state)
{
    (void)state;
    bench_trace trace = read_trace(NUM_REQUESTS);
    const totals sums = replay(&(bench_batcher_params){
        .trace = &trace, .step_s = 0.12, .token_budget = 1000, .max_seqs = 100, .num_pages = 1000, .page_size = 16});
    assert_int_equal(sums.first_step[0], 1);
    assert_int_equal(sums.last_step[0], 1);
    assert_int_equal(sums.first_step[1], 2); /* 0.4 s: the fifth step of the trace's time, with nothing before it */
    assert_int_equal(sums.first_step[2], 3);
    assert_int_equal(sums.first_step[3], 3);
    assert_int_equal(sums.first_step[4], 5);  /* 0.75 s: two steps after 0.6 s */
    assert_int_equal(sums.last_step[4], 11);  /* as the third, whose answer has 9 tokens */
    assert_int_equal(sums.first_step[5], 12); /* a day later */
    bench_trace_finish(&trace);
}

static void a_small_budget_cuts_prompts(void **state)
{
    (void)state;
    bench_trace trace = read_trace(NUM_REQUESTS);
    const totals sums = replay(&(bench_batcher_params){
        .trace = &trace, .token_budget = 10, .max_seqs = 10, .num_pages = 1000, .page_size = 7});
    /* The first prompt: 10, 10, 10 and 7, with the 3 left over for the second. */
    assert_int_equal(sums.last_step[0], 4);
    assert_int_equal(sums.last_step[1], 8);
    bench_trace_finish(&trace);
}

static void few_places_and_pages_are_shared_in_turn(void **state)
{
    (void)state;
    bench_trace trace = read_trace(NUM_REQUESTS);
    const totals one = replay(&(bench_batcher_params){
        .trace = &trace, .token_budget = 1000, .max_seqs = 1, .num_pages = 101, .page_size = 1});
    for (int i = 1; i < NUM_REQUESTS; i++)
        assert_int_equal(one.first_step[i], one.last_step[i - 1] + 1);
    const totals few = replay(&(bench_batcher_params){
        .trace = &trace, .token_budget = 1000, .max_seqs = 100, .num_pages = 101, .page_size = 1});
    assert_int_equal(few.first_step[1], 1);                    /* 37 + 8 tokens */
    assert_int_equal(few.first_step[2], few.last_step[0] + 1); /* 72 more do not fit beside both */
    assert_int_equal(few.first_step[6], few.last_step[5] + 1); /* all 101 */
    bench_trace_finish(&trace);
}

static void a_request_that_never_fits_is_refused(void **state)
{
    (void)state;
    bench_trace trace = read_trace(NUM_REQUESTS);
    bench_batcher batcher;
    assert_false(bench_batcher_init(&batcher, &(bench_batcher_params){.trace = &trace,
                                                                      .token_budget = 1000,
                                                                      .max_seqs = 1,
                                                                      .num_pages = 100, /* the last one takes 101 */
                                                                      .page_size = 1}));
    bench_trace_finish(&trace);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    trace_path = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_become_requests),
        cmocka_unit_test(a_limit_leaves_the_rest_unread),
        cmocka_unit_test(what_is_no_trace_is_refused),
        cmocka_unit_test(all_at_once_is_one_step_per_longest_answer),
        cmocka_unit_test(requests_wait_for_their_arrival),
        cmocka_unit_test(a_small_budget_cuts_prompts),
        cmocka_unit_test(few_places_and_pages_are_shared_in_turn),
        cmocka_unit_test(a_request_that_never_fits_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
