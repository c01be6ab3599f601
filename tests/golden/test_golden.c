/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every golden case against what another implementation computed: one test for each record of cases.txt, which runs
 * the operation with and without a plan on float32 data. Whatever no query sees is NaN here.
 *
 * usage: test_golden FAMILY FOLDER    FOLDER holds cases.txt and data/
 */
#include "golden/cases.h"
#include "golden/npy.h"
#include "support/device.h"
#include "support/directory.h"
#include "support/image.h"
#include "support/size.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * Largest |actual - expected| / (1 + |expected|). The contract allows twice the error of a naive float32 evaluation;
 * the files are one, at most 1.1e-6 away from float64. Twice that for us, once for the files, and one rounding of out,
 * 2^-24, make 3.4e-6.
 */
#define TOLERANCE 3.4e-6

/* A test: its case, and what all of them share. */
typedef struct golden_test {
    support_device *device;
    const char *folder;
    const golden_case *described;
    int32_t num_cases;
} golden_test;

typedef struct golden_problem golden_problem;

/* An operation: its name, the files of its operands, and its call. */
typedef struct golden_operation {
    const char *name;
    const char *queries;
    const char *keys;   /* K and V together if `values` is NULL */
    const char *values; /* NULL in combined pages */
    const char *context_lens;
    clattn_status (*call)(const golden_problem *problem, const clattn_plan *plan);
} golden_operation;

/* The operands of a case. Tensors and arrays that an operation does not have are empty. */
struct golden_problem {
    const support_device *device;
    const golden_case *described;
    const golden_operation *operation;
    char folder[SUPPORT_PATH_BYTES];
    clattn_kv_layout kv_layout;
    bool dense;
    int32_t num_kv_heads;
    int32_t page_size;
    int32_t num_pages;
    support_image queries;
    support_image keys;
    support_image values;
    support_image softmax_aux;
    support_image out;
    npy_array expected;
    npy_array query_start_loc;
    npy_array context_lens; /* sequence_end of a dense cache */
    npy_array sequence_start;
    npy_array block_tables;
    /* For a case that appends; the attention reads the cache then, and `keys` says what it has to hold. */
    clattn_kv_cache *cache;
    clattn_tensor pages;
    support_image pages_before;
    support_image new_keys;
    support_image new_values;
    npy_array slot_mapping;
};

static void require_ok(const golden_problem *problem, const char *call, clattn_status status)
{
    if (status != CLATTN_OK)
        fail_msg("case=%s call=%s status=%s error=\"%s\"", problem->described->name, call, clattn_status_name(status),
                 clattn_context_last_error(problem->device->ctx));
}

/* What the test takes for granted about the data. */
static void require(const golden_problem *problem, bool condition, const char *expected)
{
    if (!condition)
        fail_msg("case=%s the data are not as expected: %s", problem->described->name, expected);
}

static int32_t pages_per_seq(const golden_problem *problem)
{
    return (int32_t)problem->block_tables.shape[1];
}

static clattn_status call_ragged_page(const golden_problem *problem, const clattn_plan *plan)
{
    const golden_case *described = problem->described;
    clattn_ragged_page_attention_params params = {
        .queries = problem->queries.tensor,
        .kv_pages = problem->pages,
        .kv_layout = problem->kv_layout,
        .out = problem->out.tensor,
        .softmax_aux = problem->softmax_aux.tensor,
        .softmax_scale = described->softmax_scale,
        .logits_soft_cap = described->logits_soft_cap,
        .sliding_window = described->sliding_window,
        .plan = plan,
    };

    if (!plan) {
        params.num_seqs = described->num_seqs;
        params.query_start_loc = problem->query_start_loc.data.int32;
        params.context_lens = problem->context_lens.data.int32;
        params.block_tables = problem->block_tables.data.int32;
        params.pages_per_seq = pages_per_seq(problem);
    }
    return clattn_ragged_page_attention(problem->device->ctx, &params, 0, NULL, NULL);
}

