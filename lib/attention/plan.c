/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan object: checks a batch, schedules it and uploads spans, items, slots and page numbers in one write.
 * An update composes everything beside the old state and swaps at the end, so that a refused one changes nothing.
 */
#include "attention/plan.h"

#include "attention/geometry.h"
#include "attention/problem.h"
#include "kv_cache/slots.h"
#include "runtime/layout.h"
#include "runtime/size.h"

#include <stdlib.h>
#include <string.h>

#define RECORD_INTS 8

_Static_assert(sizeof(clattn_span) == RECORD_INTS * sizeof(int32_t), "spans are records");
_Static_assert(sizeof(clattn_work_item) == RECORD_INTS * sizeof(int32_t), "work items are records");
_Static_assert(sizeof(clattn_merge_item) == RECORD_INTS * sizeof(int32_t), "merge items are records");

/* A plan in the making: everything but what the device holds. */
typedef struct plan_draft {
    clattn_batch batch;
    clattn_plan_shape shape;
    clattn_tile_request request;
    clattn_row row;
    clattn_schedule_params schedule;
    clattn_schedule_counts counts;
    clattn_plan_sections sections;
    int64_t num_pages_used;
} plan_draft;

/* Whether splits, and the row, may depend on what else is in the batch. */
static bool is_automatic(int32_t num_splits, bool batch_invariant)
{
    return num_splits == 0 && !batch_invariant;
}

/* Checks everything but the slots. */
static clattn_status check_params(clattn_context *ctx, const clattn_plan_params *params, plan_draft *draft)
{
    clattn_error *error = &ctx->error;
    draft->batch = (clattn_batch){
        .num_seqs = params->num_seqs,
        .total_tokens = params->total_tokens,
        .query_start_loc = params->query_start_loc,
        .context_lens = params->context_lens,
        .sequence_start = params->sequence_start,
        .block_tables = params->block_tables,
        .pages_per_seq = params->pages_per_seq,
        .dense = params->dense,
        .page_size = params->page_size,
        .num_pages = params->num_pages,
    };
    CLATTN_TRY(clattn_batch_check(&draft->batch, &draft->num_pages_used, error));
    clattn_geometry geometry = {
        .num_q_heads = params->num_q_heads,
        .num_kv_heads = params->num_kv_heads,
        .head_dim = params->head_dim,
        .head_dim_v = params->head_dim_v,
        .page_size = params->page_size,
        .kv_layout = params->kv_layout,
        .dense = params->dense,
        .kv_dtype = params->kv_dtype,
        .num_seqs = is_automatic(params->num_splits, params->batch_invariant) ? params->num_seqs : 0,
    };
    CLATTN_TRY(clattn_geometry_check(&geometry, error));
    CLATTN_REQUIRE(error, params->num_splits >= 0, CLATTN_INVALID_ARGUMENT, "num_splits is %d, expected 0 or more",
                   (int)params->num_splits);
    CLATTN_REQUIRE(error, params->num_splits == 0 || !params->batch_invariant, CLATTN_INVALID_ARGUMENT,
                   "num_splits is %d together with batch_invariant, expected one of them", (int)params->num_splits);

    clattn_problem window;
    CLATTN_TRY(clattn_problem_set_causal_window(&window, params->sliding_window, error));
    draft->shape = (clattn_plan_shape){
        .total_tokens = params->total_tokens,
        .num_q_heads = params->num_q_heads,
        .num_kv_heads = params->num_kv_heads,
        .head_dim = params->head_dim,
        .head_dim_v = geometry.head_dim_v,
        .one_query = clattn_batch_has_one_query_each(&draft->batch),
        .dense = params->dense,
        .longest_context = clattn_batch_longest_context(&draft->batch),
        .page_size = params->page_size,
        .num_pages = params->num_pages,
        .window_left = window.window_left,
        .token_major = clattn_layout_is_token_major(params->kv_layout),
    };
    CLATTN_REQUIRE(error, (int64_t)params->total_tokens * params->num_q_heads <= INT32_MAX, CLATTN_SIZE_OVERFLOW,
                   "total_tokens %d times num_q_heads %d is more than 2^31-1", (int)params->total_tokens,
                   (int)params->num_q_heads);

    draft->request = clattn_geometry_request(&geometry, ctx->family, params->tuning);
    return clattn_tuning_resolve(&ctx->tuning, &draft->request, params->tuning, &draft->row, NULL, error);
}

