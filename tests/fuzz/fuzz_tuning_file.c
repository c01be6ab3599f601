/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of tuning files. Files come as the input's bytes, or with rows whose fields are good, or nearly so. What
 * is visited as a row must be within the limits that the format gives, everything else must have a reason. With the
 * rows in a database, every problem has a tile that the device can run.
 */
#include "fuzz.h"
#include "tuning/file.h"
#include "tuning/resolve.h"
#include "tuning/tunables.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX_FILE_BYTES = 1 << 14 };

static struct {
    int64_t num_files, num_files_refused;
    int64_t num_rows, num_rows_refused;
    int64_t num_answers;
} statistics;

const char *fuzz_summary(void)
{
    static char text[160];
    snprintf(text, sizeof text,
             "%" PRId64 " of %" PRId64 " files refused, %" PRId64 " of %" PRId64 " rows, %" PRId64 " answers",
             statistics.num_files_refused, statistics.num_files, statistics.num_rows_refused, statistics.num_rows,
             statistics.num_answers);
    return text;
}

static void check_text(const char *text)
{
    FUZZ_REQUIRE(text != NULL && strlen(text) < CLATTN_NAME_BYTES, "a text that is none, or too long");
}

static void check_head_dim(int32_t head_dim)
{
    FUZZ_REQUIRE(head_dim >= 8 && head_dim <= 512 && head_dim % 8 == 0, "head_dim %d", (int)head_dim);
}

static void check_real(double value)
{
    FUZZ_REQUIRE(isfinite(value) && value >= 0.0, "a measure of %g", value);
}

static void check_row(const clattn_tuning_row *row)
{
    check_text(row->device);
    check_text(row->vendor);
    check_text(row->driver);
    check_text(row->architecture);
    check_text(row->version);
    check_text(row->date);
    FUZZ_REQUIRE((int)row->type >= 0 && row->type < CLATTN_NUM_DEVICE_TYPES && (int)row->phase >= 0 &&
                     row->phase < CLATTN_NUM_PHASES && row->family > CLATTN_FAMILY_DEFAULT &&
                     row->family < CLATTN_NUM_FAMILIES && row->kv_dtype > CLATTN_DTYPE_DEFAULT &&
                     row->kv_dtype < CLATTN_NUM_DTYPES && (int)row->kv_layout >= 0 &&
                     row->kv_layout < CLATTN_NUM_KV_LAYOUTS && (int)row->batch >= 0 &&
                     row->batch < CLATTN_NUM_BATCH_CLASSES,
                 "a name that is none");
    check_head_dim(row->head_dim);
    check_head_dim(row->head_dim_v);
    FUZZ_REQUIRE(row->group_size >= 1 && row->num_kv_heads >= 1 && row->page_size >= 1, "a count below 1");
    for (int32_t i = 0; i < row->num_parameters; i++)
        FUZZ_REQUIRE(row->parameters[i].value >= 0 &&
                         clattn_tunable_find(row->family, row->phase, row->parameters[i].name) != NULL,
                     "parameter %s is %d", row->parameters[i].name, (int)row->parameters[i].value);
    check_real(row->time_us);
    check_real(row->default_time_us);
    check_real(row->gain);
    check_real(row->noise);
}

/* The device that the good rows are for. */
static const clattn_device_facts device = {
    .name = "a device",
    .vendor = "a vendor",
    .driver = "1.5",
    .architecture = "sm_90",
    .type = CLATTN_DEVICE_GPU,
    .num_compute_units = 8,
    .max_work_group_size = 256,
    .preferred_multiple = 32,
    .float_vector_width = 4,
    .local_memory_bytes = 48 << 10,
};

typedef struct visit_state {
    int32_t num_visits;
    bool whole_refusal;
    clattn_tuning_database database;
} visit_state;

