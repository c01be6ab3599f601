/* SPDX-License-Identifier: Apache-2.0 */
#include "attention_small.h"

#include "size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* Of a sequence that is cut: a prefill that fills no tile, over more than one block of keys. */
enum { MOST_ROWS = 5, MOST_KEYS = 40 };

/* What a tile holds at the least. */
enum { TILE_ROWS = 16, TILE_KEYS = 32 };

/* Heads wider than this get one block of keys: a single one takes seconds. */
enum { WIDE_HEAD_DIM = 128 };

typedef enum small_phase { SMALL_DECODE, SMALL_PREFILL, SMALL_NUM_PHASES } small_phase;

static int64_t round_up(int64_t count, int64_t multiple)
{
    return count > 0 ? (count + multiple - 1) / multiple * multiple : 0;
}

static int32_t q_len_of(const support_attention_case *description, int32_t seq)
{
    return description->q_lens ? description->q_lens[seq] : 1;
}

/* The keys [start, end) that there are for a sequence: those of a dense row lie within the cache. */
static support_key_range keys_of(const support_attention_case *description, int32_t seq)
{
    support_key_range keys = {0, description->context_lens[seq]};

    if (description->kv_starts && description->kv_starts[seq] > 0)
        keys.start = description->kv_starts[seq];
    if (description->seq_len > 0 && keys.end > description->seq_len)
        keys.end = description->seq_len;
    return keys;
}

/* A tile of a prefill holds the rows of all query heads of a kv head. */
static int64_t work_of(const support_attention_case *description, int32_t seq)
{
    const support_key_range keys = keys_of(description, seq);
    const int64_t q_len = q_len_of(description, seq);
    const int64_t head_dim_v = description->head_dim_v > 0 ? description->head_dim_v : description->head_dim;
    const int64_t group_size = description->num_q_heads / description->num_kv_heads;
    const int64_t num_rows = q_len > 1 ? round_up(q_len * group_size, TILE_ROWS) : q_len * group_size;

    return num_rows * description->num_kv_heads * round_up(keys.end - keys.start, TILE_KEYS) *
           (description->head_dim + head_dim_v);
}

int64_t support_attention_work(const support_attention_case *description)
{
    int64_t work = 0;

    for (int32_t s = 0; s < description->num_seqs; s++)
        work += work_of(description, s);
    return work;
}

/* Fewer keys from the side that the description gives: where there are no starts, keys begin at 0. */
static void cut_sequence(const support_attention_case *whole, int32_t seq, int32_t *q_len, int32_t *context_len,
                         int32_t *kv_start)
{
    const support_key_range keys = keys_of(whole, seq);
    const int32_t most_keys =
        whole->head_dim > WIDE_HEAD_DIM || whole->head_dim_v > WIDE_HEAD_DIM ? TILE_KEYS : MOST_KEYS;

    *q_len = q_len_of(whole, seq);
    *context_len = whole->context_lens[seq];
    *kv_start = whole->kv_starts ? whole->kv_starts[seq] : 0;
    if (*q_len > MOST_ROWS)
        *q_len = MOST_ROWS;
    if (keys.end - keys.start <= most_keys)
        return;
    if (whole->kv_starts)
        *kv_start = (int32_t)keys.end - most_keys;
    else
        *context_len = most_keys;
}

/* The sequence with this number becomes the next one of the small problem, unless its phase cannot afford it. */
static void take_sequence(support_small_case *small, const support_attention_case *whole, int32_t seq, int64_t *spent)
{
    support_attention_case *description = &small->description;
    const int32_t next = description->num_seqs;
    int32_t *q_lens = small->lengths;
    int32_t *context_lens = q_lens + whole->num_seqs;
    int32_t *kv_starts = context_lens + whole->num_seqs;

    cut_sequence(whole, seq, &q_lens[next], &context_lens[next], &kv_starts[next]);
    description->q_lens = q_lens;
    description->context_lens = context_lens;
    description->kv_starts = whole->kv_starts ? kv_starts : NULL;
    const small_phase phase = q_lens[next] > 1 ? SMALL_PREFILL : SMALL_DECODE;
    const int64_t work = work_of(description, next);
    if (spent[phase] > 0 && spent[phase] + work > SUPPORT_SMALL_WORK / SMALL_NUM_PHASES)
        return;
    spent[phase] += work;
    if (whole->sequence_seeds)
        small->seeds[next] = whole->sequence_seeds[seq];
    description->num_seqs++;
}

void support_small_case_init(support_small_case *small, const support_attention_case *whole)
{
    int64_t spent[SMALL_NUM_PHASES] = {0};

    *small = (support_small_case){.description = *whole};
    if (!support_size_is_small() || support_attention_work(whole) <= SUPPORT_SMALL_WORK)
        return;
    assert_int_equal(whole->poisoned_tokens, 0); /* whose sequence might go */
    small->lengths = calloc(3 * (size_t)whole->num_seqs, sizeof(int32_t));
    small->seeds = calloc((size_t)whole->num_seqs, sizeof(uint64_t));
    assert_non_null(small->lengths);
    assert_non_null(small->seeds);
    small->description.num_seqs = 0;
    for (int32_t s = 0; s < whole->num_seqs; s++)
        take_sequence(small, whole, s, spent);
    if (!whole->q_lens)
        small->description.q_lens = NULL;
    if (whole->sequence_seeds)
        small->description.sequence_seeds = small->seeds;
}

void support_small_case_finish(support_small_case *small)
{
    free(small->lengths);
    free(small->seeds);
}
