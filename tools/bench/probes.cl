/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two probes of a device: how many float32 multiply-adds it does per second, and how fast it reads a buffer once.
 *
 * Mapping: every work-item is independent and writes one float that depends on all it computed or read. CPUs run
 * work-groups of one item with wide vectors, GPUs groups of many items with narrow ones. No local memory, no barrier.
 */
#if !defined(LANES) || !defined(WORK_GROUP_SIZE) || !defined(COALESCED)
#error "LANES (1, 4, 8, 16), WORK_GROUP_SIZE and COALESCED (0, 1) must be defined"
#endif

#define SUM_1(v) (v)
#define SUM_4(v) (((v).s0 + (v).s1) + ((v).s2 + (v).s3))
#define SUM_8(v) SUM_4((v).lo + (v).hi)
#define SUM_16(v) SUM_8((v).lo + (v).hi)

#if LANES == 1
typedef float lanes;
#define SUM(v) SUM_1(v)
#elif LANES == 4
typedef float4 lanes;
#define SUM(v) SUM_4(v)
#elif LANES == 8
typedef float8 lanes;
#define SUM(v) SUM_8(v)
#elif LANES == 16
typedef float16 lanes;
#define SUM(v) SUM_16(v)
#else
#error "LANES must be 1, 4, 8 or 16"
#endif

/*
 * Twelve chains cover the latency of two FMA pipes and still fit 16 vector registers. The product and sum stand in one
 * expression without fma() or mad(): that is what every compiler contracts into one instruction.
 */
#define STEP                                                                                                           \
    c0 = c0 * factor + term;                                                                                           \
    c1 = c1 * factor + term;                                                                                           \
    c2 = c2 * factor + term;                                                                                           \
    c3 = c3 * factor + term;                                                                                           \
    c4 = c4 * factor + term;                                                                                           \
    c5 = c5 * factor + term;                                                                                           \
    c6 = c6 * factor + term;                                                                                           \
    c7 = c7 * factor + term;                                                                                           \
    c8 = c8 * factor + term;                                                                                           \
    c9 = c9 * factor + term;                                                                                           \
    c10 = c10 * factor + term;                                                                                         \
    c11 = c11 * factor + term;

/* 12 chains * 8 steps * LANES multiply-adds per round and work-item. */
kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1))) void probe_fma(global float *restrict out,
                                                                                  float multiplier, float addend,
                                                                                  int rounds)
{
    const lanes factor = (lanes)(multiplier);
    const lanes term = (lanes)(addend);
    const lanes start = (lanes)((float)get_local_id(0));
    lanes c0 = start, c1 = start + 1.0f, c2 = start + 2.0f, c3 = start + 3.0f, c4 = start + 4.0f, c5 = start + 5.0f;
    lanes c6 = start - 1.0f, c7 = start - 2.0f, c8 = start - 3.0f, c9 = start - 4.0f, c10 = start - 5.0f;
    lanes c11 = start - 6.0f;
    for (int round = 0; round < rounds; round++) {
        STEP STEP STEP STEP STEP STEP STEP STEP
    }
    const lanes sum = (((c0 + c1) + (c2 + c3)) + ((c4 + c5) + (c6 + c7))) + ((c8 + c9) + (c10 + c11));
    out[get_global_id(0)] = SUM(sum);
}

/* Sums vectors_per_item (a multiple of 4) vectors: neighbouring items read neighbours, or each item its own chunk. */
kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1))) void probe_read(global float *restrict out,
                                                                                   global const lanes *restrict data,
                                                                                   int vectors_per_item)
{
#if COALESCED
    const ulong first = get_global_id(0);
    const ulong step = get_global_size(0);
#else
    const ulong first = get_global_id(0) * (ulong)vectors_per_item;
    const ulong step = 1;
#endif
    lanes s0 = (lanes)(0.0f), s1 = s0, s2 = s0, s3 = s0;
    for (int i = 0; i < vectors_per_item; i += 4) {
        const ulong at = first + (ulong)i * step;
        s0 += data[at];
        s1 += data[at + step];
        s2 += data[at + 2 * step];
        s3 += data[at + 3 * step];
    }
    const lanes sum = (s0 + s1) + (s2 + s3);
    out[get_global_id(0)] = SUM(sum);
}
