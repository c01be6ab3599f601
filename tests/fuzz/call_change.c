/* SPDX-License-Identifier: Apache-2.0 */
/* Replaces fields of calls by what a careless caller may give; see call.h. */
#include "call.h"

#include "fake_opencl.h"

#include <stdlib.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

static void change_buffer(fuzz_bytes *bytes, fuzz_call *call, call_tensor name)
{
    clattn_tensor *tensor = &call->tensors[name];
    switch (fuzz_between(bytes, 0, 3)) {
    case 0:
        tensor->buffer = NULL;
        break;
    case 1: /* that of another tensor */
        tensor->buffer = call->owned[fuzz_between(bytes, 0, CALL_NUM_TENSORS - 1)];
        break;
    default: /* a shorter one, often by a byte */
        if (call->owned[name] == NULL)
            break;
        const uint64_t num_bytes = fake_opencl_buffer_bytes(call->owned[name]);
        const uint64_t less = fuzz_one_in(bytes, 2) ? 1 : (uint64_t)fuzz_take(bytes, 4);
        clReleaseMemObject(call->owned[name]);
        call->owned[name] = fake_opencl_create_buffer(num_bytes > less ? num_bytes - less : 1);
        tensor->buffer = call->owned[name];
        break;
    }
}

static int64_t near_or_extreme(fuzz_bytes *bytes, int64_t value)
{
    const int64_t step = fuzz_between(bytes, -2, 2);
    const bool overflows = step > 0 ? value > INT64_MAX - step : value < INT64_MIN - step;
    return overflows || fuzz_one_in(bytes, 2) ? fuzz_extreme(bytes) : value + step;
}

#define TENSOR(name) (1u << CALL_##name)

/* Whether the operation's parameters have a field for the tensor. */
static bool has_field(const fuzz_call *call, call_tensor name)
{
    static const unsigned common = TENSOR(QUERY) | TENSOR(OUT);
    static const unsigned own[CALL_NUM_OPERATIONS] = {
        [CALL_RAGGED_PAGE] = TENSOR(KEY) | TENSOR(VALUE) | TENSOR(LSE) | TENSOR(SINKS),
        [CALL_PAGE] = TENSOR(KEY) | TENSOR(VALUE) | TENSOR(LSE) | TENSOR(SINKS),
        [CALL_RAGGED_DECODE] = TENSOR(KEY) | TENSOR(VALUE) | TENSOR(LSE) | TENSOR(SINKS),
        [CALL_RAGGED] = TENSOR(KEY) | TENSOR(VALUE) | TENSOR(MAX) | TENSOR(DENOMINATOR),
        [CALL_MERGE_STATES] = TENSOR(LSE) | TENSOR(MAX) | TENSOR(DENOMINATOR) | TENSOR(STATES_LSE) |
                              TENSOR(STATES_MAX) | TENSOR(STATES_DENOMINATOR),
    };
    return ((common | own[call->operation]) >> name & 1u) != 0;
}

static void change_tensor(fuzz_bytes *bytes, fuzz_call *call)
{
    const call_tensor name = (call_tensor)fuzz_between(bytes, 0, CALL_NUM_TENSORS - 1);
    clattn_tensor *tensor = &call->tensors[name];
    if (!has_field(call, name))
        return;
    const int dimension = fuzz_between(bytes, 0, CLATTN_MAX_RANK - 1);
    switch (fuzz_between(bytes, 0, 5)) {
    case 0:
        change_buffer(bytes, call, name);
        break;
    case 1:
        tensor->offset_bytes = (uint64_t)near_or_extreme(bytes, (int64_t)tensor->offset_bytes);
        break;
    case 2:
        tensor->dtype = (clattn_dtype)fuzz_between(bytes, -1, CLATTN_NUM_DTYPES);
        break;
    case 3:
        tensor->rank = fuzz_one_in(bytes, 2) ? fuzz_extreme_int32(bytes) : fuzz_between(bytes, -1, 5);
        break;
    case 4:
        tensor->shape[dimension] = near_or_extreme(bytes, tensor->shape[dimension]);
        break;
    default:
        tensor->strides[dimension] = near_or_extreme(bytes, tensor->strides[dimension]);
        break;
    }
}

