/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random problems through every operation, on every device and in every family that it runs, against the reference;
 * from one call and from a plan, which must give the same bits. A failure prints the command that repeats it alone, and
 * the next problem follows.
 */
#include "random_case.h"
#include "random_merge.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define DEVICE_VARIABLE "CLATTN_TEST_DEVICE"
#define SIZE_VARIABLE "CLATTN_TEST_SIZE"
#define CASES_VARIABLE "CLATTN_TEST_CASES"
#define CASES_PER_REPORT 500
#define NAME_BYTES 96

enum { DEFAULT_SEED = 1, DEFAULT_CASES = 300, DEFAULT_CASES_PER_VARIANT = 20 };

/* A device smaller than this may refuse a tile that is legal for its kernels. */
#define ROOMY_LOCAL_MEMORY_BYTES (1u << 20)

typedef struct random_options {
    const char *program;
    clattn_family family; /* default = every one */
    uint64_t seed;
    int32_t num_cases;
    int32_t first_case;
    int32_t cases_per_variant;
    random_size size;
} random_options;

static const char *const size_names[RANDOM_NUM_SIZES] = {"usual", "small"};

/* The cases of one device and family. */
typedef struct random_run {
    const random_options *options;
    support_device device;
    const char *device_name; /* as the variable names it */
    struct timespec start;
    int32_t num_done;
    int32_t num_failed;
} random_run;

/* One cmocka test. */
typedef struct random_slot {
    random_run *run;
    random_identity identity;
    char name[NAME_BYTES];
    bool passed;
    random_case *drawn;
    support_attention *attention;
    support_attention *planned;
} random_slot;

static void run_whole(const random_slot *slot, support_attention *attention, bool planned)
{
    const support_device *device = &slot->run->device;

    if (slot->drawn->cut.num_states > 0)
        random_merge_run(attention, device, &slot->drawn->cut, planned);
    else if (planned)
        support_attention_run_with_plan(attention, device);
    else
        support_attention_run(attention, device);
}

/* What the library says to the problem's tile. */
static clattn_status status_of_plan(const random_slot *slot)
{
    const clattn_plan_params params = support_attention_plan_params(slot->attention);
    clattn_plan *plan = NULL;
    const clattn_status status = clattn_plan_create(slot->run->device.ctx, &params, &plan);

    assert_int_equal(plan != NULL, status == CLATTN_OK);
    clattn_plan_destroy(&plan);
    return status;
}

static void expect_refusal(const random_slot *slot)
{
    support_attention *attention = slot->attention;
    const support_device *device = &slot->run->device;

    assert_int_equal(status_of_plan(slot), CLATTN_INVALID_TUNING);
    support_attention_reset(attention, device);
    assert_int_equal(support_attention_call(attention, device, NULL, 0, NULL, NULL), CLATTN_INVALID_TUNING);
    support_attention_read(attention, device);
    for (int i = 0; i < SUPPORT_NUM_RESULTS; i++)
        if (attention->results[i].tensor.rank > 0)
            assert_true(support_image_is_untouched(&attention->results[i]));
}

static bool is_refused(const random_slot *slot)
{
    const bool has_tuning = memcmp(&slot->drawn->description.tuning, &(clattn_tuning){0}, sizeof(clattn_tuning)) != 0;
    const clattn_device_facts *facts = clattn_context_device(slot->run->device.ctx);

    if (slot->drawn->expectation == RANDOM_RUNS &&
        (!has_tuning || facts->local_memory_bytes >= ROOMY_LOCAL_MEMORY_BYTES))
        return false;
    return slot->drawn->expectation == RANDOM_IS_REFUSED || status_of_plan(slot) == CLATTN_INVALID_TUNING;
}

static void print_problem(const random_slot *slot)
{
    fprintf(stderr, "reproduce: %s=%s %s %s # ", DEVICE_VARIABLE, slot->run->device_name, slot->run->options->program,
            slot->name);
    random_case_print(slot->drawn);
    if (slot->attention)
        support_attention_print(slot->attention);
}

