/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of a row's softmax state when the row ends: sinks join it, and STATE and NUMERATOR say what is written.
 */

/* What is written besides the output: STATE. */
#define STATE_NONE 0
#define STATE_LSE 1             /* log-sum-exp */
#define STATE_MAX_DENOMINATOR 2 /* the largest logit, and the sum of exp(logit - max) */

#if !defined(OUT_DTYPE) || !defined(SINKS) || !defined(STATE) || !defined(NUMERATOR)
#error "OUT_DTYPE, SINKS, STATE and NUMERATOR are missing"
#endif

/* Where finished rows go, and the sinks that join them. */
typedef struct {
    global STORAGE(OUT_DTYPE) *out;
    global float *states;       /* lse or max */
    global float *denominators;
    global const float *sinks;
    global float *partial_acc;  /* the same of rows whose keys were split: numerators, */
    global float2 *partial_sums; /*   largest logits and sums */
} results_t;

/* The kernel's pointers, moved to the first element of what they stand for: a pointer takes less than it and an offset. */
static inline results_t results_at(global STORAGE(OUT_DTYPE) *out, global float *states, global float *denominators,
                                   global const float *sinks, global float *partial_acc, global float2 *partial_sums,
                                   const attention_args *args)
{
    const results_t results = {out + args->out_offset, states + args->state_offset, denominators + args->denominator_offset,
                               sinks + args->sinks_offset, partial_acc, partial_sums};
    return results;
}

/* How a finished row is written: acc * scale, and its state. */
typedef struct {
    float scale;
    float state;
    float denominator;
} row_result;

/* Where a row's first sink is. */
static inline ulong sink_offset(const attention_args *args, int kv_head, int q_head)
{
    return (ulong)q_head * args->sinks_q_head_stride + (ulong)kv_head * args->sinks_kv_head_stride;
}

/*
 * The sinks of a row, logits without a value, join its sums. Structs come by pointer to const: Mesa 22.3's
 * OpenCL lets what a function does to its copy of one show in the caller's.
 */
static inline row_sums join_sinks(const row_sums *sums, global const float *sinks, const attention_args *args, int kv_head, int q_head)
{
    global const float *row_sinks = sinks + sink_offset(args, kv_head, q_head);
    row_sums joint = *sums;
    for (int i = 0; i < args->num_sinks; ++i)
        joint.max = fmax(joint.max, row_sinks[i]);
    joint.sum = sums->sum * WEIGHT(sums->max, joint.max);
    for (int i = 0; i < args->num_sinks; ++i)
        joint.sum += WEIGHT(row_sinks[i], joint.max);
    return joint;
}

/*
 * The result of a row whose sums hold everything, sinks as well: normalised, or the numerator (NUMERATOR). `correction` is
 * what its output still has to be multiplied by. A row without keys has the sum 0 and stays empty, sinks or not.
 */
static inline row_result finish_row(const row_sums *joint, float correction, const attention_args *args)
{
    row_result result = {0.0f, STATE == STATE_LSE ? -INFINITY : args->mask_value, 0.0f};
    if (joint->sum == 0.0f) /* not for NaN, which must show */
        return result;
    result.scale = NUMERATOR ? correction : correction / joint->sum;
    result.state = STATE == STATE_LSE ? joint->max + log(joint->sum) : joint->max;
    result.denominator = joint->sum;
    return result;
}

/* The result of a packed row, which its sinks join. */
static inline row_result finalize_row(const row_sums *sums, global const float *sinks, const attention_args *args, int kv_head,
                                      int packed_row)
{
#if SINKS
    if (sums->sum != 0.0f) {
        const row_sums joint = join_sinks(sums, sinks, args, kv_head, q_head_of(args, kv_head, packed_row));
        return finish_row(&joint, WEIGHT(sums->max, joint.max), args);
    }
#endif
    return finish_row(sums, 1.0f, args);
}

/* Writes what STATE asks for. */
static inline void store_state(const results_t *results, const attention_args *args, int first_token, int kv_head, int packed_row,
                               const row_result *result)
{
#if STATE != STATE_NONE
    results->states[state_offset(args, first_token, kv_head, packed_row)] = result->state;
#endif
#if STATE == STATE_MAX_DENOMINATOR
    results->denominators[denominator_offset(args, first_token, kv_head, packed_row)] = result->denominator;
#endif
}