static clattn_status call_page(const golden_problem *problem, const clattn_plan *plan)
{
    const golden_case *described = problem->described;
    clattn_page_attention_params params = {
        .query = problem->queries.tensor,
        .key_cache = problem->pages,
        .value_cache = problem->values.tensor,
        .kv_layout = problem->kv_layout,
        .out = problem->out.tensor,
        .softmax_aux = problem->softmax_aux.tensor,
        .softmax_scale = described->softmax_scale,
        .logits_soft_cap = described->logits_soft_cap,
        .sliding_window = described->sliding_window,
        .plan = plan,
    };

    if (!plan) {
        params.context_lens = problem->context_lens.data.int32;
        params.block_tables = problem->block_tables.data.int32;
        params.pages_per_seq = pages_per_seq(problem);
    }
    return clattn_page_attention(problem->device->ctx, &params, 0, NULL, NULL);
}

static clattn_status call_ragged_decode(const golden_problem *problem, const clattn_plan *plan)
{
    const golden_case *described = problem->described;
    const bool windowed = described->window.left >= 0 || described->window.right >= 0;
    clattn_ragged_decode_attention_params params = {
        .query = problem->queries.tensor,
        .key = problem->pages,
        .value = problem->values.tensor,
        .out = problem->out.tensor,
        .softmax_aux = problem->softmax_aux.tensor,
        .softmax_scale = described->softmax_scale,
        .logits_soft_cap = described->logits_soft_cap,
        .sliding_window = windowed ? &described->window : NULL,
        .plan = plan,
    };

    if (!plan) {
        params.sequence_start = problem->sequence_start.data.int32;
        params.sequence_end = problem->context_lens.data.int32;
    }
    return clattn_ragged_decode_attention(problem->device->ctx, &params, 0, NULL, NULL);
}

static const golden_operation *find_operation(const char *name)
{
    static const golden_operation operations[] = {
        {"ragged_page_attention", "queries", "kv_pages", NULL, "context_lens", call_ragged_page},
        {"page_attention", "query", "key_cache", "value_cache", "context_lens", call_page},
        {"ragged_decode_attention", "query", "key", "value", "sequence_end", call_ragged_decode},
    };

    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
        if (strcmp(operations[i].name, name) == 0)
            return &operations[i];
    return NULL;
}

static npy_array read_array(const golden_problem *problem, const char *name, npy_dtype dtype)
{
    char file[GOLDEN_NAME_BYTES];
    char path[SUPPORT_PATH_BYTES];
    npy_array array;

    assert_true(snprintf(file, sizeof(file), "%s.npy", name) < (int)sizeof(file));
    support_path_join(path, problem->folder, file);
    array = npy_read(path);
    if (array.dtype != dtype)
        fail_msg("%s: dtype=%d expected=%d", path, (int)array.dtype, (int)dtype);
    return array;
}

/* At least so many of them; a padded batch has more. */
static npy_array read_integers(const golden_problem *problem, const char *name, int32_t rank, int64_t count)
{
    npy_array array = read_array(problem, name, NPY_INT32);

    require(problem, array.rank == rank && array.shape[0] >= count, name);
    return array;
}

static support_image read_tensor(const golden_problem *problem, const char *name)
{
    npy_array array = read_array(problem, name, NPY_FLOAT32);
    support_image image = support_image_create(CLATTN_FLOAT32, array.rank, array.shape, false);

    support_image_fill(&image, NAN);
    for (size_t i = 0; i < array.num_elements; i++)
        support_image_set(&image, (int64_t)i, array.data.float32[i]);
    npy_destroy(&array);
    return image;
}

