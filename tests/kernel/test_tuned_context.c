/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contexts with a tuning file: its rows run, chosen by driver, batch and dtype; what is wrong with it is told; memory
 * is reserved for the rows of all batches; it may be replaced meanwhile.
 */
#include "attention/plan.h"
#include "support/attention.h"
#include "support/directory.h"
#include "support/tuning_rows.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

enum { MAX_LINES = 16, LINE_BYTES = 4096, HEAD_DIM = 64, LARGE_BATCH = 20, MAX_CHANGES = 2 };

/* A device with a tuning file, and what contexts on it have logged as warnings. */
typedef struct tuned_device {
    support_device device; /* without a file */
    char *directory;
    char path[SUPPORT_PATH_BYTES]; /* of the file, which is not there at first */
    support_tuning_text file;
    bool verify_kernels; /* of contexts */
    int num_lines;
    char lines[MAX_LINES][LINE_BYTES];
} tuned_device;

static int set_up(void **state)
{
    tuned_device *tuned = calloc(1, sizeof *tuned);
    void *device = NULL;
    void *directory = NULL;
    if (tuned == NULL || support_device_setup(&device) != 0 || support_directory_setup(&directory) != 0)
        return -1;
    tuned->device = *(support_device *)device;
    tuned->directory = directory;
    support_path_join(tuned->path, tuned->directory, "tuning.json");
    free(device);
    *state = tuned;
    return 0;
}

static int tear_down(void **state)
{
    tuned_device *tuned = *state;
    void *directory = tuned->directory;
    support_device *device = malloc(sizeof *device);
    assert_non_null(device);
    *device = tuned->device;
    void *device_state = device;
    free(tuned->file.text);
    free(tuned);
    return support_directory_teardown(&directory) | support_device_teardown(&device_state);
}

static void keep_warning(void *user, clattn_log_level level, const char *message)
{
    tuned_device *tuned = user;
    if (level > CLATTN_LOG_WARNING)
        return;
    assert_true(tuned->num_lines < MAX_LINES);
    snprintf(tuned->lines[tuned->num_lines++], LINE_BYTES, "%s", message);
}

/* A context on the device's queue. */
static clattn_context *open_context(tuned_device *tuned, const char *tuning_file)
{
    const clattn_context_params params = {
        .cl_context_handle = tuned->device.cl,
        .cl_device = clattn_context_cl_device(tuned->device.ctx),
        .cl_queue = tuned->device.queue,
        .family = tuned->device.family,
        .cache_dir = "",
        .tuning_file = tuning_file,
        .verify_kernels = tuned->verify_kernels,
        .log = keep_warning,
        .log_user = tuned,
    };
    clattn_context *ctx = NULL;
    tuned->num_lines = 0;
    assert_int_equal(clattn_context_create(&params, &ctx), CLATTN_OK);
    return ctx;
}

static const char *quoted(char text[CLATTN_NAME_BYTES + 2], const char *name)
{
    snprintf(text, CLATTN_NAME_BYTES + 2, "\"%.*s\"", CLATTN_NAME_BYTES - 1, name);
    return text;
}

/* Adds a row for the device and the family under test. */
static void add_row(tuned_device *tuned, const char *phase, const char *parameters, int num_changes,
                    const support_tuning_field *changes)
{
    const clattn_device_facts *facts = clattn_context_device(tuned->device.ctx);
    char device[CLATTN_NAME_BYTES + 2], driver[CLATTN_NAME_BYTES + 2], family[CLATTN_NAME_BYTES + 2];
    char quoted_phase[CLATTN_NAME_BYTES + 2];
    const support_tuning_field own[] = {
        {"device", quoted(device, facts->name)},
        {"driver", quoted(driver, facts->driver)},
        {"family", quoted(family, clattn_family_name(clattn_context_family(tuned->device.ctx)))},
        {"phase", quoted(quoted_phase, phase)},
        {"head_dim", "64"},
        {"head_dim_v", "64"},
        {"group_size", "2"},
        {"kv_dtype", "\"float32\""},
        {"parameters", parameters},
    };
    support_tuning_field fields[MAX_CHANGES + COUNT(own)]; /* of two changes of one field the first one counts */
    assert_true(num_changes <= MAX_CHANGES);
    if (num_changes > 0)
        memcpy(fields, changes, (size_t)num_changes * sizeof *fields);
    memcpy(fields + num_changes, own, sizeof own);
    support_tuning_add_row(&tuned->file, num_changes + COUNT(own), fields);
}

