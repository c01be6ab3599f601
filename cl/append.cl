/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Append: copies the new K and V rows of one layer into their slots, converting the dtype (round to nearest even).
 *
 * Grid          1-D. A work-group copies heads_per_group kv heads of one token, its work-items side by side in a row.
 *               A GPU takes one head per group; a CPU takes all heads of a token with a single work-item.
 * Index         new row     offset + token*token_stride + head*head_stride + d
 *               cache row   base + page*page_stride + slot*slot_stride + head*head_stride + d
 *               with page = mapped / page_size and slot = mapped % page_size; every number in elements
 * Local memory  none
 *
 * The slots were checked on the host: inside the cache and different from each other.
 */
#if !defined(SRC_K_DTYPE) || !defined(SRC_V_DTYPE) || !defined(DST_DTYPE)
#error "SRC_K_DTYPE, SRC_V_DTYPE and DST_DTYPE are the storage types of keys, values and cache"
#endif

/* Work-items per group: 1 on a CPU, else what every device has; any value >= 1. */
#if !defined(WORK_GROUP_SIZE)
#define WORK_GROUP_SIZE 64
#endif

#if WORK_GROUP_SIZE < 1
#error "WORK_GROUP_SIZE must be at least 1"
#endif

/* key_pages and value_pages are one buffer in the combined layout: no restrict there. */
kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1))) void
clattn_append(global const STORAGE(SRC_K_DTYPE) *restrict keys,
              global const STORAGE(SRC_V_DTYPE) *restrict values,
              global const long *restrict slot_mapping,
              global STORAGE(DST_DTYPE) *key_pages,
              global STORAGE(DST_DTYPE) *value_pages,
              const ulong num_kv_heads, const ulong heads_per_group, const ulong head_dim, const ulong head_dim_v,
              const ulong page_size, const ulong slot_mapping_offset,
              const ulong keys_offset, const ulong keys_token_stride, const ulong keys_head_stride,
              const ulong values_offset, const ulong values_token_stride, const ulong values_head_stride,
              const ulong key_base, const ulong key_page_stride, const ulong key_slot_stride,
              const ulong key_head_stride,
              const ulong value_base, const ulong value_page_stride, const ulong value_slot_stride,
              const ulong value_head_stride)
{
    const ulong groups_per_token = num_kv_heads / heads_per_group;
    const ulong token = get_group_id(0) / groups_per_token;
    const ulong first_head = get_group_id(0) % groups_per_token * heads_per_group;
    const ulong mapped = (ulong)slot_mapping[slot_mapping_offset + token];
    const ulong page = mapped / page_size;
    const ulong slot = mapped % page_size;
    const ulong key_row = key_base + page * key_page_stride + slot * key_slot_stride;
    const ulong value_row = value_base + page * value_page_stride + slot * value_slot_stride;

    for (ulong head = first_head; head < first_head + heads_per_group; head++) {
        const ulong new_key = keys_offset + token * keys_token_stride + head * keys_head_stride;
        const ulong key = key_row + head * key_head_stride;
        for (ulong d = get_local_id(0); d < head_dim; d += WORK_GROUP_SIZE)
            STORE(DST_DTYPE)(key_pages, key + d, LOAD(SRC_K_DTYPE)(keys, new_key + d));

        const ulong new_value = values_offset + token * values_token_stride + head * values_head_stride;
        const ulong value = value_row + head * value_head_stride;
        for (ulong d = get_local_id(0); d < head_dim_v; d += WORK_GROUP_SIZE)
            STORE(DST_DTYPE)(value_pages, value + d, LOAD(SRC_V_DTYPE)(values, new_value + d));
    }
}
