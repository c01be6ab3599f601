/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists what a device compiler would be given on a device with the given facts, by the code that gives it: the programs
 * of a family for the model shapes of cl-bench in every dtype of the KV cache, and for some odd shapes.
 *
 * usage: offline_variants FOLDER FAMILY LOCAL_MEMORY_BYTES MAX_WORK_GROUP_SIZE PREFERRED_MULTIPLE NARROWEST_SUB_GROUP
 *
 * Writes each program's source to FOLDER/NAME.cl and a line of tab-separated fields per kernel to standard output:
 * shape, dtype, operation, NAME, kernel, bytes of local arrays that the tile promises, work-items, build options.
 */
#include "attention/variant.h"
#include "common/shapes.h"
#include "kv_cache/append.h"
#include "runtime/sources.h"
#include "tuning/resolve.h"
#include "tuning/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* Head dimensions that no model above has: no power of two, K and V of different width, the widest; long groups. */
static const tool_shape odd_shapes[] = {
    {"odd-8", 4, 4, 8, 8, 0, 0.0f, false, 0},
    {"odd-8-512", 4, 4, 8, 512, 0, 50.0f, true, 0},
    {"odd-40", 20, 4, 40, 40, 0, 0.0f, false, 0},
    {"odd-48", 4, 4, 48, 48, 0, 50.0f, true, 0},
    {"odd-56", 4, 4, 56, 56, 0, 50.0f, true, 0},
    {"odd-112", 64, 1, 112, 112, 0, 30.0f, true, 0},
    {"odd-192-128", 16, 16, 192, 128, 0, 0.0f, false, 0},
    {"odd-256-512", 16, 4, 256, 512, 0, 0.0f, false, 0},
    {"odd-512", 8, 1, 512, 512, 0, 50.0f, true, 0},
};

static const clattn_dtype dtypes[] = {CLATTN_FLOAT32, CLATTN_FLOAT16, CLATTN_BFLOAT16};

/* How the results of a shape are asked for. */
typedef struct variant_options {
    clattn_dtype q_dtype; /* and of the output */
    clattn_state_kind state_kind;
    bool numerator;
} variant_options;

typedef struct listing {
    const char *folder;
    clattn_device_facts facts;
    clattn_family family;
    bool written[CLATTN_NUM_PROGRAMS];
} listing;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "offline_variants: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

/* "simt/prefill" as a file's name: "simt_prefill". */
static void program_file_name(clattn_program_id program, char name[64])
{
    snprintf(name, 64, "%s", clattn_program_sources[program].name);
    for (char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash, '/'))
        *slash = '_';
}

static void write_source(listing *list, clattn_program_id program)
{
    const clattn_program_source *source = &clattn_program_sources[program];
    char name[64];
    char path[4096];
    if (list->written[program])
        return;
    program_file_name(program, name);
    snprintf(path, sizeof path, "%s/%s.cl", list->folder, name);
    FILE *file = fopen(path, "w");
    if (file == NULL)
        fail(path, "cannot be written");
    for (int i = 0; i < source->num_parts; i++)
        fputs(source->parts[i], file);
    if (fclose(file) != 0)
        fail(path, "cannot be written");
    list->written[program] = true;
}

static void print_variant(listing *list, const tool_shape *shape, clattn_dtype dtype, const char *operation,
                          const clattn_variant *variant, int64_t local_bytes, int64_t work_group_size)
{
    char name[64];
    char *options = clattn_variant_options(variant);
    if (options == NULL)
        fail(shape->name, "no memory");
    write_source(list, variant->program);
    program_file_name(variant->program, name);
    printf("%s\t%s\t%s\t%s\t%s\t%lld\t%lld\t%s\n", shape->name, clattn_dtype_name(dtype), operation, name,
           clattn_program_sources[variant->program].kernel, (long long)local_bytes, (long long)work_group_size,
           options);
    free(options);
}

static clattn_problem problem_of(const tool_shape *shape, clattn_dtype kv_dtype, const variant_options *options)
{
    return (clattn_problem){
        .num_q_heads = shape->num_q_heads,
        .num_kv_heads = shape->num_kv_heads,
        .head_dim = shape->head_dim,
        .head_dim_v = shape->head_dim_v,
        .q_dtype = options->q_dtype,
        .k_dtype = kv_dtype,
        .v_dtype = kv_dtype,
        .out_dtype = options->q_dtype,
        .state_kind = options->state_kind,
        .numerator = options->numerator,
        .sinks = {.num_per_row = shape->sinks ? 1 : 0},
        .logits_soft_cap = shape->logits_soft_cap,
    };
}

static void list_merge(listing *list, const tool_shape *shape, clattn_dtype dtype, const clattn_problem *problem,
                       const clattn_merge_kind *kind)
{
    const uint32_t work_group_size = clattn_row_wise_work_group_size(&list->facts, list->family);
    const clattn_variant variant = clattn_variant_of_merge(problem, kind, work_group_size);
    print_variant(list, shape, dtype, "merge", &variant, 0, work_group_size);
}

