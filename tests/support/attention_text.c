/* SPDX-License-Identifier: Apache-2.0 */
/* A problem's description as a line of text. */
#include "attention.h"

#include <inttypes.h>
#include <stdio.h>

const char *support_result_name(support_result result)
{
    static const char *const names[] = {"out", "lse", "max", "denominator"};

    return names[result];
}

static void print_integer(const char *name, int64_t value)
{
    if (value != 0)
        fprintf(stderr, " %s=%" PRId64, name, value);
}

static void print_number(const char *name, float value)
{
    if (value != 0.0f)
        fprintf(stderr, " %s=%.9g", name, (double)value);
}

static void print_list(const char *name, const int32_t *values, int32_t count)
{
    if (!values)
        return;
    fprintf(stderr, " %s=", name);
    for (int32_t i = 0; i < count; i++)
        fprintf(stderr, "%s%" PRId32, i > 0 ? "," : "", values[i]);
}

static void print_batch(const support_attention *attention)
{
    const support_attention_case *description = &attention->description;

    if (description->page_seed != 0)
        fprintf(stderr, " page_seed=%" PRIu64, description->page_seed);
    fprintf(stderr, " num_seqs=%" PRId32, description->num_seqs);
    print_list("q_lens", attention->q_lens ? NULL : description->q_lens, description->num_seqs);
    print_list("context_lens", description->context_lens, description->num_seqs);
    print_list("kv_starts", description->kv_starts, description->num_seqs);
    for (int32_t s = 0; description->sequence_seeds && s < description->num_seqs; s++)
        fprintf(stderr, "%s%" PRIu64, s > 0 ? "," : " sequence_seeds=", description->sequence_seeds[s]);
    print_integer("shared_pages", description->shared_pages);
    print_integer("tail_rows", description->tail_rows);
    print_integer("max_context_len", description->max_context_len);
    print_integer("num_splits", description->num_splits);
    print_integer("batch_invariant", description->batch_invariant);
}

static void print_tensors(const support_attention_case *description)
{
    fprintf(stderr, " heads=%" PRId32 "/%" PRId32 " head_dim=%" PRId32 " head_dim_v=%" PRId32, description->num_q_heads,
            description->num_kv_heads, description->head_dim, description->head_dim_v);
    print_integer("kv_head_repeats", description->kv_head_repeats);
    if (description->seq_len > 0)
        fprintf(stderr, " seq_len=%" PRId32, description->seq_len);
    else
        fprintf(stderr, " page_size=%" PRId32 " layout=%s", description->page_size,
                clattn_kv_layout_name(description->kv_layout));
    fprintf(stderr, " query=%s key=%s value=%s out=%s", clattn_dtype_name(description->query_dtype),
            clattn_dtype_name(description->kv_dtype), clattn_dtype_name(description->value_dtype),
            clattn_dtype_name(description->out_dtype));
    print_integer("strided", description->strided);
    print_integer("lse", description->lse);
    print_integer("numerator", description->numerator);
    print_integer("constant_values", description->constant_values);
    print_integer("filler", description->filler);
    if (description->poisoned_tokens > 0)
        fprintf(stderr, " poisoned_seq=%" PRId32 " poisoned_tokens=%" PRId32, description->poisoned_seq,
                description->poisoned_tokens);
}

static void print_options(const support_attention_case *description)
{
    static const char *const sinks[] = {
        [SUPPORT_SINKS_PER_HEAD] = "per_head",
        [SUPPORT_SINKS_SHARED] = "shared",
        [SUPPORT_SINKS_PER_KV_HEAD] = "per_kv_head",
    };

    print_integer("sliding_window", description->sliding_window);
    if (description->window)
        fprintf(stderr, " window=%" PRId32 ",%" PRId32, description->window->left, description->window->right);
    print_number("softmax_scale", description->softmax_scale);
    print_number("logits_soft_cap", description->logits_soft_cap);
    print_number("mask_value", description->mask_value);
    print_number("query_factor", description->query_factor);
    if (description->sinks != SUPPORT_SINKS_NONE)
        fprintf(stderr, " sinks=%s", sinks[description->sinks]);
    print_integer("num_sinks", description->num_sinks);
}

/* A whole tile, but for what its kernel has none of. */
static void print_tile(clattn_phase phase, const clattn_tile *tile)
{
    if (tile == NULL)
        return;
    fprintf(stderr, " %s_tile:", clattn_phase_name(phase));
    print_integer("block_q", tile->block_q);
    print_integer("block_kv", tile->block_kv);
    print_integer("work_group_size", tile->work_group_size);
    print_integer("heads", tile->heads);
    print_integer("lanes", tile->lanes);
    print_integer("sub_group_size", tile->sub_group_size);
    print_integer("accumulators", tile->accumulators);
    print_integer("qk_keys", tile->qk_keys);
    print_integer("groups_per_unit", tile->groups_per_unit);
    print_integer("min_split_tokens", tile->min_split_tokens);
}

static void print_tuning(const clattn_tuning *tuning)
{
    if (tuning->family != CLATTN_FAMILY_DEFAULT)
        fprintf(stderr, " family=%s", clattn_family_name(tuning->family));
    print_integer("block_q", tuning->block_q);
    print_integer("block_kv", tuning->block_kv);
    print_integer("num_queries_per_block", tuning->num_queries_per_block);
    print_integer("num_kv_pages_per_block", tuning->num_kv_pages_per_block);
    print_integer("work_group_size", tuning->work_group_size);
    print_integer("num_warps", tuning->num_warps);
    print_integer("num_stages", tuning->num_stages);
    print_integer("local_memory_limit_bytes", tuning->local_memory_limit_bytes);
    print_tile(CLATTN_PHASE_DECODE, tuning->decode_tile);
    print_tile(CLATTN_PHASE_PREFILL, tuning->prefill_tile);
}

void support_attention_print(const support_attention *attention)
{
    static const char *const operations[] = {
        [SUPPORT_RAGGED_PAGE] = "ragged_page",
        [SUPPORT_PAGE] = "page",
        [SUPPORT_RAGGED_DECODE] = "ragged_decode",
        [SUPPORT_RAGGED] = "ragged",
    };
    const support_attention_case *description = &attention->description;

    fprintf(stderr, "problem: operation=%s seed=%" PRIu64, operations[description->operation], description->seed);
    print_batch(attention);
    print_tensors(description);
    print_options(description);
    print_tuning(&description->tuning);
    fprintf(stderr, "\n");
}