static void visit(void *user, const clattn_tuning_file_row *row)
{
    visit_state *state = user;
    FUZZ_REQUIRE(!state->whole_refusal, "a row behind a refused file");
    FUZZ_REQUIRE((row->row == NULL) == (strlen(row->refusal) > 8),
                 "a row that is refused without a reason, or with one");
    FUZZ_REQUIRE(strpbrk(row->refusal, "\n\r") == NULL, "a reason of several lines");
    if (row->index == -1) {
        FUZZ_REQUIRE(row->row == NULL && state->num_visits == 0, "a file that is refused has rows");
        state->whole_refusal = true;
        return;
    }
    FUZZ_REQUIRE(row->index == state->num_visits, "row %d at %d", (int)row->index, (int)state->num_visits);
    state->num_visits++;
    statistics.num_rows++;
    statistics.num_rows_refused += row->row == NULL;
    if (row->row == NULL)
        return;
    check_row(row->row);
    clattn_error error;
    FUZZ_REQUIRE(clattn_tuning_database_add(&state->database, row->row, &error) == CLATTN_OK, "a row is not added");
}

/* Whatever the rows say, what answers is a tile that the device can run. */
static void ask(clattn_tuning_database *database, fuzz_bytes *bytes)
{
    static const clattn_family families[] = {CLATTN_FAMILY_SIMT, CLATTN_FAMILY_VECTOR, CLATTN_FAMILY_PLAIN};
    clattn_tuning_database_sort(database);
    for (int i = 0; i < 4; i++) {
        const clattn_tile_request request = {
            .family = families[fuzz_between(bytes, 0, 2)],
            .head_dim = fuzz_one_in(bytes, 4) ? 8 * fuzz_between(bytes, 1, 64) : 128,
            .head_dim_v = fuzz_one_in(bytes, 4) ? 8 * fuzz_between(bytes, 1, 64) : 128,
            .group_size = fuzz_between(bytes, 1, 9),
            .num_kv_heads = fuzz_between(bytes, 1, 9),
            .token_major = !fuzz_one_in(bytes, 4),
            .dense = fuzz_one_in(bytes, 4),
            .kv_dtype = (clattn_dtype)fuzz_between(bytes, 0, CLATTN_NUM_DTYPES - 1),
            .page_size = fuzz_between(bytes, 0, 300),
            .num_seqs = fuzz_between(bytes, 0, 20),
        };
        clattn_row row;
        clattn_error error;
        if (clattn_tuning_resolve(database, &request, NULL, &row, NULL, &error) != CLATTN_OK) {
            const clattn_tuning_database none = {.facts = &device};
            FUZZ_REQUIRE(clattn_tuning_resolve(&none, &request, NULL, &row, NULL, &error) != CLATTN_OK,
                         "a row makes a problem fail that the default serves");
            continue;
        }
        for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++) {
            FUZZ_REQUIRE(clattn_tile_check(&device, &request, (clattn_phase)phase, &row.tiles[phase], 0, &error) ==
                             CLATTN_OK,
                         "%s", error.text);
            statistics.num_answers += row.levels[phase] != CLATTN_TUNING_DEFAULT;
        }
    }
}

static void read_file(const void *data, size_t num_bytes, fuzz_bytes *bytes)
{
    const int file = memfd_create("fuzz", MFD_CLOEXEC);
    FUZZ_REQUIRE(file >= 0 && write(file, data, num_bytes) == (ssize_t)num_bytes && lseek(file, 0, SEEK_SET) == 0,
                 "no file of %zu bytes", num_bytes);
    visit_state state = {.database = {.facts = &device}};
    clattn_error error = {.text = ""};
    const clattn_status status = clattn_tuning_file_visit(file, visit, &state, &error);
    close(file);
    FUZZ_REQUIRE(status == CLATTN_OK || status == CLATTN_INVALID_ARGUMENT, "status %d", (int)status);
    FUZZ_REQUIRE((status == CLATTN_OK) == (error.text[0] == '\0') && state.whole_refusal == (status != CLATTN_OK),
                 "status %d with \"%s\"", (int)status, error.text);
    statistics.num_files++;
    statistics.num_files_refused += status != CLATTN_OK;
    ask(&state.database, bytes);
    clattn_tuning_database_finish(&state.database);
}

/* A file in the making; what does not fit is left out. */
typedef struct file_text {
    char text[MAX_FILE_BYTES];
    size_t num_bytes;
} file_text;

static void append(file_text *file, const char *text)
{
    const size_t num_bytes = strlen(text);
    if (num_bytes > sizeof file->text - file->num_bytes)
        return;
    memcpy(file->text + file->num_bytes, text, num_bytes);
    file->num_bytes += num_bytes;
}