/* Two tensors that must agree change alike. */
static void change_agreeing_shapes(fuzz_bytes *bytes, fuzz_call *call)
{
    static const struct {
        call_tensor tensors[2];
        int dimensions[2];
    } pairs[] = {
        {{CALL_QUERY, CALL_OUT}, {0, 0}}, {{CALL_QUERY, CALL_OUT}, {1, 1}}, {{CALL_KEY, CALL_VALUE}, {0, 0}},
        {{CALL_KEY, CALL_VALUE}, {1, 1}}, {{CALL_KEY, CALL_VALUE}, {2, 2}}, {{CALL_VALUE, CALL_OUT}, {3, 2}},
        {{CALL_QUERY, CALL_KEY}, {2, 3}},
    };
    const int32_t pair = fuzz_between(bytes, 0, COUNT(pairs) - 1);
    const int64_t extent = fuzz_one_in(bytes, 2) ? fuzz_extreme(bytes) : fuzz_between(bytes, 0, 64);
    for (int i = 0; i < 2; i++)
        call->tensors[pairs[pair].tensors[i]].shape[pairs[pair].dimensions[i]] = extent;
}

static void change_option(fuzz_bytes *bytes, fuzz_call *call)
{
    switch (fuzz_between(bytes, 0, 8)) {
    case 0:
        call->softmax_scale = fuzz_float(bytes);
        break;
    case 1:
        call->logits_soft_cap = fuzz_float(bytes);
        break;
    case 2:
        call->mask_value = fuzz_float(bytes);
        break;
    case 3:
        call->sliding_window = fuzz_extreme_int32(bytes);
        break;
    case 4:
        call->has_window_pair = true;
        call->window_pair = (clattn_window){fuzz_extreme_int32(bytes), fuzz_extreme_int32(bytes)};
        break;
    case 5:
        call->max_context_len = fuzz_extreme_int32(bytes);
        break;
    case 6:
        call->numerator = !call->numerator;
        break;
    case 7:
        call->compute_dtype = (clattn_dtype)fuzz_between(bytes, -1, CLATTN_NUM_DTYPES);
        break;
    default:
        if (call->operation == CALL_RAGGED_PAGE || call->operation == CALL_PAGE)
            call->layout = (clattn_kv_layout)fuzz_between(bytes, -1, CLATTN_NUM_KV_LAYOUTS);
        break;
    }
}

static void change_tuning(fuzz_bytes *bytes, call_batch *batch)
{
    clattn_tuning *tuning = &batch->tuning;
    int32_t *fields[] = {
        &tuning->block_q,    &tuning->block_kv,        &tuning->num_queries_per_block, &tuning->num_warps,
        &tuning->num_stages, &tuning->work_group_size, &tuning->num_kv_pages_per_block};
    batch->has_tuning = true;
    const int32_t field = fuzz_between(bytes, 0, COUNT(fields) + 1);
    if (field == COUNT(fields))
        tuning->family = (clattn_family)fuzz_between(bytes, -1, CLATTN_NUM_FAMILIES);
    else if (field > COUNT(fields))
        tuning->local_memory_limit_bytes = fuzz_extreme(bytes);
    else
        *fields[field] = fuzz_one_in(bytes, 2) ? fuzz_extreme_int32(bytes) : fuzz_between(bytes, 0, 255);
}

/* A table is never read behind what the counts say, so that a count may shrink but not grow. */
static int32_t no_more_than(fuzz_bytes *bytes, int32_t count)
{
    const int64_t value =
        fuzz_one_in(bytes, 2) ? fuzz_extreme_int32(bytes) : (int64_t)count - fuzz_between(bytes, 0, 3);
    return value < INT32_MIN ? INT32_MIN : value < count ? (int32_t)value : count;
}

static void change_entry(fuzz_bytes *bytes, int32_t *table, int64_t num_entries)
{
    if (table == NULL || num_entries <= 0)
        return;
    int32_t *entry = &table[fuzz_take(bytes, 2) % (uint64_t)num_entries];
    const int32_t step = fuzz_between(bytes, -2, 2);
    const bool extreme = fuzz_one_in(bytes, 2) || *entry > INT32_MAX - 2 || *entry < INT32_MIN + 2;
    *entry = extreme ? fuzz_extreme_int32(bytes) : *entry + step;
}