/* A tensor of K or V, on the device, with NaN in every element that no query sees. */
static support_image read_kv(const golden_problem *problem, const char *name)
{
    support_image image = read_tensor(problem, name);
    const clattn_tensor *tensor = &image.tensor;
    int64_t num_unused = 0;

    require(problem, tensor->rank == 4, "K and V of four dimensions");
    for (int64_t i = 0; i < tensor->shape[0] * image.strides[0]; i++) {
        if (support_image_get(&image, i) == problem->described->unused_value) {
            support_image_set(&image, i, NAN);
            num_unused++;
        }
    }
    require(problem, num_unused > 0, "an element of K and V that no query sees");
    support_image_upload(&image, problem->device);
    return image;
}

/* Where the dimensions of K stand in its shape. */
static void resolve_layout(golden_problem *problem)
{
    const char *name = problem->described->kv_layout;
    const int64_t *shape = problem->keys.tensor.shape;

    problem->dense = strcmp(name, "dense") == 0;
    problem->kv_layout = CLATTN_KV_NHD;
    if (!problem->dense) {
        problem->kv_layout = CLATTN_KV_COMBINED;
        while (problem->kv_layout < CLATTN_NUM_KV_LAYOUTS &&
               strcmp(name, clattn_kv_layout_name(problem->kv_layout)) != 0)
            problem->kv_layout++;
    }
    require(problem, problem->kv_layout < CLATTN_NUM_KV_LAYOUTS, "a known kv_layout");
    if (problem->kv_layout == CLATTN_KV_COMBINED || problem->kv_layout == CLATTN_KV_NHD) {
        problem->num_pages = (int32_t)shape[0];
        problem->page_size = (int32_t)shape[1];
        problem->num_kv_heads = (int32_t)shape[2] / (problem->kv_layout == CLATTN_KV_COMBINED ? 2 : 1);
    } else {
        const int page_dimension = problem->kv_layout == CLATTN_KV_HEADS_FIRST ? 1 : 0;
        problem->num_pages = (int32_t)shape[page_dimension];
        problem->num_kv_heads = (int32_t)shape[1 - page_dimension];
        problem->page_size = (int32_t)shape[2];
    }
}

/* A cache whose pages can hold those of the case. */
static void read_append(golden_problem *problem)
{
    const clattn_kv_cache_params params = {
        .num_layers = 1,
        .num_pages = problem->num_pages,
        .page_size = problem->page_size,
        .num_kv_heads = problem->num_kv_heads,
        .head_dim = (int32_t)problem->keys.tensor.shape[3],
        .dtype = CLATTN_FLOAT32,
        .layout = problem->kv_layout,
    };
    clattn_tensor no_values;

    require_ok(problem, "clattn_kv_cache_create",
               clattn_kv_cache_create(problem->device->ctx, &params, &problem->cache));
    require_ok(problem, "clattn_kv_cache_layer", clattn_kv_cache_layer(problem->cache, 0, &problem->pages, &no_values));
    problem->pages_before = read_kv(problem, "kv_pages_before");
    problem->new_keys = read_tensor(problem, "new_keys");
    problem->new_values = read_tensor(problem, "new_values");
    problem->slot_mapping = read_array(problem, "slot_mapping", NPY_INT64);
    require(problem, problem->slot_mapping.shape[0] == problem->queries.tensor.shape[0], "a slot for every token");
    support_image_upload(&problem->new_keys, problem->device);
    support_image_upload(&problem->new_values, problem->device);
}

/* No option of the record may be one that its operation does not have: it would be ignored. */
static void check_options(const golden_problem *problem)
{
    const golden_case *described = problem->described;
    const bool one_query = strcmp(problem->operation->name, "ragged_page_attention") != 0;

    require(problem, problem->dense || (described->window.left == -1 && described->window.right == -1),
            "(window_left, window_right) only for a dense cache");
    require(problem, !problem->dense || described->sliding_window == 0, "sliding_window only for pages");
    require(problem, described->append == 0 || (described->append == 1 && !one_query), "append only for ragged pages");
    require(problem, !one_query || problem->queries.tensor.shape[0] == described->num_seqs,
            "one query for each sequence");
    require(problem, problem->softmax_aux.tensor.rank == described->softmax_aux_rank, "rank of softmax_aux");
    require(problem, problem->expected.rank == 3 && problem->queries.tensor.rank == 3, "queries and out of rank 3");
}