static void list_phase(listing *list, const tool_shape *shape, clattn_dtype kv_dtype, const clattn_problem *problem,
                       clattn_phase phase)
{
    const clattn_tile_request request = {
        .family = list->family,
        .head_dim = shape->head_dim,
        .head_dim_v = shape->head_dim_v,
        .group_size = shape->num_q_heads / shape->num_kv_heads,
        .num_kv_heads = shape->num_kv_heads,
        .token_major = true,
        .kv_dtype = kv_dtype,
        .page_size = 16,
    };
    const clattn_tuning_database database = {.facts = &list->facts};
    clattn_error error = {.text = ""};
    clattn_row row;
    if (clattn_tuning_resolve(&database, &request, NULL, &row, NULL, &error) != CLATTN_OK)
        fail(shape->name, error.text);
    const clattn_tile *tile = &row.tiles[phase];
    const clattn_variant variant = clattn_variant_of_phase(problem, &row, phase);
    const int64_t local_bytes =
        clattn_tile_local_bytes(&request, phase, tile) - (int64_t)row.local_argument_bytes[phase];
    print_variant(list, shape, kv_dtype, phase == CLATTN_PHASE_DECODE ? "decode" : "prefill", &variant, local_bytes,
                  tile->work_group_size);
}

static void list_phases(listing *list, const tool_shape *shape, clattn_dtype kv_dtype, const clattn_problem *problem)
{
    for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++)
        list_phase(list, shape, kv_dtype, problem, (clattn_phase)phase);
}

/* A model in each dtype. Of the merges of split rows, whose shapes matter less, one dtype. */
static void list_model(listing *list, const tool_shape *shape)
{
    for (int i = 0; i < COUNT(dtypes); i++) {
        const clattn_problem problem = problem_of(shape, dtypes[i], &(variant_options){.q_dtype = dtypes[i]});
        list_phases(list, shape, dtypes[i], &problem);
        if (dtypes[i] == CLATTN_FLOAT16)
            list_merge(list, shape, dtypes[i], &problem,
                       &(clattn_merge_kind){.dtype = CLATTN_FLOAT32, .planned = true});
    }
}

/* What differs from dtype to dtype only: new rows into pages, of their dtype or not, and merges of a caller's states.
 */
static void list_rows(listing *list, const tool_shape *shape, clattn_dtype dtype)
{
    const uint32_t work_group_size = clattn_row_wise_work_group_size(&list->facts, list->family);
    const clattn_problem problem = problem_of(shape, dtype, &(variant_options){dtype, CLATTN_STATE_LSE, false});
    const clattn_dtype sources[] = {CLATTN_FLOAT32, dtype};
    for (int i = dtype == CLATTN_FLOAT32; i < COUNT(sources); i++) {
        const clattn_variant append = clattn_append_variant(sources[i], sources[i], dtype, work_group_size);
        print_variant(list, shape, dtype, "append", &append, 0, work_group_size);
    }
    for (int by_lse = 0; by_lse <= 1; by_lse++)
        list_merge(list, shape, dtype, &problem, &(clattn_merge_kind){.dtype = dtype, .by_lse = by_lse != 0});
}

/*
 * Results that a model does without: log-sum-exps; and numerators, maxima and denominators, which only operations of
 * one query per row have, and one query is always decoded.
 */
static void list_states(listing *list, const tool_shape *shape, clattn_dtype kv_dtype)
{
    const clattn_problem lse = problem_of(shape, kv_dtype, &(variant_options){CLATTN_FLOAT32, CLATTN_STATE_LSE, false});
    const clattn_problem numerators =
        problem_of(shape, kv_dtype, &(variant_options){CLATTN_FLOAT32, CLATTN_STATE_MAX_DENOMINATOR, true});
    list_phases(list, shape, kv_dtype, &lse);
    list_phase(list, shape, kv_dtype, &numerators, CLATTN_PHASE_DECODE);
    list_merge(list, shape, kv_dtype, &numerators, &(clattn_merge_kind){.dtype = CLATTN_FLOAT32, .planned = true});
}

static unsigned long number_of(const char *text)
{
    char *end = NULL;
    const unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != '\0')
        fail(text, "expected a number");
    return value;
}

int main(int argc, char **argv)
{
    if (argc != 7)
        fail("usage", "offline_variants FOLDER FAMILY LOCAL_MEMORY_BYTES MAX_WORK_GROUP_SIZE PREFERRED_MULTIPLE "
                      "NARROWEST_SUB_GROUP");
    listing list = {
        .folder = argv[1],
        .family = clattn_family_from_name(argv[2]),
        .facts = {.num_compute_units = 64,
                  .float_vector_width = 1,
                  .local_memory_bytes = number_of(argv[3]),
                  .max_work_group_size = (uint32_t)number_of(argv[4]),
                  .preferred_multiple = (uint32_t)number_of(argv[5]),
                  .narrowest_sub_group = (uint32_t)number_of(argv[6])},
    };
    list.facts.type = list.family == CLATTN_FAMILY_VECTOR ? CLATTN_DEVICE_CPU : CLATTN_DEVICE_GPU;
    if (list.family == CLATTN_FAMILY_VECTOR)
        list.facts.float_vector_width = 16;
    if (list.family == CLATTN_FAMILY_DEFAULT)
        fail(argv[2], "no family");
    for (int i = 0; tool_shape_at(i) != NULL; i++)
        list_model(&list, tool_shape_at(i));
    for (int i = 0; i < COUNT(odd_shapes); i++) {
        const variant_options options = {.q_dtype = CLATTN_FLOAT16};
        const clattn_problem problem = problem_of(&odd_shapes[i], CLATTN_FLOAT16, &options);
        list_phases(&list, &odd_shapes[i], CLATTN_FLOAT16, &problem);
    }
    for (int i = 0; i < COUNT(dtypes); i++)
        list_rows(&list, tool_shape_at(0), dtypes[i]);
    list_states(&list, tool_shape_at(0), CLATTN_BFLOAT16);
    return EXIT_SUCCESS;
}
