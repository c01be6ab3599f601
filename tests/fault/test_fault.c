/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every call through which a public function can be let down fails once, and once for good. The function says so or
 * goes on without, with right numbers; nothing else changes, nothing is left behind, and the same call works next.
 *
 * usage: test_fault [FAMILY | --list]    --list prints the functions that are tested
 */
#include "fault.h"
#include "runtime/context.h"
#include "scenario.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

enum { MAX_TESTS = 2 * FAULT_MAX_SCENARIOS + 1, NAME_BYTES = 96 };

typedef struct fault_test {
    const fault_scenario *scenario;
    fault_extent extent;
    char name[NAME_BYTES];
} fault_test;

static bool is_listed(const char *words, const char *word)
{
    const size_t num_bytes = strlen(word);
    for (const char *found = words; found != NULL && (found = strstr(found, word)) != NULL; found += num_bytes) {
        if ((found == words || found[-1] == ' ') && (found[num_bytes] == ' ' || found[num_bytes] == '\0'))
            return true;
    }
    return false;
}

static bool contains_in_any_case(const char *text, const char *part)
{
    for (; *text != '\0'; text++) {
        if (strncasecmp(text, part, strlen(part)) == 0)
            return true;
    }
    return false;
}

static void expect_tolerated(const fault_scenario *scenario, const fault_report *report)
{
    for (int i = 0; i < report->num_failed; i++) {
        const fault_event *event = &report->failed[i];
        if (event->status != CLATTN_OK && !is_listed(scenario->tolerated, event->function))
            fail_msg("%s failed and the call did not", event->function);
    }
}

static bool explains_status(const fault_scenario *scenario, const fault_event *event, clattn_status status)
{
    const bool of_devices = strncmp(event->function, "clGetDevice", 11) == 0 ||
                            strncmp(event->function, "clGetPlatformInfo", 17) == 0 ||
                            strcmp(scenario->function, "clattn_device_count") == 0;
    const bool of_files = event->kind == FAULT_FILE;
    const bool of_trial = scenario->distrusts && event->kind == FAULT_OPENCL;
    return status != CLATTN_OK &&
           (status == event->status || (of_devices && status == scenario->device_status) ||
            (of_files && status == scenario->file_status) || (of_trial && status == CLATTN_KERNEL_REJECTED));
}

/* What a device search says about a device that does not answer is its own affair. */
static bool explains_sentence(const fault_event *event, clattn_status status, const char *sentence)
{
    if (status == CLATTN_NO_DEVICE)
        return sentence[0] != '\0';
    if (event->kind == FAULT_FILE)
        return strstr(sentence, "cannot be ") != NULL;
    if (event->kind == FAULT_MEMORY)
        return contains_in_any_case(sentence, "memory");
    return strstr(sentence, event->function) != NULL;
}

/* One of the calls that failed is behind both the status and the sentence. */
static void expect_failure(const fault_scenario *scenario, const fault_world *world, const fault_report *report,
                           clattn_status status)
{
    const char *sentence = world->logged[0] != '\0' ? world->logged : clattn_context_last_error(world->device.ctx);
    bool explained = false;
    for (int i = 0; i < report->num_failed; i++) {
        const fault_event *event = &report->failed[i];
        explained = explained || (explains_status(scenario, event, status) &&
                                  (scenario->silent || explains_sentence(event, status, sentence)));
    }
    if (!explained)
        fail_msg("first %s failed, and then the call with %s: \"%s\"",
                 report->num_failed > 0 ? report->failed[0].function : "nothing", clattn_status_name(status), sentence);
    assert_null(world->event);
}

/* Once without a fault: the numbers are right. */
static void succeed(const fault_scenario *scenario, fault_world *world)
{
    fault_require_ok(world, scenario->call(world));
    scenario->check(world);
    if (scenario->undo != NULL)
        scenario->undo(world);
}

/* But what kernels wrote that were enqueued before the call that failed. */
static void expect_nothing_changed(fault_world *world, fault_picture *before, const fault_report *report)
{
    const bool with_results = report->num_kernels == 0;
    fault_picture after = fault_world_take_picture(world, with_results);
    if (!with_results)
        before->num_bytes = after.num_bytes;
    fault_picture_expect_same(before, &after);
    fault_picture_destroy(&after);
}