/* Tiles that are not the default ones: of decode, of prefill. */
static const char *const other_tiles[CLATTN_NUM_FAMILIES][CLATTN_NUM_PHASES] = {
    [CLATTN_FAMILY_VECTOR] = {"{\"block_kv\": 32, \"groups_per_unit\": 3}", "{\"block_q\": 64, \"block_kv\": 32}"},
    [CLATTN_FAMILY_SIMT] = {"{\"block_kv\": 64, \"groups_per_unit\": 3}", "{\"block_q\": 16, \"block_kv\": 64}"},
    [CLATTN_FAMILY_PLAIN] = {"{\"block_q\": 16, \"groups_per_unit\": 3}", "{\"block_q\": 64}"},
};

static void add_other_tiles(tuned_device *tuned, int num_changes, const support_tuning_field *changes)
{
    const clattn_family family = clattn_context_family(tuned->device.ctx);
    add_row(tuned, "decode", other_tiles[family][CLATTN_PHASE_DECODE], num_changes, changes);
    add_row(tuned, "prefill", other_tiles[family][CLATTN_PHASE_PREFILL], num_changes, changes);
}

static void assert_other_tiles(const clattn_row *row)
{
    const clattn_tile *prefill = &row->tiles[CLATTN_PHASE_PREFILL];
    assert_int_equal(row->tiles[CLATTN_PHASE_DECODE].groups_per_unit, 3);
    assert_int_equal(prefill->block_q, row->family == CLATTN_FAMILY_SIMT ? 16 : 64);
    if (row->family != CLATTN_FAMILY_PLAIN)
        assert_int_equal(prefill->block_kv, row->family == CLATTN_FAMILY_SIMT ? 64 : 32);
}

static const clattn_tuning_query_params question = {
    .num_q_heads = 4, .num_kv_heads = 2, .head_dim = HEAD_DIM, .page_size = 16, .kv_dtype = CLATTN_FLOAT32};

static clattn_tuning_level level_of(clattn_context *ctx)
{
    clattn_tuning_answer answer;
    assert_int_equal(clattn_context_tuning_query(ctx, &question, &answer), CLATTN_OK);
    assert_int_equal(answer.decode.level, answer.prefill.level);
    assert_int_equal(answer.family, clattn_context_family(ctx));
    assert_true((answer.decode.row[0] == '\0') == (answer.decode.level == CLATTN_TUNING_DEFAULT));
    return answer.decode.level;
}

/* The level that answers with the file as it is. */
static clattn_tuning_level level_with(tuned_device *tuned, const char *tuning_file)
{
    clattn_context *ctx = open_context(tuned, tuning_file);
    const clattn_tuning_level level = level_of(ctx);
    clattn_context_destroy(&ctx);
    return level;
}

/* ---- rows that run ---- */

static const int32_t q_lens[] = {1, 70, 1};
static const int32_t context_lens[] = {300, 93, 1};

static const support_attention_case mixed_case = {
    .seed = 3,
    .num_seqs = 3,
    .q_lens = q_lens,
    .context_lens = context_lens,
    .num_q_heads = 4,
    .num_kv_heads = 2,
    .head_dim = HEAD_DIM,
    .page_size = 16,
    .kv_layout = CLATTN_KV_NHD,
};

static void calls_and_plans_run_with_the_rows(void **state)
{
    tuned_device *tuned = *state;
    add_other_tiles(tuned, 0, NULL);
    support_tuning_write(&tuned->file, tuned->path);
    support_device device = tuned->device;
    device.ctx = open_context(tuned, tuned->path);
    assert_int_equal(tuned->num_lines, 0);
    assert_int_equal(level_of(device.ctx), CLATTN_TUNING_USER_DRIVER);
    support_attention *attention = support_attention_create(&device, &mixed_case);
    support_attention_run(attention, &device);
    support_attention_check(attention);
    assert_other_tiles(&device.ctx->call_plan->row);
    support_attention_run_with_plan(attention, &device);
    support_attention_check(attention);

    const clattn_plan_params params = support_attention_plan_params(attention);
    clattn_plan *plan = NULL;
    clattn_plan_info info;
    assert_int_equal(clattn_plan_create(device.ctx, &params, &plan), CLATTN_OK);
    assert_int_equal(clattn_plan_get_info(plan, &info), CLATTN_OK);
    assert_other_tiles(&plan->row);
    assert_int_equal(info.block_q, plan->row.tiles[CLATTN_PHASE_PREFILL].block_q);
    assert_int_equal(info.block_kv, plan->row.tiles[CLATTN_PHASE_PREFILL].block_kv);
    clattn_plan_destroy(&plan);
    support_attention_destroy(&attention);
    clattn_context_destroy(&device.ctx);
}

