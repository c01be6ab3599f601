/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The step's metadata on the device: one int buffer with a section of sequences, one of work items per kernel and one
 * of page numbers; and the arguments that all attention kernels share. The host writes both
 * (lib/attention/schedule.c, lib/attention/launch.c): change them together.
 */
#define RECORD_INTS 8

/* What a kernel needs besides buffers. Offsets and strides in elements, section positions in ints. */
typedef struct {
    ulong q_offset, q_token_stride, q_head_stride;
    ulong k_offset, k_page_stride, k_slot_stride, k_head_stride;
    ulong v_offset, v_page_stride, v_slot_stride, v_head_stride;
    ulong out_offset, out_token_stride, out_head_stride;
    ulong state_offset, state_token_stride, state_head_stride; /* of the row's lse or max */
    ulong denominator_offset, denominator_token_stride, denominator_head_stride;
    ulong sinks_offset, sinks_q_head_stride, sinks_kv_head_stride;
    int seqs_at, items_at, pages_at;
    int num_kv_heads, group_size, page_size;
    int window_left, window_right; /* inclusive distances, INT_MAX = unlimited */
    int num_sinks;                 /* of a row */
    float dot_scale;               /* q . k times it is the logit; with a soft cap, the argument of its tanh */
    float soft_cap;                /* unused without one */
    float mask_value;              /* the maximum of a row without keys */
} attention_args;

/* A sequence of the batch. Its packed row r is query token r / group_size and head r % group_size of a kv head's group. */
typedef struct {
    int first_token;    /* of its queries in the batch */
    int first_position; /* of its first query in the sequence */
    int kv_start, kv_end;
    int pages_at;       /* of its page numbers in the plan */
} sequence_t;

/* Packed rows [first_row, first_row + num_rows) of a sequence against keys [kv_begin, kv_end). */
typedef struct {
    int sequence;
    int first_row, num_rows;
    int kv_begin, kv_end;
    int partial; /* first row of its partial state, -1 = the result is final */
} work_item_t;

static inline sequence_t load_sequence(global const int *plan, const attention_args *args, int index)
{
    global const int *record = plan + args->seqs_at + RECORD_INTS * index;
    const sequence_t sequence = {record[0], record[1], record[2], record[3], args->pages_at + record[4]};
    return sequence;
}

static inline work_item_t load_work_item(global const int *plan, const attention_args *args, int index)
{
    global const int *record = plan + args->items_at + RECORD_INTS * index;
    const work_item_t item = {record[0], record[1], record[2], record[3], record[4], record[5]};
    return item;
}

/* The packed row of a tile's row; rows past the item's last repeat it. */
static inline int packed_row_of(const work_item_t *item, int row)
{
    return item->first_row + min(row, item->num_rows - 1);
}

/* The query head of a packed row. */
static inline int q_head_of(const attention_args *args, int kv_head, int packed_row)
{
    return kv_head * args->group_size + packed_row % args->group_size;
}

/* Keys [first, past). */
typedef struct {
    int first;
    int past;
} key_range;

/* The keys of the item that a tile's row sees; neither end decreases from row to row. */
static inline key_range visible_keys(const sequence_t *sequence, const attention_args *args, const work_item_t *item, int row)
{
    const int position = sequence->first_position + packed_row_of(item, row) / args->group_size;
    const int first = max(sequence->kv_start, position - args->window_left);
    const int to_end = sequence->kv_end - 1 - position;
    const int past = args->window_right < to_end ? position + args->window_right + 1 : sequence->kv_end;
    const key_range keys = {max(item->kv_begin, first), min(item->kv_end, past)};
    return keys;
}

/* Row of the partial results: splits of a tile lie one after another, the kv heads of a row beside each other. */
static inline ulong partial_row(const attention_args *args, int first, int row, int kv_head)
{
    return ((ulong)first + (ulong)row) * (ulong)args->num_kv_heads + (ulong)kv_head;
}