static clattn_status reserve_slot_scratch(clattn_plan *plan, int32_t num_slots)
{
    const uint64_t num_entries = clattn_slots_scratch_entries(num_slots);
    if (num_entries <= plan->slot_scratch_entries)
        return CLATTN_OK;
    int32_t *scratch = malloc((size_t)num_entries * sizeof *scratch);
    CLATTN_REQUIRE(&plan->ctx->error, scratch != NULL, CLATTN_OUT_OF_MEMORY, "no host memory to check %d slots",
                   (int)num_slots);
    free(plan->slot_scratch);
    plan->slot_scratch = scratch;
    plan->slot_scratch_entries = num_entries;
    return CLATTN_OK;
}

/* The slots are checked last, since they need memory. */
static clattn_status check_slots(clattn_plan *plan, const clattn_plan_params *params)
{
    if (params->slot_mapping == NULL)
        return CLATTN_OK;
    CLATTN_TRY(reserve_slot_scratch(plan, params->total_tokens));
    const int64_t num_slots = (int64_t)params->num_pages * params->page_size;
    return clattn_slots_check(&plan->ctx->error, params->slot_mapping, params->total_tokens, num_slots,
                              plan->slot_scratch);
}

/* Bytes of the numerators that so many partial rows leave, the larger of the two buffers of partial results. */
static int64_t partial_acc_bytes(const clattn_plan_shape *shape, int64_t num_rows)
{
    return num_rows * shape->num_kv_heads * shape->head_dim_v * (int64_t)sizeof(cl_float);
}

/* Nobody asked for the splits that the plan chooses itself: they give way where the device cannot hold their results.
 */
static void measure_schedule(const clattn_device_facts *facts, plan_draft *draft)
{
    clattn_schedule_measure(&draft->schedule, &draft->counts);
    const int64_t num_bytes = partial_acc_bytes(&draft->shape, draft->counts.num_partial_rows);
    if (!is_automatic(draft->schedule.num_splits, draft->schedule.batch_invariant) ||
        (uint64_t)num_bytes <= facts->max_allocation_bytes)
        return;
    draft->schedule.num_splits = 1;
    clattn_schedule_measure(&draft->schedule, &draft->counts);
}

static void init_schedule(const clattn_device_facts *facts, const clattn_plan_params *params, const clattn_span *spans,
                          plan_draft *draft)
{
    draft->schedule = (clattn_schedule_params){
        .spans = spans,
        .num_seqs = params->num_seqs,
        .total_tokens = params->total_tokens,
        .num_owned_tokens = clattn_batch_num_query_tokens(&draft->batch),
        .group_size = params->num_q_heads / params->num_kv_heads,
        .num_kv_heads = params->num_kv_heads,
        .window_left = draft->shape.window_left,
        .window_right = 0,
        .num_splits = params->num_splits,
        .batch_invariant = params->batch_invariant,
        .row = &draft->row,
    };
    measure_schedule(facts, draft);
}

/* Where everything lies that these counts stand for; num_slots is 0 without a slot mapping. */
static clattn_plan_sections lay_out_sections(const clattn_schedule_counts *counts, int64_t num_seqs, int64_t num_slots,
                                             int64_t num_pages_used)
{
    clattn_plan_sections sections;
    int64_t at = num_seqs * RECORD_INTS;
    for (int phase = 0; phase < CLATTN_NUM_PHASES; ++phase) {
        sections.items[phase] = at;
        at += counts->num_items[phase] * RECORD_INTS;
    }
    sections.merge_items = at;
    at += counts->num_merge_items * RECORD_INTS;
    sections.slots = at;
    at += 2 * num_slots;
    sections.pages = at;
    at += num_pages_used;
    sections.num_ints = at > 0 ? at : 1; /* the device buffer exists also for nothing */
    return sections;
}

