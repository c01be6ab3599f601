/* SPDX-License-Identifier: Apache-2.0 */
/* Slot mappings are checked with a hash table of token indices: open addressing, at most half full. */
#include "kv_cache/slots.h"

#include <inttypes.h>

#define NO_TOKEN (-1)

uint64_t clattn_slots_scratch_entries(int32_t num_tokens)
{
    uint64_t num_entries = 2;
    while (num_entries < 2 * (uint64_t)num_tokens)
        num_entries *= 2;
    return num_entries;
}

/* Spreads neighbours over the table; the multiplier is the odd integer nearest to 2^64 over the golden ratio. */
static uint64_t hash_slot(int64_t slot)
{
    const uint64_t product = (uint64_t)slot * UINT64_C(0x9e3779b97f4a7c15);
    return product ^ (product >> 32);
}

/* The earlier token with the slot of `token`, else NO_TOKEN after entering `token`. */
static int32_t find_or_enter(const int64_t *slots, int32_t token, int32_t *table, uint64_t mask)
{
    uint64_t entry = hash_slot(slots[token]) & mask;
    while (table[entry] != NO_TOKEN) {
        if (slots[table[entry]] == slots[token])
            return table[entry];
        entry = (entry + 1) & mask;
    }
    table[entry] = token;
    return NO_TOKEN;
}

clattn_status clattn_slots_check(clattn_error *error, const int64_t *slots, int32_t num_tokens, int64_t num_slots,
                                 int32_t *scratch)
{
    const uint64_t num_entries = clattn_slots_scratch_entries(num_tokens);
    for (uint64_t i = 0; i < num_entries; i++)
        scratch[i] = NO_TOKEN;

    for (int32_t token = 0; token < num_tokens; token++) {
        CLATTN_REQUIRE(error, slots[token] >= 0 && slots[token] < num_slots, CLATTN_INVALID_PAGE,
                       "slot_mapping[%" PRId32 "] is %" PRId64 ", expected a slot in [0, %" PRId64 ")", token,
                       slots[token], num_slots);
        const int32_t earlier = find_or_enter(slots, token, scratch, num_entries - 1);
        CLATTN_REQUIRE(error, earlier == NO_TOKEN, CLATTN_INVALID_PAGE,
                       "slot_mapping[%" PRId32 "] and slot_mapping[%" PRId32 "] are both slot %" PRId64
                       ", expected every slot once",
                       earlier, token, slots[token]);
    }
    return CLATTN_OK;
}