/* Two runs of all heads over all keys that there are, which some sequence sees. */
static void spend(const golden_problem *problem)
{
    const int64_t *queries = problem->queries.tensor.shape;
    const int64_t *keys = problem->keys.tensor.shape;

    support_size_begin();
    support_size_spend(2 * queries[0] * queries[1] * queries[2] * 2 * keys[0] * keys[1] / problem->described->num_seqs);
}

static void problem_init(golden_problem *problem, const golden_test *test)
{
    const golden_case *described = test->described;
    char data[SUPPORT_PATH_BYTES];

    *problem = (golden_problem){.device = test->device, .described = described};
    problem->operation = find_operation(described->operation);
    require(problem, problem->operation != NULL, "a known operation");
    support_path_join(data, test->folder, "data");
    support_path_join(problem->folder, data, described->name);
    problem->queries = read_tensor(problem, problem->operation->queries);
    problem->keys = read_kv(problem, problem->operation->keys);
    spend(problem);
    support_image_upload(&problem->queries, problem->device);
    if (problem->operation->values)
        problem->values = read_kv(problem, problem->operation->values);
    resolve_layout(problem);
    problem->pages = problem->keys.tensor;
    if (described->softmax_aux_rank > 0) {
        problem->softmax_aux = read_tensor(problem, "softmax_aux");
        support_image_upload(&problem->softmax_aux, problem->device);
    }
    problem->context_lens = read_integers(problem, problem->operation->context_lens, 1, described->num_seqs);
    if (problem->dense)
        problem->sequence_start = read_integers(problem, "sequence_start", 1, described->num_seqs);
    else
        problem->block_tables = read_integers(problem, "block_tables", 2, described->num_seqs);
    if (problem->operation->call == call_ragged_page)
        problem->query_start_loc = read_integers(problem, "query_start_loc", 1, described->num_seqs + 1);
    problem->expected = read_array(problem, "out", NPY_FLOAT32);
    problem->out = support_image_create(CLATTN_FLOAT32, problem->expected.rank, problem->expected.shape, false);
    check_options(problem);
    if (described->append)
        read_append(problem);
}

static void problem_finish(golden_problem *problem)
{
    clattn_kv_cache_destroy(&problem->cache);
    support_image_destroy(&problem->queries);
    support_image_destroy(&problem->keys);
    support_image_destroy(&problem->values);
    support_image_destroy(&problem->softmax_aux);
    support_image_destroy(&problem->out);
    support_image_destroy(&problem->pages_before);
    support_image_destroy(&problem->new_keys);
    support_image_destroy(&problem->new_values);
    npy_destroy(&problem->expected);
    npy_destroy(&problem->query_start_loc);
    npy_destroy(&problem->context_lens);
    npy_destroy(&problem->sequence_start);
    npy_destroy(&problem->block_tables);
    npy_destroy(&problem->slot_mapping);
}

static clattn_plan *create_plan(const golden_problem *problem)
{
    const golden_case *described = problem->described;
    const clattn_plan_params params = {
        .num_seqs = described->num_seqs,
        .total_tokens = (int32_t)problem->queries.tensor.shape[0],
        .query_start_loc = problem->query_start_loc.data.int32,
        .context_lens = problem->context_lens.data.int32,
        .sequence_start = problem->sequence_start.data.int32,
        .block_tables = problem->block_tables.data.int32,
        .pages_per_seq = problem->dense ? 0 : pages_per_seq(problem),
        .dense = problem->dense,
        .slot_mapping = problem->slot_mapping.data.int64,
        .num_q_heads = (int32_t)problem->queries.tensor.shape[1],
        .num_kv_heads = problem->num_kv_heads,
        .head_dim = (int32_t)problem->queries.tensor.shape[2],
        .page_size = problem->page_size,
        .num_pages = problem->num_pages,
        .kv_layout = problem->kv_layout,
        .sliding_window = problem->dense ? described->window.left + 1 : described->sliding_window,
    };
    clattn_plan *plan = NULL;

    require_ok(problem, "clattn_plan_create", clattn_plan_create(problem->device->ctx, &params, &plan));
    return plan;
}