/* Each field with values that are good, the first one among them, and values that are not. */
static const char *const row_fields[][5] = {
    {"device", "\"a device\"", "\"\"", "\"\\u00e4\\n\"", "1"},
    {"vendor", "\"a vendor\"", "\"\"", "\"\\u0000\"", "{}"},
    {"driver", "\"1.5\"", "\"\"", "\"1\"", "null"},
    {"architecture", "\"sm_90\"", "\"\"", "\"cpu16\"", "[]"},
    {"type", "\"gpu\"", "\"cpu\"", "\"accelerator\"", "\"fpga\""},
    {"version", "\"0.1.0\"", "\"\"", "\"9\"", "0.1"},
    {"op", "\"paged\"", "\"dense\"", "\"dense\"", "\"Paged\""},
    {"phase", "\"decode\"", "\"prefill\"", "\"prefill\"", "\"\""},
    {"family", "\"simt\"", "\"vector\"", "\"plain\"", "\"default\""},
    {"kv_dtype", "\"float16\"", "\"bfloat16\"", "\"float32\"", "\"default\""},
    {"head_dim", "128", "8", "512", "12"},
    {"head_dim_v", "128", "8", "512", "1e9"},
    {"group_size", "4", "1", "2147483647", "0"},
    {"num_kv_heads", "8", "1", "2147483647", "1.5"},
    {"kv_layout", "\"nhd\"", "\"hnd\"", "\"combined\"", "\"dense\""},
    {"page_size", "16", "1", "2147483647", "-1"},
    {"batch", "\"small\"", "\"single\"", "\"large\"", "\"huge\""},
    {"parameters", "{}", "{\"block_q\": 4}", "{\"block_q\": 8, \"block_kv\": 32, \"lanes\": 8}", "{\"block_q\": -1}"},
    {"time_us", "1.5", "0", "1e-300", "1e999"},
    {"default_time_us", "3", "0", "-0", "-1"},
    {"gain", "2", "0", "1", "\"2\""},
    {"noise", "0.01", "0", "1", "true"},
    {"date", "\"2026-01-31\"", "\"\"", "\"today\"", "2026"},
};

static void append_row(file_text *file, fuzz_bytes *bytes)
{
    append(file, "{");
    for (size_t i = 0; i < sizeof row_fields / sizeof *row_fields; i++) {
        if (fuzz_one_in(bytes, 64))
            continue;
        for (int copies = fuzz_one_in(bytes, 64) ? 2 : 1; copies > 0; copies--) {
            const int value = fuzz_one_in(bytes, 32) ? 4 : fuzz_one_in(bytes, 8) ? fuzz_between(bytes, 2, 3) : 1;
            append(file, i > 0 ? ", \"" : "\"");
            append(file, row_fields[i][0]);
            append(file, "\": ");
            append(file, row_fields[i][value]);
        }
    }
    append(file, "}");
}

/* A whole file; up to two of its bytes are changed, and some at its end are cut off. */
static void read_nearly_whole_file(fuzz_bytes *bytes)
{
    static file_text file;
    file.num_bytes = 0;
    append(&file, fuzz_one_in(bytes, 16) ? "{\"schema\": 2, \"rows\": [" : "{\"schema\": 1, \"rows\": [");
    const int32_t num_rows = fuzz_between(bytes, 0, 4);
    for (int32_t row = 0; row < num_rows; row++) {
        append(&file, row > 0 ? ",\n" : "\n");
        append_row(&file, bytes);
    }
    append(&file, fuzz_one_in(bytes, 16) ? "], \"more\": 1}" : "]}");
    if (fuzz_one_in(bytes, 4)) {
        for (int32_t i = fuzz_between(bytes, 1, 2); i > 0; i--)
            file.text[fuzz_take(bytes, 2) % file.num_bytes] = (char)fuzz_take(bytes, 1);
    }
    if (fuzz_one_in(bytes, 16))
        file.num_bytes -= (size_t)fuzz_between(bytes, 1, 9);
    read_file(file.text, file.num_bytes, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t num_bytes)
{
    fuzz_bytes bytes = {data, num_bytes};
    read_file(data, num_bytes, &(fuzz_bytes){data, num_bytes});
    read_nearly_whole_file(&bytes);
    return 0;
}