/* Staging memory: the sections, and room behind them to sort the longer list of items. */
static int64_t sort_room_at(const clattn_plan_sections *sections)
{
    return clattn_ceil_div(sections->num_ints, RECORD_INTS) * RECORD_INTS;
}

static uint64_t staging_bytes(const clattn_schedule_counts *counts, const clattn_plan_sections *sections)
{
    const int64_t decode = counts->num_items[CLATTN_PHASE_DECODE];
    const int64_t prefill = counts->num_items[CLATTN_PHASE_PREFILL];
    const int64_t num_ints = sort_room_at(sections) + (decode > prefill ? decode : prefill) * RECORD_INTS;
    return (uint64_t)num_ints * sizeof(int32_t);
}

/* Work-groups of every kernel, sections and partial rows are int32 on the device. */
static clattn_status check_sizes(clattn_context *ctx, const clattn_schedule_counts *counts,
                                 const clattn_plan_sections *sections, int64_t num_kv_heads)
{
    const int64_t sizes[] = {
        sections->num_ints,
        counts->num_items[CLATTN_PHASE_DECODE] * num_kv_heads,
        counts->num_items[CLATTN_PHASE_PREFILL] * num_kv_heads,
        counts->num_merge_items * num_kv_heads,
        counts->num_partial_rows,
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i)
        CLATTN_REQUIRE(&ctx->error, sizes[i] <= INT32_MAX, CLATTN_SIZE_OVERFLOW,
                       "the work list has %lld entries, more than 2^31-1", (long long)sizes[i]);
    return CLATTN_OK;
}

/* A device that ends long loops takes so many keys in a work item, and merges so many of them. */
static clattn_status check_splits(clattn_context *ctx, const clattn_row *row, const clattn_schedule_counts *counts)
{
    CLATTN_REQUIRE(&ctx->error, row->max_splits == 0 || counts->max_splits <= row->max_splits, CLATTN_UNSUPPORTED,
                   "the keys of a row have to be split %d times on this device, which ends loops after %u rounds, and "
                   "%d parts can be merged there",
                   (int)counts->max_splits, (unsigned)ctx->facts.max_loop_iterations, (int)row->max_splits);
    return CLATTN_OK;
}

/* A read-write buffer of at least num_bytes: the old one if it is large enough. */
static clattn_status grow_buffer(clattn_context *ctx, cl_mem old, int64_t old_bytes, int64_t num_bytes, cl_mem *buffer)
{
    *buffer = old;
    if (num_bytes <= old_bytes)
        return CLATTN_OK;
    CLATTN_TRY(clattn_context_check_allocation(ctx, "the workspace for split rows", (uint64_t)num_bytes));
    cl_int result = CL_SUCCESS;
    *buffer = clCreateBuffer(ctx->cl, CL_MEM_READ_WRITE, (size_t)num_bytes, NULL, &result);
    return clattn_context_check_cl(ctx, result, "clCreateBuffer");
}

static void swap_buffer(cl_mem *held, cl_mem replacement)
{
    if (*held != NULL && *held != replacement)
        clReleaseMemObject(*held);
    *held = replacement;
}

/* Composes the metadata of a draft in staging memory that already starts with its spans. */
static void compose(const clattn_plan_params *params, const plan_draft *draft, int32_t *ints, clattn_work_item *scratch)
{
    clattn_work_item *items[CLATTN_NUM_PHASES];
    for (int phase = 0; phase < CLATTN_NUM_PHASES; ++phase)
        items[phase] = (clattn_work_item *)(ints + draft->sections.items[phase]);
    clattn_merge_item *merge_items = (clattn_merge_item *)(ints + draft->sections.merge_items);
    clattn_schedule_fill(&draft->schedule, &draft->counts, items, merge_items, scratch);
    if (params->slot_mapping != NULL && params->total_tokens > 0)
        memcpy(ints + draft->sections.slots, params->slot_mapping,
               (size_t)params->total_tokens * sizeof *params->slot_mapping);
}

/*
 * Schedules the batch and composes its metadata in staging memory: once the spans alone, which the schedule is
 * measured from, then everything, with room for sorting behind it.
 */
