/* SPDX-License-Identifier: Apache-2.0 */
/* The order of work items; see order.h. */
#include "attention/order.h"

#include <string.h>

/* Weight classes, eight to the octave: the order within one does not matter for balance. */
#define CLASSES_PER_OCTAVE 8
#define NUM_CLASSES (33 * CLASSES_PER_OCTAVE)

static int32_t weight_class(const clattn_work_item *item)
{
    uint32_t weight = (uint32_t)(item->kv_end - item->kv_begin);
    int32_t octave = 0;
    while (weight >= 2 * CLASSES_PER_OCTAVE) {
        weight /= 2;
        ++octave;
    }
    return octave * CLASSES_PER_OCTAVE + (int32_t)weight;
}

/* Shares for each thread: what it takes later is a smaller run, which should hold its part of heavy items as well. */
#define SHARES_PER_THREAD 4

static int64_t num_shares(int64_t num_items, int32_t run_threads)
{
    if (run_threads <= 1)
        return 1;
    int64_t per_thread = num_items / 2 / run_threads; /* a share of one item balances nothing */
    if (per_thread > SHARES_PER_THREAD)
        per_thread = SHARES_PER_THREAD;
    return run_threads * (per_thread > 1 ? per_thread : 1);
}

/*
 * Where the item of a rank goes: ranks are dealt to the shares in rounds, to and fro, so that no share gets the heavier
 * item every time; the last round, which may not reach all of them, begins at the first.
 */
static int64_t place_of(int64_t rank, int64_t num_items, int64_t shares)
{
    const int64_t whole_rounds = num_items / shares;
    const int64_t longer_shares = num_items % shares;
    const int64_t round = rank / shares;
    const int64_t turn = rank % shares;
    const int64_t share = (whole_rounds - round) % 2 == 0 ? turn : shares - 1 - turn;
    return share * whole_rounds + (share < longer_shares ? share : longer_shares) + round;
}

/* A stable counting sort over weight classes, heavy first, that puts every item straight into its place. */
void clattn_order_items(clattn_work_item *items, int64_t num_items, int32_t run_threads, clattn_work_item *scratch)
{
    const int64_t shares = num_shares(num_items, run_threads);
    int64_t ranks[NUM_CLASSES + 1] = {0};
    for (int64_t i = 0; i < num_items; ++i)
        ++ranks[weight_class(&items[i])];
    int64_t next = 0;
    for (int32_t class_index = NUM_CLASSES; class_index >= 0; --class_index) {
        const int64_t count = ranks[class_index];
        ranks[class_index] = next;
        next += count;
    }
    memcpy(scratch, items, (size_t)num_items * sizeof *items);
    for (int64_t i = 0; i < num_items; ++i)
        items[place_of(ranks[weight_class(&scratch[i])]++, num_items, shares)] = scratch[i];
}