/* They are no less trusted than the default's: none is replaced. */
static void kernels_of_the_rows_prove_themselves(void **state)
{
    tuned_device *tuned = *state;
    tuned->verify_kernels = true;
    calls_and_plans_run_with_the_rows(state);
    assert_int_equal(tuned->num_lines, 0);
}

static void rows_of_another_driver_or_device_say_so(void **state)
{
    tuned_device *tuned = *state;
    add_other_tiles(tuned, 1, &(support_tuning_field){"driver", "\"another\""});
    support_tuning_write(&tuned->file, tuned->path);
    assert_int_equal(level_with(tuned, tuned->path), CLATTN_TUNING_USER_DEVICE);
    add_other_tiles(tuned, 1, &(support_tuning_field){"device", "\"another\""});
    support_tuning_write(&tuned->file, tuned->path);
    assert_int_equal(level_with(tuned, tuned->path), CLATTN_TUNING_DEFAULT);
    assert_int_equal(tuned->num_lines, 0);
}

/* min_split_tokens of the row that a plan for so many sequences runs with. */
static int32_t split_of(clattn_context *ctx, int32_t num_seqs, clattn_dtype kv_dtype, int32_t num_splits,
                        bool batch_invariant)
{
    static const int32_t lens[LARGE_BATCH] = {0};
    const clattn_plan_params params = {
        .num_seqs = num_seqs,
        .total_tokens = num_seqs,
        .context_lens = lens,
        .dense = true,
        .num_q_heads = 4,
        .num_kv_heads = 2,
        .head_dim = HEAD_DIM,
        .page_size = 16,
        .num_pages = LARGE_BATCH,
        .kv_layout = CLATTN_KV_NHD,
        .kv_dtype = kv_dtype,
        .num_splits = num_splits,
        .batch_invariant = batch_invariant,
    };
    clattn_plan *plan = NULL;
    assert_int_equal(clattn_plan_create(ctx, &params, &plan), CLATTN_OK);
    const int32_t split = plan->row.min_split_tokens;
    clattn_plan_destroy(&plan);
    return split;
}

static void add_split_row(tuned_device *tuned, int32_t min_split_tokens, const char *field, const char *value)
{
    char parameters[48];
    snprintf(parameters, sizeof parameters, "{\"min_split_tokens\": %d}", (int)min_split_tokens);
    add_row(tuned, "decode", parameters, 1, &(support_tuning_field){field, value});
}

static void class_of_the_batch_chooses_the_row(void **state)
{
    tuned_device *tuned = *state;
    add_split_row(tuned, 1000, "batch", "\"large\"");
    add_split_row(tuned, 2000, "batch", "\"single\"");
    add_split_row(tuned, 3000, "batch", "\"small\"");
    support_tuning_write(&tuned->file, tuned->path);
    clattn_context *ctx = open_context(tuned, tuned->path);
    assert_int_equal(split_of(ctx, 1, CLATTN_FLOAT32, 0, false), 2000);
    assert_int_equal(split_of(ctx, 2, CLATTN_FLOAT32, 0, false), 3000);
    assert_int_equal(split_of(ctx, 15, CLATTN_FLOAT32, 0, false), 3000);
    assert_int_equal(split_of(ctx, 16, CLATTN_FLOAT32, 0, false), 1000);
    /* Where the others of a batch must not matter, their number does not. */
    for (int32_t num_seqs = 1; num_seqs <= LARGE_BATCH; num_seqs++) {
        assert_int_equal(split_of(ctx, num_seqs, CLATTN_FLOAT32, 0, true), 1000);
        assert_int_equal(split_of(ctx, num_seqs, CLATTN_FLOAT32, 2, false), 1000);
    }
    clattn_context_destroy(&ctx);
}

