/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a token's K and V rows lie: base + page * page_stride + slot * slot_stride + head * head_stride, one rule for
 * every layout. A cursor walks the tokens of a sequence and divides by the page size once, at its start.
 */
typedef struct {
    global const int *pages;
    int page_size;
    int page; /* logical */
    int slot;
} kv_cursor;

static inline kv_cursor kv_cursor_at(global const int *plan, const sequence_t *sequence, const attention_args *args, int token)
{
    const kv_cursor cursor = {plan + sequence->pages_at, args->page_size, token / args->page_size, token % args->page_size};
    return cursor;
}

static inline void kv_cursor_advance(kv_cursor *cursor)
{
    if (++cursor->slot == cursor->page_size) {
        cursor->slot = 0;
        ++cursor->page;
    }
}

static inline ulong k_offset(const kv_cursor *cursor, const attention_args *args)
{
    return args->k_offset + (ulong)cursor->pages[cursor->page] * args->k_page_stride + (ulong)cursor->slot * args->k_slot_stride;
}

static inline ulong v_offset(const kv_cursor *cursor, const attention_args *args)
{
    return args->v_offset + (ulong)cursor->pages[cursor->page] * args->v_page_stride + (ulong)cursor->slot * args->v_slot_stride;
}

static inline ulong q_offset(const sequence_t *sequence, const attention_args *args, int kv_head, int row)
{
    const int token = sequence->first_token + row / args->group_size;
    const int head = kv_head * args->group_size + row % args->group_size;
    return args->q_offset + (ulong)token * args->q_token_stride + (ulong)head * args->q_head_stride;
}

static inline ulong out_offset(const sequence_t *sequence, const attention_args *args, int kv_head, int row)
{
    const int token = sequence->first_token + row / args->group_size;
    const int head = kv_head * args->group_size + row % args->group_size;
    return args->out_offset + (ulong)token * args->out_token_stride + (ulong)head * args->out_head_stride;
}

static inline ulong lse_offset(const sequence_t *sequence, const attention_args *args, int kv_head, int row)
{
    const int token = sequence->first_token + row / args->group_size;
    const int head = kv_head * args->group_size + row % args->group_size;
    return args->lse_offset + (ulong)token * args->lse_token_stride + (ulong)head * args->lse_head_stride;
}