static clattn_status stage(clattn_plan *plan, const clattn_plan_params *params, plan_draft *draft)
{
    clattn_context *ctx = plan->ctx;
    const int64_t span_ints = (int64_t)params->num_seqs * RECORD_INTS;
    void *memory = NULL;
    CLATTN_TRY(clattn_upload_begin(ctx, &plan->metadata, (uint64_t)(span_ints + 1) * sizeof(int32_t), &memory));
    clattn_batch_fill_spans(&draft->batch, memory);
    init_schedule(&ctx->facts, params, memory, draft);
    CLATTN_TRY(check_splits(ctx, &draft->row, &draft->counts));
    const int64_t num_slots = params->slot_mapping != NULL ? params->total_tokens : 0;
    draft->sections = lay_out_sections(&draft->counts, params->num_seqs, num_slots, draft->num_pages_used);
    CLATTN_TRY(check_sizes(ctx, &draft->counts, &draft->sections, draft->shape.num_kv_heads));

    CLATTN_TRY(clattn_upload_begin(ctx, &plan->metadata, staging_bytes(&draft->counts, &draft->sections), &memory));
    int32_t *ints = memory;
    clattn_batch_fill_spans(&draft->batch, memory);
    clattn_batch_fill_pages(&draft->batch, ints + draft->sections.pages);
    draft->schedule.spans = memory;
    compose(params, draft, ints, (clattn_work_item *)(ints + sort_room_at(&draft->sections)));
    return CLATTN_OK;
}

/* Buffers for partial state: new ones, or the plan's where they are large enough. */
typedef struct partial_buffers {
    cl_mem sums;
    cl_mem acc;
    int64_t sums_bytes;
    int64_t acc_bytes;
} partial_buffers;

static clattn_status grow_partial(const clattn_plan *plan, const clattn_plan_shape *shape, int64_t num_rows,
                                  partial_buffers *grown)
{
    const int64_t num_states = num_rows * shape->num_kv_heads;
    grown->sums_bytes = num_states * (int64_t)sizeof(cl_float2);
    grown->acc_bytes = partial_acc_bytes(shape, num_rows);
    CLATTN_TRY(grow_buffer(plan->ctx, plan->partial_sums, plan->partial_sums_bytes, grown->sums_bytes, &grown->sums));
    const clattn_status status =
        grow_buffer(plan->ctx, plan->partial_acc, plan->partial_acc_bytes, grown->acc_bytes, &grown->acc);
    if (status != CLATTN_OK && grown->sums != plan->partial_sums)
        clReleaseMemObject(grown->sums);
    return status;
}

static void drop_partial(const clattn_plan *plan, const partial_buffers *grown)
{
    if (grown->sums != plan->partial_sums)
        clReleaseMemObject(grown->sums);
    if (grown->acc != plan->partial_acc)
        clReleaseMemObject(grown->acc);
}

static void take_partial(clattn_plan *plan, const partial_buffers *grown)
{
    swap_buffer(&plan->partial_sums, grown->sums);
    swap_buffer(&plan->partial_acc, grown->acc);
    if (grown->sums_bytes > plan->partial_sums_bytes)
        plan->partial_sums_bytes = grown->sums_bytes;
    if (grown->acc_bytes > plan->partial_acc_bytes)
        plan->partial_acc_bytes = grown->acc_bytes;
}

clattn_status clattn_plan_update(clattn_plan *plan, const clattn_plan_params *params)
{
    if (plan == NULL)
        return CLATTN_INVALID_ARGUMENT;
    clattn_context *ctx = plan->ctx;
    CLATTN_REQUIRE(&ctx->error, params != NULL, CLATTN_INVALID_ARGUMENT, "params is NULL");
    plan_draft draft = {0};
    CLATTN_TRY(check_params(ctx, params, &draft));
    CLATTN_TRY(check_slots(plan, params));
    CLATTN_TRY(stage(plan, params, &draft));

    partial_buffers grown;
    CLATTN_TRY(grow_partial(plan, &draft.shape, draft.counts.num_partial_rows, &grown));
    const uint64_t num_bytes = (uint64_t)draft.sections.num_ints * sizeof(int32_t);
    const clattn_status status = clattn_upload_commit(ctx, &plan->metadata, num_bytes);
    if (status != CLATTN_OK) {
        drop_partial(plan, &grown);
        return status;
    }
    take_partial(plan, &grown);
    plan->shape = draft.shape;
    plan->request = draft.request;
    clattn_tuning_keep(params->tuning, &plan->tuning);
    plan->row = draft.row;
    plan->counts = draft.counts;
    plan->sections = draft.sections;
    plan->num_splits = params->num_splits;
    plan->batch_invariant = params->batch_invariant;
    plan->has_slots = params->slot_mapping != NULL;
    return CLATTN_OK;
}