static void dtype_chooses_the_row(void **state)
{
    tuned_device *tuned = *state;
    add_split_row(tuned, 1000, "kv_dtype", "\"bfloat16\"");
    add_split_row(tuned, 2000, "kv_dtype", "\"float32\"");
    support_tuning_write(&tuned->file, tuned->path);
    support_device device = tuned->device;
    device.ctx = open_context(tuned, tuned->path);
    assert_int_equal(split_of(device.ctx, 4, CLATTN_FLOAT32, 0, false), 2000);
    assert_int_equal(split_of(device.ctx, 4, CLATTN_BFLOAT16, 0, false), 1000);
    assert_int_equal(split_of(device.ctx, 4, CLATTN_FLOAT16, 0, false), 1000);
    assert_int_equal(split_of(device.ctx, 4, CLATTN_DTYPE_DEFAULT, 0, false), 1000); /* the first */
    support_attention_case description = mixed_case;
    static const clattn_dtype dtypes[] = {CLATTN_FLOAT32, CLATTN_BFLOAT16};
    for (int i = 0; i < COUNT(dtypes); i++) { /* a call knows its own */
        description.kv_dtype = dtypes[i];
        support_attention *attention = support_attention_create(&device, &description);
        support_attention_run(attention, &device);
        support_attention_check(attention);
        assert_int_equal(device.ctx->call_plan->row.min_split_tokens, i == 0 ? 2000 : 1000);
        support_attention_destroy(&attention);
    }
    clattn_context_destroy(&device.ctx);
}

static void kv_dtype_out_of_range_is_refused(void **state)
{
    const tuned_device *tuned = *state;
    clattn_context *ctx = tuned->device.ctx;
    const clattn_plan_params params = {
        .num_q_heads = 1, .num_kv_heads = 1, .head_dim = 8, .page_size = 1, .kv_dtype = CLATTN_NUM_DTYPES};
    clattn_tuning_query_params query = question;
    clattn_tuning_answer answer;
    clattn_plan *plan = NULL;
    assert_int_equal(clattn_plan_create(ctx, &params, &plan), CLATTN_INVALID_ARGUMENT);
    assert_string_equal(clattn_context_last_error(ctx), "kv_dtype is 4, expected 0..3");
    query.kv_dtype = (clattn_dtype)-1;
    assert_int_equal(clattn_context_tuning_query(ctx, &query, &answer), CLATTN_INVALID_ARGUMENT);
    assert_string_equal(answer.refusal, "kv_dtype is -1, expected 0..3");
    query = question;
    query.num_seqs = -1;
    assert_int_equal(clattn_context_tuning_query(ctx, &query, &answer), CLATTN_INVALID_ARGUMENT);
    assert_string_equal(clattn_context_last_error(ctx), "num_seqs is -1, expected 0 or more");
    assert_int_equal(clattn_context_tuning_query(ctx, NULL, &answer), CLATTN_INVALID_ARGUMENT);
    assert_string_equal(answer.refusal, "params is NULL");
    assert_int_equal(clattn_context_tuning_query(ctx, &question, NULL), CLATTN_INVALID_ARGUMENT);
    assert_int_equal(clattn_context_tuning_query(NULL, &question, &answer), CLATTN_INVALID_ARGUMENT);
}

/* Rows of one class ask for far more splits than those of the plan that reserves. */
static void memory_is_reserved_for_the_rows_of_every_batch(void **state)
{
    static const char *const classes[] = {"\"single\"", "\"small\"", "\"large\""};
    static const int32_t num_seqs[] = {1, 2, 7, 15, 16, LARGE_BATCH};
    static int32_t lens[LARGE_BATCH];
    tuned_device *tuned = *state;
    for (int i = 0; i < COUNT(lens); i++)
        lens[i] = 4000 - i;
    for (int greedy = 0; greedy < COUNT(classes); greedy++) {
        for (int i = 0; i < COUNT(classes); i++)
            add_row(tuned, "decode",
                    i == greedy ? "{\"groups_per_unit\": 64, \"min_split_tokens\": 16}"
                                : "{\"groups_per_unit\": 1, \"min_split_tokens\": 4000}",
                    1, &(support_tuning_field){"batch", classes[i]});
        support_tuning_write(&tuned->file, tuned->path);
        clattn_context *ctx = open_context(tuned, tuned->path);
        clattn_plan_params params = {
            .context_lens = lens,
            .dense = true,
            .num_q_heads = 4,
            .num_kv_heads = 2,
            .head_dim = HEAD_DIM,
            .page_size = 4096,
            .num_pages = LARGE_BATCH,
            .kv_layout = CLATTN_KV_NHD,
        };
        clattn_plan *plan = NULL;
        clattn_plan_info reserved, used;
        assert_int_equal(clattn_plan_create(ctx, &params, &plan), CLATTN_OK);
        assert_int_equal(clattn_plan_reserve(plan, LARGE_BATCH, LARGE_BATCH, 4096), CLATTN_OK);
        assert_int_equal(clattn_plan_get_info(plan, &reserved), CLATTN_OK);
        for (int i = 0; i < COUNT(num_seqs); i++) {
            params.num_seqs = params.total_tokens = num_seqs[i];
            assert_int_equal(clattn_plan_update(plan, &params), CLATTN_OK);
            assert_int_equal(clattn_plan_get_info(plan, &used), CLATTN_OK);
            assert_int_equal(used.workspace_bytes, reserved.workspace_bytes);
            assert_int_equal(used.metadata_bytes, reserved.metadata_bytes);
            assert_int_equal(plan->row.min_split_tokens, (int)clattn_batch_class_of(num_seqs[i]) == greedy ? 16 : 4000);
        }
        clattn_plan_destroy(&plan);
        clattn_context_destroy(&ctx);
    }
}