/* Brings the cache into the state before the step, appends the step's tokens and looks at every element. */
static void append_tokens(const golden_problem *problem, const clattn_plan *plan)
{
    const clattn_kv_append_params params = {
        .keys = problem->new_keys.tensor,
        .values = problem->new_values.tensor,
        .plan = plan,
        .slot_mapping = plan ? NULL : problem->slot_mapping.data.int64,
    };
    const int64_t num_elements = problem->keys.tensor.shape[0] * problem->keys.strides[0];
    const size_t num_bytes = (size_t)num_elements * sizeof(float);
    float *written = malloc(num_bytes);

    assert_non_null(written);
    support_require_cl(clEnqueueWriteBuffer(problem->device->queue, problem->pages.buffer, CL_TRUE,
                                            problem->pages.offset_bytes, num_bytes, problem->pages_before.bytes, 0,
                                            NULL, NULL),
                       "clEnqueueWriteBuffer");
    require_ok(problem, "clattn_kv_cache_append", clattn_kv_cache_append(problem->cache, &params, 0, NULL, NULL));
    support_require_cl(clEnqueueReadBuffer(problem->device->queue, problem->pages.buffer, CL_TRUE,
                                           problem->pages.offset_bytes, num_bytes, written, 0, NULL, NULL),
                       "clEnqueueReadBuffer");
    for (int64_t i = 0; i < num_elements; i++) {
        const float expected = support_image_get(&problem->keys, i);
        if (memcmp(&written[i], &expected, sizeof(expected)) != 0)
            fail_msg("case=%s tensor=kv_pages element=%" PRId64 " actual=%.9g expected=%.9g planned=%d",
                     problem->described->name, i, (double)written[i], (double)expected, plan != NULL);
    }
    free(written);
}

/* Runs the case; `out` of the problem holds the result then. */
static void run(golden_problem *problem, bool planned)
{
    clattn_plan *plan = planned ? create_plan(problem) : NULL;
    int64_t damage;

    support_image_fill_canary(&problem->out);
    support_image_upload(&problem->out, problem->device);
    if (problem->cache)
        append_tokens(problem, plan);
    require_ok(problem, problem->operation->name, problem->operation->call(problem, plan));
    clattn_plan_destroy(&plan);
    support_image_download(&problem->out, problem->device);
    damage = support_image_find_damage(&problem->out);
    if (damage >= 0)
        fail_msg("case=%s wrote behind out: byte=%" PRId64 " planned=%d", problem->described->name, damage, planned);
}

/* The first row that no sequence owns. */
static int64_t num_owned_rows(const golden_problem *problem)
{
    return problem->query_start_loc.data.bytes ? problem->query_start_loc.data.int32[problem->described->num_seqs]
                                               : problem->described->num_seqs;
}

static void check_out(const golden_problem *problem)
{
    const int64_t width = problem->expected.shape[2];
    const int64_t heads = problem->expected.shape[1];
    const int64_t num_owned = num_owned_rows(problem) * heads * width;

    for (int64_t i = 0; i < (int64_t)problem->expected.num_elements; i++) {
        const double expected = i < num_owned ? (double)problem->expected.data.float32[i] : 0.0;
        const double actual = (double)support_image_get(&problem->out, i);
        const double error = fabs(actual - expected);
        /* An expected 0 is a row without keys or without an owner. */
        const double bound = expected == 0.0 ? 0.0 : TOLERANCE * (1.0 + fabs(expected));
        if (!(error <= bound)) /* also when it is NaN */
            fail_msg("case=%s row=%" PRId64 " head=%" PRId64 " d=%" PRId64
                     " actual=%.9g expected=%.9g error=%.3g bound=%.3g",
                     problem->described->name, i / width / heads, i / width % heads, i % width, actual, expected, error,
                     bound);
    }
}