/* Of these partial rows as many as measure_schedule() lets a plan have. */
static int64_t no_more_than_fit(const clattn_device_facts *facts, const clattn_plan_shape *shape, int64_t num_rows)
{
    const uint64_t fitting_rows = facts->max_allocation_bytes / (uint64_t)partial_acc_bytes(shape, 1);
    return (uint64_t)num_rows < fitting_rows ? num_rows : (int64_t)fitting_rows;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void raise_bound(clattn_schedule_counts *bound, const clattn_schedule_counts *counts)
{
    for (int phase = 0; phase < CLATTN_NUM_PHASES; ++phase)
        bound->num_items[phase] = larger(bound->num_items[phase], counts->num_items[phase]);
    bound->num_merge_items = larger(bound->num_merge_items, counts->num_merge_items);
    bound->num_partial_rows = larger(bound->num_partial_rows, counts->num_partial_rows);
}

/*
 * The bound of every schedule within these totals: batches of each class may run with another row. A class that has
 * none, since the override does not fit its rows, has no plan either.
 */
static void bound_schedules(const clattn_plan *plan, int32_t num_seqs, int32_t total_tokens, int32_t max_context_len,
                            clattn_schedule_counts *bound)
{
    const bool automatic = is_automatic(plan->num_splits, plan->batch_invariant);
    const clattn_batch_class largest = automatic ? clattn_batch_class_of(num_seqs) : CLATTN_BATCH_SINGLE;
    const clattn_tuning *tuning = plan->tuning.is_given ? &plan->tuning.tuning : NULL;
    *bound = (clattn_schedule_counts){.max_splits = 1};
    for (int batch = 0; batch <= (int)largest; ++batch) {
        const int32_t most_seqs = clattn_batch_class_most((clattn_batch_class)batch);
        clattn_tile_request request = plan->request;
        clattn_error refusal;
        clattn_row row;
        request.num_seqs = !automatic ? 0 : most_seqs < num_seqs ? most_seqs : num_seqs;
        if (clattn_tuning_resolve(&plan->ctx->tuning, &request, tuning, &row, NULL, &refusal) != CLATTN_OK)
            continue;
        const clattn_schedule_params schedule = {
            .num_seqs = automatic ? request.num_seqs : num_seqs,
            .total_tokens = total_tokens,
            .group_size = request.group_size,
            .num_kv_heads = request.num_kv_heads,
            .window_left = plan->shape.window_left,
            .num_splits = plan->num_splits,
            .batch_invariant = plan->batch_invariant,
            .row = &row,
        };
        clattn_schedule_counts counts;
        clattn_schedule_bound(&schedule, max_context_len, &counts);
        raise_bound(bound, &counts);
    }
    if (automatic)
        bound->num_partial_rows = no_more_than_fit(&plan->ctx->facts, &plan->shape, bound->num_partial_rows);
}

clattn_status clattn_plan_reserve(clattn_plan *plan, int32_t num_seqs, int32_t total_tokens, int32_t max_context_len)
{
    if (plan == NULL)
        return CLATTN_INVALID_ARGUMENT;
    clattn_context *ctx = plan->ctx;
    CLATTN_REQUIRE(&ctx->error, num_seqs >= 0, CLATTN_INVALID_ARGUMENT, "num_seqs is %d, expected 0 or more",
                   (int)num_seqs);
    CLATTN_REQUIRE(&ctx->error, total_tokens >= 0, CLATTN_INVALID_ARGUMENT, "total_tokens is %d, expected 0 or more",
                   (int)total_tokens);
    CLATTN_REQUIRE(&ctx->error, max_context_len >= 0, CLATTN_INVALID_ARGUMENT,
                   "max_context_len is %d, expected 0 or more", (int)max_context_len);
    clattn_schedule_counts bound;
    bound_schedules(plan, num_seqs, total_tokens, max_context_len, &bound);
    const int64_t most_pages = num_seqs * clattn_ceil_div(max_context_len, plan->shape.page_size);
    const clattn_plan_sections sections = lay_out_sections(&bound, num_seqs, total_tokens, most_pages);
    CLATTN_TRY(check_sizes(ctx, &bound, &sections, plan->shape.num_kv_heads));

    CLATTN_TRY(reserve_slot_scratch(plan, total_tokens));
    partial_buffers grown;
    CLATTN_TRY(grow_partial(plan, &plan->shape, bound.num_partial_rows, &grown));
    take_partial(plan, &grown);
    return clattn_upload_reserve(ctx, &plan->metadata, staging_bytes(&bound, &sections),
                                 (uint64_t)sections.num_ints * sizeof(int32_t));
}

clattn_status clattn_plan_create(clattn_context *ctx, const clattn_plan_params *params, clattn_plan **plan)
{
    if (plan != NULL)
        *plan = NULL;
    if (ctx == NULL)
        return CLATTN_INVALID_ARGUMENT;
    CLATTN_REQUIRE(&ctx->error, plan != NULL, CLATTN_INVALID_ARGUMENT, "plan is NULL");
    clattn_plan *created = calloc(1, sizeof *created);
    CLATTN_REQUIRE(&ctx->error, created != NULL, CLATTN_OUT_OF_MEMORY, "no host memory for a plan");
    created->ctx = ctx;
    const clattn_status status = clattn_plan_update(created, params);
    if (status != CLATTN_OK) {
        clattn_plan_destroy(&created);
        return status;
    }
    *plan = created;
    return CLATTN_OK;
}

void clattn_plan_destroy(clattn_plan **plan)
{
    if (plan == NULL || *plan == NULL)
        return;
    clattn_upload_finish(&(*plan)->metadata);
    swap_buffer(&(*plan)->partial_acc, NULL);
    swap_buffer(&(*plan)->partial_sums, NULL);
    free((*plan)->slot_scratch);
    free(*plan);
    *plan = NULL;
}

clattn_status clattn_plan_get_info(const clattn_plan *plan, clattn_plan_info *info)
{
    if (plan == NULL)
        return CLATTN_INVALID_ARGUMENT;
    CLATTN_REQUIRE(&plan->ctx->error, info != NULL, CLATTN_INVALID_ARGUMENT, "info is NULL");
    *info = (clattn_plan_info){
        .family = plan->row.family,
        .num_decode_items = (int32_t)plan->counts.num_items[CLATTN_PHASE_DECODE],
        .num_prefill_items = (int32_t)plan->counts.num_items[CLATTN_PHASE_PREFILL],
        .num_merge_items = (int32_t)plan->counts.num_merge_items,
        .max_splits = plan->counts.max_splits,
        .block_q = plan->row.tiles[CLATTN_PHASE_PREFILL].block_q,
        .block_kv = plan->row.tiles[CLATTN_PHASE_PREFILL].block_kv,
        .workspace_bytes = (uint64_t)(plan->partial_acc_bytes + plan->partial_sums_bytes),
        .metadata_bytes = plan->metadata.capacity,
    };
    return CLATTN_OK;
}

int64_t clattn_plan_num_groups(const clattn_plan *plan, clattn_phase phase)
{
    return plan->counts.num_items[phase] * (plan->shape.num_kv_heads / plan->row.tiles[phase].heads);
}

bool clattn_plan_slot_mapping(const clattn_plan *plan, cl_mem *buffer, uint64_t *offset, int32_t *total_tokens,
                              int64_t *num_slots)
{
    if (!plan->has_slots)
        return false;
    *buffer = plan->metadata.buffer;
    *offset = (uint64_t)plan->sections.slots / 2;
    *total_tokens = plan->shape.total_tokens;
    *num_slots = (int64_t)plan->shape.num_pages * plan->shape.page_size;
    return true;
}