/* ---- the file ---- */

static void what_is_wrong_is_told_and_the_rest_is_used(void **state)
{
    tuned_device *tuned = *state;
    char expected[LINE_BYTES];
    add_row(tuned, "decode", "{}", 1, &(support_tuning_field){"head_dim", "100"});
    add_other_tiles(tuned, 0, NULL);
    add_row(tuned, "prefill", "{\"speed\": 9}", 0, NULL);
    support_tuning_write(&tuned->file, tuned->path);
    assert_int_equal(level_with(tuned, tuned->path), CLATTN_TUNING_USER_DRIVER);
    assert_int_equal(tuned->num_lines, 2);
    snprintf(expected, sizeof expected, "tuning file %s: row 0: head_dim: expected a multiple of 8 in 8..512, got 100",
             tuned->path);
    assert_string_equal(tuned->lines[0], expected);
    snprintf(expected, sizeof expected, "tuning file %s: row 3: parameters: \"speed\" is no tunable of %s prefill",
             tuned->path, clattn_family_name(clattn_context_family(tuned->device.ctx)));
    assert_string_equal(tuned->lines[1], expected);

    support_file_write(tuned->path, "{\"schema\": 7}", 13);
    assert_int_equal(level_with(tuned, tuned->path), CLATTN_TUNING_DEFAULT);
    assert_int_equal(tuned->num_lines, 1);
    snprintf(expected, sizeof expected, "tuning file %s: schema: expected 1, got 7", tuned->path);
    assert_string_equal(tuned->lines[0], expected);
}

/* A row that this device cannot run is none, and nothing to be told. */
static void row_that_cannot_run_is_passed_over(void **state)
{
    tuned_device *tuned = *state;
    add_row(tuned, "decode", "{\"groups_per_unit\": 0}", 0, NULL);
    support_tuning_write(&tuned->file, tuned->path);
    assert_int_equal(level_with(tuned, tuned->path), CLATTN_TUNING_DEFAULT);
    assert_int_equal(tuned->num_lines, 0);
}

/* The environment as a test wants it; the tests of a program run one after another. */
static void set_or_unset(const char *name, const char *value)
{
    assert_int_equal(value != NULL ? setenv(name, value, 1) : unsetenv(name), 0);
}

