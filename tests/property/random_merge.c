/* SPDX-License-Identifier: Apache-2.0 */
/* The states lie in one tensor for each part of theirs, and every call writes its own slice; see random_merge.h. */
#include "random_merge.h"

#include "support/fp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The dimension of a state's number: [states, tokens, ...] or [tokens, states, ...]. */
typedef struct merge_states {
    const random_cut *cut;
    support_image out;
    support_image max; /* or the log-sum-exps */
    support_image denominator;
} merge_states;

/* The keys of one state in every sequence. */
typedef struct state_ranges {
    int32_t starts[RANDOM_MOST_SEQS + 1];
    int32_t ends[RANDOM_MOST_SEQS + 1];
} state_ranges;

static support_image create_part(const support_attention *attention, const random_cut *cut, clattn_dtype dtype,
                                 int32_t rank, const support_device *device)
{
    const support_attention_case *description = &attention->description;
    const int64_t shape[4] = {
        cut->tokens_first ? attention->total_tokens : cut->num_states,
        cut->tokens_first ? cut->num_states : attention->total_tokens,
        description->num_q_heads,
        description->head_dim_v,
    };
    support_image image = support_image_create(dtype, rank, shape, description->strided);

    support_image_fill_canary(&image);
    support_image_upload(&image, device);
    return image;
}

static void create_states(merge_states *states, const support_attention *attention, const support_device *device)
{
    const random_cut *cut = states->cut;

    states->out = create_part(attention, cut, cut->states_dtype, 4, device);
    states->max = create_part(attention, cut, CLATTN_FLOAT32, 3, device);
    if (!cut->by_lse)
        states->denominator = create_part(attention, cut, CLATTN_FLOAT32, 3, device);
}

static void destroy_states(merge_states *states)
{
    support_image_destroy(&states->out);
    support_image_destroy(&states->max);
    support_image_destroy(&states->denominator);
}

/* The tensor with the states in front. Without tokens there are no distances, and a stride must be positive. */
static clattn_tensor stacked(const merge_states *states, const support_image *image)
{
    clattn_tensor tensor = image->tensor;

    for (int32_t i = 0; i < tensor.rank; i++)
        tensor.strides[i] = image->strides[i] > 0 ? image->strides[i] : 1;
    if (states->cut->tokens_first) {
        tensor.shape[0] = image->tensor.shape[1];
        tensor.shape[1] = image->tensor.shape[0];
        tensor.strides[0] = tensor.strides[1];
        tensor.strides[1] = image->strides[0] > 0 ? image->strides[0] : 1;
    }
    return tensor;
}

/* One state of it. */
static clattn_tensor slice(const merge_states *states, const support_image *image, int32_t state)
{
    clattn_tensor tensor = stacked(states, image);

    tensor.offset_bytes += (uint64_t)(state * tensor.strides[0]) * clattn_dtype_size(tensor.dtype);
    tensor.rank--;
    for (int32_t i = 0; i < tensor.rank; i++) {
        tensor.shape[i] = tensor.shape[i + 1];
        tensor.strides[i] = tensor.strides[i + 1];
    }
    return tensor;
}

/* The outermost bounds are those of the type, so that ranges are cut, not trimmed. */
static void find_ranges(const support_attention *attention, const random_cut *cut, int32_t state, state_ranges *ranges)
{
    const support_attention_case *description = &attention->description;
    const int32_t low = cut->bounds[state];
    const int32_t high = cut->bounds[state + 1];

    for (int32_t s = 0; s < description->num_seqs; s++) {
        const int32_t start = description->kv_starts ? description->kv_starts[s] : 0;
        const int32_t end = description->context_lens[s];
        ranges->starts[s] = start > low ? start : low;
        ranges->ends[s] = end < high ? end : high;
    }
}

static clattn_status call_by_lse(const merge_states *states, const support_attention *attention,
                                 const support_device *device, const clattn_plan *plan, int32_t state,
                                 const state_ranges *ranges)
{
    clattn_ragged_decode_attention_params params = support_attention_ragged_decode_params(attention, plan);

    params.out = slice(states, &states->out, state);
    params.lse = slice(states, &states->max, state);
    if (!plan) {
        params.sequence_start = ranges->starts;
        params.sequence_end = ranges->ends;
    }
    return clattn_ragged_decode_attention(device->ctx, &params, 0, NULL, NULL);
}

static clattn_status call_by_numerator(const merge_states *states, const support_attention *attention,
                                       const support_device *device, const clattn_plan *plan, int32_t state,
                                       const state_ranges *ranges)
{
    clattn_ragged_attention_params params = support_attention_ragged_params(attention, plan);

    params.out = slice(states, &states->out, state);
    params.max = slice(states, &states->max, state);
    params.denominator = slice(states, &states->denominator, state);
    params.numerator = true;
    if (!plan) {
        params.starts = ranges->starts;
        params.lengths = ranges->ends;
    }
    return clattn_ragged_attention(device->ctx, &params, 0, NULL, NULL);
}

static void require_ok(const support_attention *attention, const support_device *device, const char *call,
                       clattn_status status)
{
    if (status == CLATTN_OK)
        return;
    support_attention_print(attention);
    fail_msg("call=\"%s\" status=%s error=\"%s\"", call, clattn_status_name(status),
             clattn_context_last_error(device->ctx));
}

