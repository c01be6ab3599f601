/* SPDX-License-Identifier: Apache-2.0 */
/* An explanation as text for people and as JSON for programs. */
#include "bench/describe.h"
#include "bench/rates.h"
#include "common/json.h"
#include "common/tiles.h"
#include "tune/explanation.h"

static bool has_phase(const tune_explanation *explanation, clattn_phase phase)
{
    return phase == CLATTN_PHASE_DECODE ? explanation->plan.num_decode_items > 0
                                        : explanation->plan.num_prefill_items > 0;
}

static const clattn_tuning_tile *tile_of(const tune_explanation *explanation, clattn_phase phase)
{
    return phase == CLATTN_PHASE_DECODE ? &explanation->answer.decode : &explanation->answer.prefill;
}

static void print_tile(const char *phase, const clattn_tuning_tile *tile)
{
    printf("  %-10s level %s%s%s; %.1f KiB of local memory for a work-group\n            ", phase,
           clattn_tuning_level_name(tile->level), tile->row[0] != '\0' ? ": " : "", tile->row,
           (double)tile->local_memory_bytes / 1024.0);
    for (int i = 0; tool_tile_name_at(i); i++) {
        const char *separator = i == 5 ? "\n            " : "";
        printf("%s %s %d", separator, tool_tile_name_at(i), (int)tool_tile_value(&tile->tile, i));
    }
    printf("\n");
}

static void print_kernel(const tune_kernel *kernel)
{
    printf("  kernel     %s, %s: %llu bytes of local and %llu of private memory, at most %u work-items, multiples of "
           "%u\n",
           kernel->program, kernel->is_loaded ? "from the cache" : "built now",
           (unsigned long long)kernel->local_memory_bytes, (unsigned long long)kernel->private_memory_bytes,
           kernel->max_work_group_size, kernel->preferred_multiple);
}

/* What the device could do at best, and what it did. */
static void print_times(const tune_explanation *explanation)
{
    const bench_rating *rating = &explanation->rating;
    printf("  predicted  %.3f ms at best, %s-bound: %.3f GFLOP and %.1f MB\n", rating->floor_s * 1e3,
           rating->compute_bound ? "compute" : "memory", (double)explanation->flops * 1e-9,
           (double)explanation->bytes * 1e-6);
    bench_rates_print(&explanation->measurement, &explanation->subject, rating, stdout);
}

void tune_explanation_print(const tune_explanation *explanation)
{
    const clattn_tuning_answer *answer = &explanation->answer;
    printf("%s\n", explanation->operation->name);
    bench_describe_model(explanation->problem, stdout);
    bench_describe_batch(explanation->problem->workload, stdout);
    printf("\n");
    bench_describe_storage(explanation->problem, explanation->operation, stdout);
    if (answer->refusal[0] != '\0') {
        printf("  refused    %s\n\n", answer->refusal);
        return;
    }
    printf("  family     %s: %s\n", clattn_family_name(answer->family), answer->family_reason);
    for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++) {
        if (has_phase(explanation, (clattn_phase)phase))
            print_tile(clattn_phase_name((clattn_phase)phase), tile_of(explanation, (clattn_phase)phase));
    }
    printf("  plan       at most %d packed rows are decoded; %d decode, %d prefill and %d merge items, at most %d "
           "splits\n",
           (int)answer->decode_max_rows, (int)explanation->plan.num_decode_items,
           (int)explanation->plan.num_prefill_items, (int)explanation->plan.num_merge_items,
           (int)explanation->plan.max_splits);
    for (int i = 0; i < explanation->num_kernels; i++)
        print_kernel(&explanation->kernels[i]);
    print_times(explanation);
    printf("\n");
}

static bool add_number(cJSON *object, const char *key, double value)
{
    return cJSON_AddNumberToObject(object, key, value);
}