static void problem_matches(void **state)
{
    random_slot *slot = *state;
    const support_device *device = &slot->run->device;

    slot->attention = support_attention_create(device, &slot->drawn->description);
    if (slot->run->options->num_cases == 1) /* a crash comes before there is a failure to print */
        print_problem(slot);
    if (is_refused(slot)) {
        expect_refusal(slot);
    } else {
        slot->planned = support_attention_create(device, &slot->drawn->description);
        run_whole(slot, slot->attention, false);
        support_attention_check(slot->attention);
        run_whole(slot, slot->planned, true);
        support_attention_expect_same_bytes(slot->attention, slot->planned);
    }
    slot->passed = true;
}

static int draw(void **state)
{
    random_slot *slot = *state;

    slot->drawn = calloc(1, sizeof(*slot->drawn));
    if (!slot->drawn)
        return -1;
    random_case_draw(slot->drawn, &slot->identity);
    return 0;
}

static double seconds_since(const struct timespec *start)
{
    struct timespec now;

    timespec_get(&now, TIME_UTC);
    return difftime(now.tv_sec, start->tv_sec) + 1e-9 * (double)(now.tv_nsec - start->tv_nsec);
}

/* Runs after a failure too, which leaves the test where it is. */
static int release(void **state)
{
    random_slot *slot = *state;
    random_run *run = slot->run;

    if (!slot->passed) {
        run->num_failed++;
        print_problem(slot);
    }
    clFinish(run->device.queue);
    support_attention_destroy(&slot->attention);
    support_attention_destroy(&slot->planned);
    free(slot->drawn);
    slot->drawn = NULL;
    if (++run->num_done % CASES_PER_REPORT == 0)
        fprintf(stderr, "# %s: %" PRId32 " of %" PRId32 " cases, %" PRId32 " failed, %.1f per second\n",
                clattn_family_name(run->device.family), run->num_done, run->options->num_cases, run->num_failed,
                run->num_done / seconds_since(&run->start));
    return 0;
}

static void init_slot(random_slot *slot, random_run *run, int32_t number)
{
    const random_options *options = run->options;

    slot->run = run;
    slot->identity =
        (random_identity){options->seed, options->cases_per_variant, run->device.family, options->size, number};
    snprintf(slot->name, sizeof(slot->name),
             "%s --size %s --seed %" PRIu64 " --per-variant %" PRId32 " --case %" PRId32,
             clattn_family_name(run->device.family), size_names[options->size], options->seed,
             options->cases_per_variant, number);
}

/* Returns the number of failed cases. */
static int run_cases(random_run *run)
{
    const size_t num_cases = (size_t)run->options->num_cases;
    struct CMUnitTest(*tests)[num_cases] = calloc(1, sizeof(*tests));
    random_slot *slots = calloc(num_cases, sizeof(*slots));
    int result = -1;

    if (tests && slots) {
        for (size_t i = 0; i < num_cases; i++) {
            init_slot(&slots[i], run, run->options->first_case + (int32_t)i);
            (*tests)[i] = (struct CMUnitTest){slots[i].name, problem_matches, draw, release, &slots[i]};
        }
        timespec_get(&run->start, TIME_UTC);
        result = cmocka_run_group_tests_name("random", *tests, NULL, NULL);
    }
    free(tests);
    free(slots);
    return result;
}

static void print_log(void *user, clattn_log_level level, const char *message)
{
    (void)user;
    if (level <= CLATTN_LOG_WARNING)
        fprintf(stderr, "# clattn: %s\n", message);
}

/* Whether there was something to run; a device without a compiler, or too small for a family, is passed over. */
static bool run_on(const random_options *options, const char *device_name, clattn_family family, bool *failed)
{
    const clattn_context_params params = {.device = device_name, .family = family, .cache_dir = "", .log = print_log};
    random_run run = {.options = options, .device_name = device_name, .device = {.family = family}};
    bool ran;

    if (clattn_context_create(&params, &run.device.ctx) != CLATTN_OK)
        return false;
    run.device.cl = clattn_context_cl_context(run.device.ctx);
    run.device.queue = clattn_context_cl_queue(run.device.ctx);
    ran = support_device_runs_family(&run.device, family);
    if (ran) {
        fprintf(stderr, "# %s on %s\n", clattn_family_name(family), clattn_context_device(run.device.ctx)->name);
        *failed |= run_cases(&run) != 0;
        fprintf(stderr, "# %s: %" PRId32 " cases, %" PRId32 " failed\n", clattn_family_name(family), run.num_done,
                run.num_failed);
    }
    clattn_context_destroy(&run.device.ctx);
    return ran;
}

