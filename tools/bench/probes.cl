/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two probes of a device: how many float32 multiply-adds it does per second, and how fast it reads what a list names.
 *
 * Mapping: every work-item is independent and writes one number that depends on all it computed or read. CPUs run
 * work-groups of one item with wide vectors, GPUs groups of many items with narrow ones. No local memory, no barrier.
 */
#if !defined(LANES) || !defined(WORK_GROUP_SIZE) || !defined(ITEMS_PER_READER) || !defined(STREAMS)
#error "LANES (1, 4, 8, 16), WORK_GROUP_SIZE, ITEMS_PER_READER (1 on a CPU) and STREAMS must be defined"
#endif
#if (ITEMS_PER_READER & (ITEMS_PER_READER - 1)) != 0
#error "ITEMS_PER_READER must be a power of two: what is left of a chunk begins at a whole unit"
#endif

#define SUM_1(v) (v)
#define SUM_4(v) (((v).s0 + (v).s1) + ((v).s2 + (v).s3))
#define SUM_8(v) SUM_4((v).lo + (v).hi)
#define SUM_16(v) SUM_8((v).lo + (v).hi)

#if LANES == 1
typedef float lanes;
typedef uint words;
#define LOAD(p) (*(p))
#define SUM(v) SUM_1(v)
#elif LANES == 4
typedef float4 lanes;
typedef uint4 words;
#define LOAD(p) (*(global const uint4 *)(p))
#define SUM(v) SUM_4(v)
#elif LANES == 8
typedef float8 lanes;
typedef uint8 words;
#define LOAD(p) vload8(0, p)
#define SUM(v) SUM_8(v)
#elif LANES == 16
typedef float16 lanes;
typedef uint16 words;
#define LOAD(p) vload16(0, p)
#define SUM(v) SUM_16(v)
#else
#error "LANES must be 1, 4, 8 or 16"
#endif

#define WORDS_PER_UNIT 4
#define WORDS_PER_LINE 16
#define STEP_WORDS (ITEMS_PER_READER * LANES) /* what the items of a reader read at once */
#define IN_SECOND 0x80000000u
#define CHUNK_DATA(chunk) (((chunk).y & IN_SECOND ? second : first) + (ulong)(chunk).x * WORDS_PER_UNIT)

#if defined(__x86_64__) || defined(__aarch64__) /* compiled for the CPU itself; no other target need know the builtin */
#define PREFETCH(address) __builtin_prefetch((const void *)(size_t)(address), 0, 3)
#else
#define PREFETCH(address) (void)(address)
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

/* Adds a vector of each work-item, and asks for what lies as far on in the chunk that comes later. */
#define ADD(stream, word)                                                                                              \
    do {                                                                                                               \
        const int at = (word) + item * LANES;                                                                          \
        if (LANES >= WORDS_PER_LINE || at % WORDS_PER_LINE == 0)                                                                                  \
            PREFETCH(next[stream] + at);                                                                               \
        sums[stream] += LOAD(data[stream] + at);                                                                       \
    } while (0)

/*
 * Sums the 32-bit words of chunks of two buffers: (first unit, units and buffer), a unit being 16 bytes, and the highest
 * bit of the second number telling that the chunk is of `second`. Integers, since any bits may stand there, and since
 * their sum does not depend on the order.
 *
 * ITEMS_PER_READER neighbouring work-items are a reader, and read neighbouring vectors. The chunks are dealt to the
 * readers in equal shares of groups. A reader reads the STREAMS chunks of a group in step: they lie in as many pages of
 * memory, and their translations and rows are waited for together. Meanwhile it asks for the chunks that are `ahead`
 * behind them in the list, which no hardware could guess.
 */
kernel __attribute__((reqd_work_group_size(WORK_GROUP_SIZE, 1, 1))) void
probe_read(global uint *restrict out, global const uint *restrict first, global const uint *restrict second,
           global const uint2 *restrict chunks, int num_chunks, int ahead)
{
    const ulong reader = get_global_id(0) / ITEMS_PER_READER;
    const ulong num_readers = get_global_size(0) / ITEMS_PER_READER;
    const int item = (int)(get_global_id(0) % ITEMS_PER_READER);
    const ulong num_groups = (ulong)(num_chunks + STREAMS - 1) / STREAMS;
    const int begin = (int)(reader * num_groups / num_readers) * STREAMS;
    const int end = min((int)((reader + 1) * num_groups / num_readers) * STREAMS, num_chunks);
    words sums[STREAMS];
    uint4 rest = (uint4)(0u);
    for (int j = 0; j < STREAMS; j++)
        sums[j] = (words)(0u);

    for (int c = begin; c < end; c += STREAMS) {
        global const uint *data[STREAMS];
        global const uint *next[STREAMS];
        int num_words[STREAMS];
        int common = INT_MAX;
        for (int j = 0; j < STREAMS; j++) {
            const uint2 chunk = c + j < end ? chunks[c + j] : (uint2)(0u);
            data[j] = CHUNK_DATA(chunk);
            next[j] = CHUNK_DATA(chunks[min(c + j + ahead, end - 1)]);
            num_words[j] = (int)(chunk.y & ~IN_SECOND) * WORDS_PER_UNIT;
            common = min(common, num_words[j]);
        }
        common -= common % STEP_WORDS;
        for (int i = 0; i < common; i += STEP_WORDS) {
#pragma unroll
            for (int j = 0; j < STREAMS; j++)
                ADD(j, i);
        }
        for (int j = 0; j < STREAMS; j++) {
            int i = common;
            for (; i + STEP_WORDS <= num_words[j]; i += STEP_WORDS)
                ADD(j, i);
            for (i += item * WORDS_PER_UNIT; i < num_words[j]; i += ITEMS_PER_READER * WORDS_PER_UNIT)
                rest += *(global const uint4 *)(data[j] + i);
        }
    }

    words sum = sums[0];
    for (int j = 1; j < STREAMS; j++)
        sum += sums[j];
    out[get_global_id(0)] = SUM(sum) + SUM_4(rest);
}