static bool add_problem(cJSON *object, const tune_explanation *explanation)
{
    const bench_problem *problem = explanation->problem;
    const bench_workload *workload = problem->workload;
    const bool dense = explanation->operation->dense;
    const int32_t page_size = dense ? bench_workload_longest(workload) : problem->page_size;
    return cJSON_AddStringToObject(object, "op", explanation->operation->name) &&
           tool_json_add_shape(object, &problem->shape) &&
           cJSON_AddStringToObject(object, "dtype", clattn_dtype_name(problem->dtype)) &&
           cJSON_AddStringToObject(object, "kv_dtype", clattn_dtype_name(problem->kv_dtype)) &&
           tool_json_add_name(object, "layout", dense ? NULL : clattn_kv_layout_name(problem->layout)) &&
           cJSON_AddNumberToObject(object, "page_size", page_size) &&
           tool_json_add_ints(object, "q_lens", workload->q_lens, workload->num_seqs) &&
           tool_json_add_ints(object, "context_lens", workload->context_lens, workload->num_seqs);
}

static bool add_tiles(cJSON *object, const tune_explanation *explanation)
{
    bool good = true;
    for (int phase = 0; good && phase < CLATTN_NUM_PHASES; phase++) {
        const char *name = clattn_phase_name((clattn_phase)phase);
        if (has_phase(explanation, (clattn_phase)phase))
            good = tool_json_add_tile(object, name, tile_of(explanation, (clattn_phase)phase));
        else
            good = cJSON_AddNullToObject(object, name);
    }
    return good;
}

static bool add_kernels(cJSON *object, const tune_explanation *explanation)
{
    cJSON *kernels = cJSON_AddArrayToObject(object, "kernels");
    bool good = kernels != NULL;
    for (int i = 0; good && i < explanation->num_kernels; i++) {
        const tune_kernel *kernel = &explanation->kernels[i];
        cJSON *added = cJSON_CreateObject();
        good = cJSON_AddItemToArray(kernels, added) && cJSON_AddStringToObject(added, "program", kernel->program) &&
               cJSON_AddBoolToObject(added, "is_loaded", kernel->is_loaded) &&
               add_number(added, "local_memory_bytes", (double)kernel->local_memory_bytes) &&
               add_number(added, "private_memory_bytes", (double)kernel->private_memory_bytes) &&
               add_number(added, "max_work_group_size", kernel->max_work_group_size) &&
               add_number(added, "preferred_multiple", kernel->preferred_multiple);
    }
    return good;
}

static bool add_times(cJSON *object, const tune_explanation *explanation)
{
    const bench_measurement *measurement = &explanation->measurement;
    return add_number(object, "flops", (double)explanation->flops) &&
           add_number(object, "bytes", (double)explanation->bytes) &&
           add_number(object, "peak_gflops", measurement->peak_gflops) &&
           add_number(object, "read_gbytes_per_s", measurement->read_gbytes_per_s) &&
           add_number(object, "predicted_ms", explanation->rating.floor_s * 1e3) &&
           add_number(object, "median_ms", explanation->subject.median_s * 1e3) &&
           add_number(object, "spread", explanation->subject.spread) &&
           add_number(object, "roofline_fraction", explanation->rating.fraction) &&
           cJSON_AddStringToObject(object, "bound", explanation->rating.compute_bound ? "compute" : "memory");
}

bool tune_explanation_add(const tune_explanation *explanation, cJSON *array)
{
    const clattn_tuning_answer *answer = &explanation->answer;
    const bool refused = answer->refusal[0] != '\0';
    cJSON *object = cJSON_CreateObject();
    return cJSON_AddItemToArray(array, object) && add_problem(object, explanation) &&
           tool_json_add_name(object, "refusal", refused ? answer->refusal : NULL) &&
           (refused ||
            (cJSON_AddStringToObject(object, "family", clattn_family_name(answer->family)) &&
             cJSON_AddStringToObject(object, "family_reason", answer->family_reason) &&
             add_number(object, "decode_max_rows", answer->decode_max_rows) && add_tiles(object, explanation) &&
             add_number(object, "max_splits", explanation->plan.max_splits) && add_kernels(object, explanation) &&
             add_times(object, explanation)));
}
