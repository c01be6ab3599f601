/* SPDX-License-Identifier: Apache-2.0 */
/* Walks the merge kernel: cl/merge.cl. */
#include "walk_kernel.h"

/* The states that a launch joins. */
typedef struct merge_states {
    bool planned;
    bool by_lse;
    clattn_dtype dtype;
    int64_t width;
    cl_mem acc;
    cl_mem max;
    cl_mem sum;
    cl_mem plan;
    walk_merge_args args;
} merge_states;

/* merge_item. */
typedef struct merge_item {
    int64_t first_token;
    int64_t first_row, num_rows;
    int64_t first_state, states_apart;
    int64_t num_states;
} merge_item;

static merge_item load_item(const merge_states *states, const walk_args *args, int64_t index)
{
    if (states->planned) {
        const int64_t at = args->items_at + 8 * index;
        return (merge_item){walk_plan_int(states->plan, at),     walk_plan_int(states->plan, at + 1),
                            walk_plan_int(states->plan, at + 2), walk_plan_int(states->plan, at + 3),
                            walk_plan_int(states->plan, at + 5), walk_plan_int(states->plan, at + 4)};
    }
    const int64_t first_row = walk_int(index * states->args.rows_per_item, "a merged row");
    const int64_t left = states->args.num_rows - first_row;
    return (merge_item){0,         first_row, left < states->args.rows_per_item ? left : states->args.rows_per_item,
                        first_row, 0,         states->args.num_states};
}

static uint64_t state_at(const walk_states_address *address, int64_t state, int64_t state_row, int64_t head)
{
    return address->offset + (uint64_t)state * address->state_stride + (uint64_t)state_row * address->row_stride +
           (uint64_t)head * address->head_stride;
}

/* State `state` of a row: the caller's element, or one within the partial results. */
static void check_state(const call_walk *walk, const merge_states *states, int64_t state, int64_t state_row,
                        int64_t head)
{
    const uint64_t acc = state_at(&states->args.acc, state, state_row, head);
    const uint64_t max = state_at(&states->args.max, state, state_row, head);
    const uint64_t sum = state_at(&states->args.sum, state, state_row, head);
    if (states->planned) {
        walk_require_inside(states->acc, CLATTN_FLOAT32, acc, (uint64_t)states->width, "partial results");
        walk_require_inside(states->max, CLATTN_FLOAT32, max, 1, "partial maxima");
        walk_require_inside(states->sum, CLATTN_FLOAT32, sum, 1, "partial sums");
        const uint64_t place = (uint64_t)(state_row * walk->num_kv_heads + head);
        FUZZ_REQUIRE(acc == place * (uint64_t)states->width && max == 2 * place && sum == 2 * place + 1,
                     "a partial result is read where none is written");
        return;
    }
    const int64_t index[] = {state, state_row, head};
    const clattn_dtype dtype = walk->call->tensors[CALL_QUERY].dtype;
    FUZZ_REQUIRE(states->dtype == dtype, "states_out has another dtype");
    walk_require_element(walk->call, CALL_QUERY, states->acc, 3, index, acc, states->width);
    walk_require_element(walk->call, states->by_lse ? CALL_STATES_LSE : CALL_STATES_MAX, states->max, 3, index, max, 1);
    if (!states->by_lse)
        walk_require_element(walk->call, CALL_STATES_DENOMINATOR, states->sum, 3, index, sum, 1);
}

static void walk_item(call_walk *walk, const merge_states *states, const walk_results *results, const walk_args *args,
                      const merge_item *item)
{
    FUZZ_REQUIRE(item->num_rows >= 1 && item->num_states >= 0 && item->first_row >= 0, "a merge item of %lld rows",
                 (long long)item->num_rows);
    for (int64_t row = 0; row < item->num_rows; row++) {
        const int64_t packed_row = walk_int(item->first_row + row, "a packed row");
        const int64_t token = walk_int(item->first_token + packed_row / walk->group_size, "a token");
        const int64_t head_in_group = packed_row % walk->group_size;
        for (int64_t state = 0; state < item->num_states; state++) {
            const int64_t state_row = item->first_state + state * item->states_apart + row;
            check_state(walk, states, state, state_row, 0);
            check_state(walk, states, state, state_row, walk->num_kv_heads - 1);
            if (states->planned)
                walk_join(walk, state_row, token, head_in_group);
        }
        for (int64_t kv_head = 0; kv_head < walk->num_kv_heads; kv_head++)
            walk_result(walk, results, args, token, kv_head, head_in_group);
    }
}

void walk_merge_launch(call_walk *walk, const fake_launch *launch)
{
    walk_args args;
    walk_struct(launch, 8, &args, sizeof args);
    merge_states states = {
        .planned = walk_define(launch->options, "PLANNED") != 0,
        .by_lse = walk_define(launch->options, "STATES_LSE") != 0,
        .dtype = (clattn_dtype)walk_define(launch->options, "STATES_DTYPE"),
        .width = walk_define(launch->options, "HEAD_DIM_V"),
        .acc = walk_buffer(launch, 4),
        .max = walk_buffer(launch, 5),
        .sum = walk_buffer(launch, 6),
        .plan = walk_buffer(launch, 7),
    };
    walk_struct(launch, 9, &states.args, sizeof states.args);
    FUZZ_REQUIRE(states.planned == (walk->call->operation != CALL_MERGE_STATES), "the merge of another operation");
    FUZZ_REQUIRE(launch->local_size == (size_t)walk_define(launch->options, "WORK_GROUP_SIZE"),
                 "the merge kernel in groups of %zu", launch->local_size);
    FUZZ_REQUIRE(args.num_kv_heads == walk->num_kv_heads && args.group_size == walk->group_size,
                 "the merge kernel has other heads");
    const walk_results results = walk_results_of(launch, 0, 1, 2, 3);
    const int64_t num_groups = walk_int((int64_t)(launch->global_size / launch->local_size), "a group's number");
    FUZZ_REQUIRE(num_groups % walk->num_kv_heads == 0, "%lld groups for %lld heads", (long long)num_groups,
                 (long long)walk->num_kv_heads);
    for (int64_t i = 0; i < num_groups / walk->num_kv_heads; i++) {
        const merge_item item = load_item(&states, &args, i);
        walk_item(walk, &states, &results, &args, &item);
    }
}