static bool run_families(const random_options *options, const char *device_name, bool *failed)
{
    bool ran = false;

    for (int family = CLATTN_FAMILY_DEFAULT + 1; family < CLATTN_NUM_FAMILIES; family++)
        if (options->family == CLATTN_FAMILY_DEFAULT || options->family == (clattn_family)family)
            ran |= run_on(options, device_name, (clattn_family)family, failed);
    return ran;
}

static void leave_with_usage(const char *program)
{
    fprintf(stderr,
            "usage: %s [vector|simt|plain|all] [--cases N] [--first K] [--case K] [--seed S] [--per-variant M]\n"
            "       [--size usual|small]\n"
            "--case K runs this one alone; %s names the only device to run on;\n"
            "%s and %s are the size and the number of cases unless there is an option\n",
            program, DEVICE_VARIABLE, SIZE_VARIABLE, CASES_VARIABLE);
    exit(EXIT_FAILURE);
}

static int64_t number_of(const char *program, const char *text, int64_t least, int64_t most)
{
    char *end = NULL;
    const long long number = text ? strtoll(text, &end, 10) : 0;

    if (!text || end == text || *end != '\0' || number < least || number > most)
        leave_with_usage(program);
    return number;
}

static random_size size_of(const char *program, const char *name)
{
    for (int size = 0; name && size < RANDOM_NUM_SIZES; size++)
        if (strcmp(name, size_names[size]) == 0)
            return (random_size)size;
    leave_with_usage(program);
    return RANDOM_NUM_SIZES;
}

static void take_option(random_options *options, const char *option, const char *value)
{
    const char *program = options->program;

    if (strcmp(option, "--cases") == 0) {
        options->num_cases = (int32_t)number_of(program, value, 1, 1000000);
    } else if (strcmp(option, "--first") == 0) {
        options->first_case = (int32_t)number_of(program, value, 0, INT32_MAX - 1000000);
    } else if (strcmp(option, "--case") == 0) {
        options->first_case = (int32_t)number_of(program, value, 0, INT32_MAX - 1000000);
        options->num_cases = 1;
    } else if (strcmp(option, "--seed") == 0) {
        options->seed = (uint64_t)number_of(program, value, 0, INT64_MAX);
    } else if (strcmp(option, "--per-variant") == 0) {
        options->cases_per_variant = (int32_t)number_of(program, value, 1, 1000000);
    } else if (strcmp(option, "--size") == 0) {
        options->size = size_of(program, value);
    } else {
        leave_with_usage(program);
    }
}

/* One that is set to nothing is as good as unset. */
static void take_variable(random_options *options, const char *option, const char *name)
{
    const char *value = getenv(name);

    if (value && value[0] != '\0')
        take_option(options, option, value);
}

static random_options options_of(int argc, char **argv)
{
    random_options options = {
        .program = argv[0],
        .seed = DEFAULT_SEED,
        .num_cases = DEFAULT_CASES,
        .cases_per_variant = DEFAULT_CASES_PER_VARIANT,
    };
    int next = 1;

    take_variable(&options, "--size", SIZE_VARIABLE);
    unsetenv(SIZE_VARIABLE); /* which leaves out what is too large: these are drawn small, and their number is given */
    take_variable(&options, "--cases", CASES_VARIABLE);
    if (argc > 1 && argv[1][0] != '-') {
        options.family = clattn_family_from_name(argv[1]);
        if (options.family == CLATTN_FAMILY_DEFAULT && argv[1][0] != '\0' && strcmp(argv[1], "all") != 0)
            leave_with_usage(argv[0]);
        next = 2;
    }
    for (; next < argc; next += 2)
        take_option(&options, argv[next], next + 1 < argc ? argv[next + 1] : NULL);
    return options;
}

int main(int argc, char **argv)
{
    const random_options options = options_of(argc, argv);
    const char *only_device = getenv(DEVICE_VARIABLE);
    const int32_t num_devices = only_device ? 1 : clattn_device_count();
    bool ran = false;
    bool failed = false;

    for (int32_t i = 0; i < num_devices; i++) {
        char index[16];
        snprintf(index, sizeof(index), "%" PRId32, i);
        ran |= run_families(&options, only_device ? only_device : index, &failed);
    }
    if (!ran) {
        fprintf(stderr, "no OpenCL device that runs the family\n");
        return SUPPORT_EXIT_NO_DEVICE;
    }
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