/* Whether there was a call of that number to fail. */
static bool attempt(const fault_test *test, fault_world *world, int number)
{
    const fault_scenario *scenario = test->scenario;
    if (scenario->prepare != NULL)
        scenario->prepare(world);
    world->device.ctx->error.text[0] = '\0';
    world->logged[0] = '\0';
    fault_picture before = fault_world_take_picture(world, true);

    fault_arm(number, test->extent);
    const clattn_status status = scenario->call(world);
    const fault_report *report = fault_disarm();
    const bool failed = report->num_failed > 0;
    fprintf(stderr, "# %s: call %d: %s: %s\n", test->name, number, failed ? report->failed[0].function : "none",
            clattn_status_name(status));
    if (status == CLATTN_OK) {
        expect_tolerated(scenario, report);
        scenario->check(world);
        if (scenario->undo != NULL)
            scenario->undo(world);
    } else {
        expect_failure(scenario, world, report, status);
        expect_nothing_changed(world, &before, report);
        if (status == CLATTN_KERNEL_REJECTED)
            scenario->prepare(world); /* that context keeps to its verdict */
        succeed(scenario, world);
    }
    fault_picture_destroy(&before);
    return failed;
}

static void every_call_may_fail(void **state)
{
    const fault_test *test = *state;
    fault_world world;
    const fault_balance before = fault_take_balance();
    int number = 0;
    test->scenario->open(&world);
    while (attempt(test, &world, number))
        number++;
    fault_world_close(&world);
    fault_expect_balance(&before);
    assert_true(number > 0);
}

/* A plan and a KV cache with one sequence of three tokens. */
static void open_with_everything(fault_world *world)
{
    static const int32_t context_lens[] = {9};
    const support_attention_case description = {.seed = 1,
                                                .num_seqs = 1,
                                                .context_lens = context_lens,
                                                .num_q_heads = 1,
                                                .num_kv_heads = 1,
                                                .head_dim = 8,
                                                .page_size = 4};
    const clattn_kv_cache_params cache_params = {
        .num_layers = 1, .num_pages = 4, .page_size = 4, .num_kv_heads = 1, .head_dim = 8};
    fault_world_open(world);
    world->attention = support_attention_create(&world->device, &description);
    const clattn_plan_params params = support_attention_plan_params(world->attention);
    fault_require_ok(world, clattn_plan_create(world->device.ctx, &params, &world->plan));
    fault_require_ok(world, clattn_kv_cache_create(world->device.ctx, &cache_params, &world->cache));
    fault_require_ok(world, clattn_sequence_create(world->cache, &world->sequences[0]));
    fault_require_ok(world, clattn_kv_cache_extend(world->cache, 1, world->sequences, &(int32_t){3}, &world->batch));
}

/* In one story: a function may use what the one before it has made. */
static void quiet_functions_make_no_call_that_could_fail(void **state)
{
    (void)state;
    fault_world world;
    const fault_balance before = fault_take_balance();
    open_with_everything(&world);
    for (int i = 0; i < fault_num_quiet_functions; i++) {
        fault_arm(0, FAULT_ONCE);
        fault_quiet_functions[i].call(&world);
        const fault_report *report = fault_disarm();
        if (report->num_failed > 0)
            fail_msg("%s calls %s", fault_quiet_functions[i].function, report->failed[0].function);
    }
    fault_world_close(&world);
    fault_expect_balance(&before);
}

static void print_functions(void)
{
    for (int i = 0; fault_scenario_at(i) != NULL; i++)
        printf("%s\n", fault_scenario_at(i)->function);
    for (int i = 0; i < fault_num_quiet_functions; i++)
        printf("%s\n", fault_quiet_functions[i].function);
}

/* Both extents of every scenario; the number of tests. */
static size_t make_tests(fault_test *tests)
{
    size_t num_tests = 0;
    for (int i = 0; fault_scenario_at(i) != NULL; i++) {
        const fault_scenario *scenario = fault_scenario_at(i);
        for (int extent = FAULT_ONCE; extent <= (scenario->only_once ? FAULT_ONCE : FAULT_LASTING); extent++) {
            assert(num_tests < 2 * FAULT_MAX_SCENARIOS);
            fault_test *test = &tests[num_tests++];
            *test = (fault_test){.scenario = scenario, .extent = (fault_extent)extent};
            snprintf(test->name, sizeof test->name, "%s, %s, %s", scenario->function, scenario->variant,
                     extent == FAULT_ONCE ? "once" : "lasting");
        }
    }
    return num_tests;
}

int main(int argc, char **argv)
{
    static fault_test tests[MAX_TESTS];
    struct CMUnitTest table[MAX_TESTS] = {{0}};
    if (argc > 1 && strcmp(argv[1], "--list") == 0) {
        print_functions();
        return EXIT_SUCCESS;
    }
    support_select_family(argc, argv);
    const size_t num_tests = make_tests(tests);
    for (size_t i = 0; i < num_tests; i++)
        table[i] =
            (struct CMUnitTest){.name = tests[i].name, .test_func = every_call_may_fail, .initial_state = &tests[i]};
    table[num_tests] = (struct CMUnitTest)cmocka_unit_test(quiet_functions_make_no_call_that_could_fail);
    return _cmocka_run_group_tests("fault", table, num_tests + 1, NULL, NULL);
}