/* A page number about the last one. */
static void change_page(fuzz_bytes *bytes, fuzz_call *call)
{
    const call_batch *batch = &call->batch;
    const int64_t num_pages = call->tensors[CALL_KEY].shape[call->layout == CLATTN_KV_HEADS_FIRST ? 1 : 0];
    if (batch->block_tables != NULL && batch->num_seqs > 0 && batch->pages_per_seq > 0)
        batch->block_tables[fuzz_take(bytes, 2) % (uint64_t)(batch->num_seqs * batch->pages_per_seq)] =
            (int32_t)((uint64_t)num_pages - (uint64_t)fuzz_between(bytes, 0, 1));
}

static void drop_table(int32_t **table)
{
    free(*table);
    *table = NULL;
}

static void change_batch(fuzz_bytes *bytes, fuzz_call *call)
{
    call_batch *batch = &call->batch;
    const int64_t num_seqs = batch->num_seqs;
    switch (fuzz_between(bytes, 0, 10)) {
    case 0:
        batch->num_seqs = no_more_than(bytes, batch->num_seqs);
        break;
    case 1:
        batch->pages_per_seq = no_more_than(bytes, batch->pages_per_seq);
        break;
    case 2:
        change_entry(bytes, batch->query_start_loc, num_seqs + 1);
        break;
    case 3:
    case 4:
        change_entry(bytes, batch->context_lens, num_seqs);
        break;
    case 5:
        change_entry(bytes, batch->sequence_start, num_seqs);
        break;
    case 6:
        change_entry(bytes, batch->block_tables, num_seqs * batch->pages_per_seq);
        break;
    case 7:
        change_page(bytes, call);
        break;
    case 8:
        batch->num_splits = fuzz_extreme_int32(bytes);
        batch->batch_invariant = fuzz_one_in(bytes, 2);
        break;
    case 9:
        change_tuning(bytes, batch);
        break;
    default: {
        int32_t **tables[] = {&batch->query_start_loc, &batch->context_lens, &batch->sequence_start,
                              &batch->block_tables};
        drop_table(tables[fuzz_between(bytes, 0, COUNT(tables) - 1)]);
        break;
    }
    }
}

void call_change(fuzz_bytes *bytes, fuzz_call *call, bool with_batch)
{
    call->changed = true;
    switch (fuzz_between(bytes, 0, with_batch ? 5 : 3)) {
    case 0:
    case 1:
        change_tensor(bytes, call);
        break;
    case 2:
        change_agreeing_shapes(bytes, call);
        break;
    case 3:
        change_option(bytes, call);
        break;
    default:
        change_batch(bytes, call);
        break;
    }
}

/* A longer table: its rows once more, or zeros. */
static void grow_table(int32_t **table, int64_t num_rows, int64_t wanted_rows, int64_t row_entries)
{
    if (*table == NULL)
        return;
    int32_t *grown = calloc((size_t)(wanted_rows * row_entries) + 1, sizeof *grown);
    FUZZ_REQUIRE(grown != NULL, "no memory for a table");
    for (int64_t i = 0; num_rows > 0 && i < wanted_rows * row_entries; i++)
        grown[i] = (*table)[i % (num_rows * row_entries)];
    free(*table);
    *table = grown;
}

void call_settle(fuzz_call *call)
{
    enum { MOST_ROWS = 64 };
    call_batch *batch = &call->batch;
    const int64_t num_rows = call->tensors[CALL_QUERY].shape[0];
    if (call->operation == CALL_RAGGED_PAGE || call->operation == CALL_MERGE_STATES || num_rows <= batch->num_entries)
        return;
    if (num_rows > MOST_ROWS) {
        drop_table(&batch->context_lens);
        drop_table(&batch->sequence_start);
        drop_table(&batch->block_tables);
        return;
    }
    grow_table(&batch->context_lens, batch->num_entries, num_rows, 1);
    grow_table(&batch->sequence_start, batch->num_entries, num_rows, 1);
    if (batch->pages_per_seq > 0)
        grow_table(&batch->block_tables, batch->num_entries, num_rows, batch->pages_per_seq);
    batch->num_entries = (int32_t)num_rows;
}
