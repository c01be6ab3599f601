/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel that does nothing, with the arguments of the attention kernels of cl/: ten buffers, a struct by value and,
 * for the vector family, local memory. What it takes to set these and enqueue it is what no caller can save.
 *
 * Grid      one work-item
 */
#ifndef LOCAL_ARGUMENT
#error "LOCAL_ARGUMENT (0, 1) must be defined"
#endif

/* As large as attention_args of cl/common/plan.cl. */
typedef struct {
    ulong offsets[23];
    int numbers[12];
} bare_args;

kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
clattn_bench_bare(global const float *restrict q, global const float *restrict k, global const float *restrict v,
                  global float *restrict out, global float *restrict states, global float *restrict denominators,
                  global const float *restrict sinks, global float *restrict partial_acc,
                  global float2 *restrict partial_sums, global const int *restrict plan, const bare_args args
#if LOCAL_ARGUMENT
                  , local float *restrict tiles
#endif
)
{
    /* Never true: the host passes 0. It keeps a compiler from dropping the arguments. */
    if (args.numbers[0] != 0)
        out[0] = q[args.offsets[0]] + k[args.offsets[1]] + v[args.offsets[2]] + (float)plan[args.numbers[1]];
}
