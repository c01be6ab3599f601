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

/* The token's row, from its kv head's first one on. */
static inline ulong k_row_offset(const kv_cursor *cursor, const attention_args *args)
{
    return (ulong)cursor->pages[cursor->page] * args->k_page_stride + (ulong)cursor->slot * args->k_slot_stride;
}

static inline ulong v_row_offset(const kv_cursor *cursor, const attention_args *args)
{
    return (ulong)cursor->pages[cursor->page] * args->v_page_stride + (ulong)cursor->slot * args->v_slot_stride;
}

static inline ulong k_offset(const kv_cursor *cursor, const attention_args *args)
{
    return args->k_offset + k_row_offset(cursor, args);
}

static inline ulong v_offset(const kv_cursor *cursor, const attention_args *args)
{
    return args->v_offset + v_row_offset(cursor, args);
}

/* Queries, results and their softmax states: a packed row's token and head times their strides. */
static inline ulong row_offset(const attention_args *args, int first_token, int kv_head, int row, ulong token_stride, ulong head_stride)
{
    const int token = first_token + row / args->group_size;
    return (ulong)token * token_stride + (ulong)q_head_of(args, kv_head, row) * head_stride;
}

static inline ulong q_offset(const attention_args *args, int first_token, int kv_head, int row)
{
    return args->q_offset + row_offset(args, first_token, kv_head, row, args->q_token_stride, args->q_head_stride);
}

/* The results' from their first element on, where results_t points. */
static inline ulong out_offset(const attention_args *args, int first_token, int kv_head, int row)
{
    return row_offset(args, first_token, kv_head, row, args->out_token_stride, args->out_head_stride);
}

static inline ulong state_offset(const attention_args *args, int first_token, int kv_head, int row)
{
    return row_offset(args, first_token, kv_head, row, args->state_token_stride, args->state_head_stride);
}

static inline ulong denominator_offset(const attention_args *args, int first_token, int kv_head, int row)
{
    return row_offset(args, first_token, kv_head, row, args->denominator_token_stride, args->denominator_head_stride);
}