static void make_folder(char path[SUPPORT_PATH_BYTES], const char *parent, const char *name)
{
    support_path_join(path, parent, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void file_is_where_the_environment_says(void **state)
{
    tuned_device *tuned = *state;
    char dot_config[SUPPORT_PATH_BYTES], folder[SUPPORT_PATH_BYTES], path[SUPPORT_PATH_BYTES];
    char *home = getenv("HOME") != NULL ? strdup(getenv("HOME")) : NULL;
    char *config = getenv("XDG_CONFIG_HOME") != NULL ? strdup(getenv("XDG_CONFIG_HOME")) : NULL;
    make_folder(dot_config, tuned->directory, ".config");
    make_folder(folder, dot_config, "clattn");
    support_path_join(path, folder, "tuning.json");
    add_other_tiles(tuned, 0, NULL);
    support_tuning_write(&tuned->file, path);

    set_or_unset("XDG_CONFIG_HOME", dot_config);
    set_or_unset("HOME", "/nowhere");
    assert_int_equal(level_with(tuned, NULL), CLATTN_TUNING_USER_DRIVER);
    assert_int_equal(level_with(tuned, ""), CLATTN_TUNING_DEFAULT);
    set_or_unset("XDG_CONFIG_HOME", NULL);
    assert_int_equal(level_with(tuned, NULL), CLATTN_TUNING_DEFAULT);
    assert_int_equal(tuned->num_lines, 0); /* nobody asked for a file */
    set_or_unset("HOME", tuned->directory);
    assert_int_equal(level_with(tuned, NULL), CLATTN_TUNING_USER_DRIVER);
    set_or_unset("XDG_CONFIG_HOME", "relative/paths/do/not/count");
    assert_int_equal(level_with(tuned, NULL), CLATTN_TUNING_USER_DRIVER);
    set_or_unset("HOME", NULL);
    assert_int_equal(level_with(tuned, NULL), CLATTN_TUNING_DEFAULT);
    set_or_unset("HOME", home);
    set_or_unset("XDG_CONFIG_HOME", config);
    free(home);
    free(config);
}

static void file_that_is_named_and_absent_is_told(void **state)
{
    tuned_device *tuned = *state;
    char expected[LINE_BYTES];
    assert_int_equal(level_with(tuned, tuned->path), CLATTN_TUNING_DEFAULT);
    assert_int_equal(tuned->num_lines, 1);
    snprintf(expected, sizeof expected, "tuning file %s: cannot be read: No such file or directory", tuned->path);
    assert_string_equal(tuned->lines[0], expected);
    assert_int_equal(level_with(tuned, tuned->directory), CLATTN_TUNING_DEFAULT);
    assert_int_equal(tuned->num_lines, 1);
}

/* ---- replacement ---- */

typedef struct replacement {
    const tuned_device *tuned;
    char paths[2][SUPPORT_PATH_BYTES];
    atomic_bool stop;
    int num_replaced;
} replacement;

/* Writes each version beside the file and renames it over the file, again and again. */
static void *replace(void *user)
{
    replacement *work = user;
    char next[SUPPORT_PATH_BYTES];
    support_path_join(next, work->tuned->directory, "next.json");
    while (!atomic_load(&work->stop)) {
        (void)unlink(next);
        if (link(work->paths[work->num_replaced % 2], next) != 0 || rename(next, work->tuned->path) != 0)
            break;
        work->num_replaced++;
    }
    return NULL;
}

static void file_that_is_replaced_meanwhile_is_the_old_or_the_new_one(void **state)
{
    tuned_device *tuned = *state;
    replacement work = {.tuned = tuned};
    for (int version = 0; version < 2; version++) {
        support_path_join(work.paths[version], tuned->directory, version == 0 ? "a.json" : "b.json");
        for (int i = 0; i < 200; i++) /* so that reading takes its time */
            add_split_row(tuned, 1000 + version, "device", "\"another\"");
        add_split_row(tuned, 1000 + version, "batch", "\"small\"");
        support_tuning_write(&tuned->file, work.paths[version]);
    }
    assert_int_equal(link(work.paths[0], tuned->path), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, replace, &work), 0);
    int num_unknown = 0, num_lines = 0;
    for (int i = 0; i < 100; i++) {
        clattn_context *ctx = open_context(tuned, tuned->path);
        const int32_t split = split_of(ctx, 4, CLATTN_FLOAT32, 0, false);
        num_unknown += split != 1000 && split != 1001;
        num_lines += tuned->num_lines;
        clattn_context_destroy(&ctx);
    }
    atomic_store(&work.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(num_unknown, 0);
    assert_int_equal(num_lines, 0);
    assert_true(work.num_replaced > 10);
}

#define WITH_DEVICE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        WITH_DEVICE(calls_and_plans_run_with_the_rows),
        WITH_DEVICE(kernels_of_the_rows_prove_themselves),
        WITH_DEVICE(rows_of_another_driver_or_device_say_so),
        WITH_DEVICE(class_of_the_batch_chooses_the_row),
        WITH_DEVICE(dtype_chooses_the_row),
        WITH_DEVICE(kv_dtype_out_of_range_is_refused),
        WITH_DEVICE(memory_is_reserved_for_the_rows_of_every_batch),
        WITH_DEVICE(what_is_wrong_is_told_and_the_rest_is_used),
        WITH_DEVICE(row_that_cannot_run_is_passed_over),
        WITH_DEVICE(file_is_where_the_environment_says),
        WITH_DEVICE(file_that_is_named_and_absent_is_told),
        WITH_DEVICE(file_that_is_replaced_meanwhile_is_the_old_or_the_new_one),
    };
    support_select_family(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