static void run_state(const merge_states *states, const support_attention *attention, const support_device *device,
                      int32_t state, bool planned)
{
    clattn_plan_params plan_params = support_attention_plan_params(attention);
    clattn_plan *plan = NULL;
    clattn_status status;
    state_ranges ranges;

    find_ranges(attention, states->cut, state, &ranges);
    plan_params.sequence_start = ranges.starts;
    plan_params.context_lens = ranges.ends;
    if (planned)
        require_ok(attention, device, "clattn_plan_create", clattn_plan_create(device->ctx, &plan_params, &plan));
    status = (states->cut->by_lse ? call_by_lse : call_by_numerator)(states, attention, device, plan, state, &ranges);
    clattn_plan_destroy(&plan);
    require_ok(attention, device, "the operation on a part of the keys", status);
}

static void join(const merge_states *states, const support_attention *attention, const support_device *device)
{
    clattn_merge_states_params params = {
        .states_out = stacked(states, &states->out),
        .out = attention->out.tensor,
        .lse = attention->lse.tensor,
        .max = attention->max.tensor,
        .denominator = attention->denominator.tensor,
        .numerator = attention->description.numerator,
        .mask_value = attention->description.mask_value,
    };

    if (states->cut->by_lse) {
        params.states_lse = stacked(states, &states->max);
    } else {
        params.states_max = stacked(states, &states->max);
        params.states_denominator = stacked(states, &states->denominator);
    }
    require_ok(attention, device, "clattn_merge_states", clattn_merge_states(device->ctx, &params, 0, NULL, NULL));
}

/* What bounds the error of a merge: largest sizes over all states that are not empty. */
typedef struct magnitudes {
    double out; /* normalised */
    double max;
    double sum; /* of the merged row, whose weights are at most 1 */
} magnitudes;

static void add_row(const merge_states *states, const int64_t index[4], int64_t width, magnitudes *largest,
                    double *row_sum)
{
    const bool by_lse = states->cut->by_lse;
    const double max = (double)support_image_get(&states->max, support_image_at(&states->max, index));
    const double sum =
        by_lse ? 1.0 : (double)support_image_get(&states->denominator, support_image_at(&states->denominator, index));
    const int64_t first = support_image_at(&states->out, index);

    if (by_lse ? max == -(double)INFINITY : sum == 0.0)
        return;
    largest->max = fmax(largest->max, fabs(max));
    *row_sum += sum;
    for (int64_t d = 0; d < width; d++)
        largest->out = fmax(largest->out, fabs((double)support_image_get(&states->out, first + d)) / sum);
}

static magnitudes measure(const merge_states *states, const support_attention *attention)
{
    const support_attention_case *description = &attention->description;
    magnitudes largest = {0.0, 0.0, 0.0};

    for (int64_t token = 0; token < attention->total_tokens; token++) {
        for (int64_t head = 0; head < description->num_q_heads; head++) {
            double row_sum = 0.0;
            for (int64_t state = 0; state < states->cut->num_states; state++) {
                const bool tokens_first = states->cut->tokens_first;
                const int64_t index[4] = {tokens_first ? token : state, tokens_first ? state : token, head, 0};
                add_row(states, index, description->head_dim_v, &largest, &row_sum);
            }
            largest.sum = fmax(largest.sum, row_sum);
        }
    }
    return largest;
}

/*
 * A maximum or log-sum-exp m is stored with a relative error of 2^-24 and goes through units of log2 twice, so a weight
 * exp(m - M) is off by at most 4 |m| 2^-24, besides the 16 + num_states roundings of an exponential and of the sums.
 * A quotient has the error of the numerator and of the denominator.
 */
static void allow_rounding(const merge_states *states, support_attention *attention)
{
    const magnitudes largest = measure(states, attention);
    const double relative = (16.0 + states->cut->num_states + 4.0 * largest.max) * 0x1p-24;
    const double out = 2.0 * relative * largest.out + support_rounding(states->cut->states_dtype, largest.out);

    attention->allowances[SUPPORT_OUT] = attention->description.numerator ? out * largest.sum : out;
    attention->allowances[SUPPORT_LSE] = relative;
    attention->allowances[SUPPORT_MAX] = 0x1p-22 * largest.max;
    attention->allowances[SUPPORT_DENOMINATOR] = relative * largest.sum;
}

static void read_part(support_image *image, const support_device *device)
{
    if (image->tensor.rank == 0)
        return;
    support_image_download(image, device);
    if (support_image_find_damage(image) >= 0)
        fail_msg("wrote between or behind the states, byte %lld", (long long)support_image_find_damage(image));
}

void random_merge_run(support_attention *attention, const support_device *device, const random_cut *cut, bool planned)
{
    merge_states states = {.cut = cut};

    create_states(&states, attention, device);
    support_attention_reset(attention, device);
    for (int32_t state = 0; state < cut->num_states; state++)
        run_state(&states, attention, device, state, planned);
    join(&states, attention, device);
    support_attention_read(attention, device);
    read_part(&states.out, device);
    read_part(&states.max, device);
    read_part(&states.denominator, device);
    allow_rounding(&states, attention);
    destroy_states(&states);
}