static void check_same_bits(const golden_problem *problem, const uint8_t *first)
{
    for (int64_t i = 0; i < (int64_t)problem->expected.num_elements; i++) {
        float without_plan;
        memcpy(&without_plan, first + (size_t)i * sizeof(without_plan), sizeof(without_plan));
        if (memcmp(&without_plan, support_image_bytes(&problem->out, i), sizeof(without_plan)) != 0)
            fail_msg("case=%s element=%" PRId64 " without_plan=%a with_plan=%a", problem->described->name, i,
                     (double)without_plan, (double)support_image_get(&problem->out, i));
    }
}

static void case_gives_the_golden_output(void **state)
{
    golden_problem problem;
    uint8_t *first;

    problem_init(&problem, *state);
    run(&problem, false);
    check_out(&problem);
    first = malloc(problem.out.num_bytes);
    assert_non_null(first);
    memcpy(first, problem.out.bytes, problem.out.num_bytes);
    run(&problem, true);
    check_same_bits(&problem, first);
    free(first);
    problem_finish(&problem);
}

/* A folder without a record would never be looked at. */
static void every_folder_of_data_has_a_case(void **state)
{
    const golden_test *test = *state;
    char data[SUPPORT_PATH_BYTES];
    char last[SUPPORT_PATH_BYTES];

    support_path_join(data, test->folder, "data");
    assert_int_equal(support_directory_list(data, last), test->num_cases);
}

/* The records of FOLDER/cases.txt; what is wrong with them ends the program, as no test exists yet. */
static int32_t read_cases(const char *folder, golden_case cases[GOLDEN_MAX_CASES])
{
    char path[SUPPORT_PATH_BYTES];
    size_t num_bytes;
    int32_t num_cases;
    char *text;
    const char *reason;

    support_path_join(path, folder, "cases.txt");
    if (access(path, R_OK) != 0) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(EXIT_FAILURE);
    }
    text = support_file_read(path, &num_bytes);
    reason = golden_cases_parse(text, cases, &num_cases);
    free(text);
    if (reason) {
        fprintf(stderr, "%s: record %" PRId32 ": %s\n", path, num_cases + 1, reason);
        exit(EXIT_FAILURE);
    }
    return num_cases;
}

int main(int argc, char **argv)
{
    golden_case cases[GOLDEN_MAX_CASES];
    golden_test golden[GOLDEN_MAX_CASES + 1];
    struct CMUnitTest tests[GOLDEN_MAX_CASES + 1] = {{0}}; /* cmocka skips entries without a function */
    golden_test common = {0};
    void *device = NULL;
    int num_failed;

    support_select_family(argc, argv);
    if (argc != 3) {
        fprintf(stderr, "usage: %s FAMILY FOLDER\n", argv[0]);
        return EXIT_FAILURE;
    }
    common.folder = argv[2];
    common.num_cases = read_cases(argv[2], cases);
    /* Not as a group fixture: cmocka gives a test the state of its group, if there is one, and not its own. */
    if (support_device_setup(&device) != 0)
        return EXIT_FAILURE;
    common.device = device;
    for (int32_t i = 0; i <= common.num_cases; i++) {
        const bool is_case = i < common.num_cases;
        golden[i] = common;
        golden[i].described = is_case ? &cases[i] : NULL;
        tests[i].name = is_case ? cases[i].name : "every_folder_of_data_has_a_case";
        tests[i].test_func = is_case ? case_gives_the_golden_output : every_folder_of_data_has_a_case;
        tests[i].initial_state = &golden[i];
    }
    num_failed = cmocka_run_group_tests(tests, NULL, NULL);
    support_device_teardown(&device);
    return num_failed;
}
