/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vectors of LANES float32 (4, 8 or 16): loads from each storage type, and sums across lanes.
 */
#ifndef LANES
#error "LANES is missing"
#endif
#if LANES != 4 && LANES != 8 && LANES != 16
#error "LANES must be 4, 8 or 16"
#endif

typedef PASTE(float, LANES) lanes_t;
typedef PASTE(int, LANES) int_lanes_t;

#if LANES == 16
#define LANE_INDEX ((int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
#elif LANES == 8
#define LANE_INDEX ((int8)(0, 1, 2, 3, 4, 5, 6, 7))
#else
#define LANE_INDEX ((int4)(0, 1, 2, 3))
#endif

/*
 * Asks for the cache line of an address, into the first-level cache; what does not stay there comes back from the second.
 * The others ask for it there alone: where there are many, or to write them.
 */
#define CACHE_LINE_BYTES 64
#if defined(__x86_64__) || defined(__aarch64__) /* compiled for the CPU itself; no other target need know the builtin */
#define PREFETCH(address) __builtin_prefetch((const void *)(size_t)(address), 0, 3)
#define PREFETCH_L2(address) __builtin_prefetch((const void *)(size_t)(address), 0, 2)
#define PREFETCH_TO_WRITE(address) __builtin_prefetch((const void *)(size_t)(address), 1, 2)
#else
#define PREFETCH(address)
#define PREFETCH_L2(address)
#define PREFETCH_TO_WRITE(address)
#endif

/* The same for all lines of a row of `width` elements. */
#define PREFETCH_ROW(prefetch, row, width)                                            \
    do {                                                                              \
        for (int d = 0; d < (width); d += CACHE_LINE_BYTES / (int)sizeof(*(row)))     \
            prefetch((row) + d);                                                      \
    } while (0)

/*
 * For functions with parameters that are said to be constants: a large one that is called twice is otherwise compiled
 * once, and tests them at every step.
 */
#define SPECIALISED __attribute__((always_inline)) static inline

/* fmax() that takes one instruction: where `a` is NaN it is `b`, as there, but `b` must be a number. */
static inline lanes_t larger(lanes_t a, lanes_t b)
{
    return a > b ? a : b;
}

/*
 * WEIGHT() of lanes. exp2() of PoCL 3.1 takes a vector of 16 apart to round its halves, some 30 instructions; this is 15.
 * With x = n + f, n whole and |f| <= 1/2, 2^x = 2^n * 2^f: adding ROUNDER leaves n + 127, the exponent of 2^n, in the
 * lowest bits of the sum. The polynomial is 2^f within 1.9e-9 of it (Remez, smallest relative error), 1 where f is 0. What
 * is no normal number is 0; a NaN stays one.
 */
#define ROUNDER 12583039.0f /* 1.5 * 2^23 + 127: float32 has no fractions there */

static inline lanes_t weight_of(lanes_t logit, lanes_t max)
{
    const lanes_t x = (logit - max) * LOG2_E;
    const lanes_t rounded = x + ROUNDER;
    const lanes_t f = x - (rounded - ROUNDER);
    lanes_t power = f * 1.53458124e-4f + 1.33999309e-3f;
    power = f * power + 9.61848907e-3f;
    power = f * power + 5.55032864e-2f;
    power = f * power + 2.40226462e-1f;
    power = f * power + 6.93147182e-1f;
    power = f * power + 1.0f;
    const lanes_t scale = PASTE(as_float, LANES)(PASTE(as_int, LANES)(rounded) << 23);
    return x < -126.0f ? (lanes_t)(0.0f) : power * scale;
}

/* A vector in local memory, at an element index that is a multiple of LANES. */
#define AT(array, index) (*(local lanes_t *)((array) + (index)))

#define LOAD_LANES(dtype) LOAD_VECTOR(LANES, dtype)

DEFINE_LOAD_VECTOR(8)
DEFINE_LOAD_HALF_VECTOR(8)
#if LANES != 8
DEFINE_LOAD_VECTOR(LANES)
#endif
#if LANES == 4
DEFINE_LOAD_HALF_VECTOR(4)
#elif LANES == 16 && defined(__AVX512F__)
/*
 * vload_half16() converts in two halves on PoCL 3.1, by instructions that reach only the lower 16 vector registers, and
 * vstore_half16_rte() writes element by element; AVX-512 has an instruction for the whole vector. Half vectors lie at
 * any even address.
 */
typedef _Float16 half_lanes_t __attribute__((ext_vector_type(16), aligned(2)));

static inline lanes_t load16_2(global const half *address)
{
    return __builtin_convertvector(*(global const half_lanes_t *)address, lanes_t);
}

static inline void store16_2(global half *address, lanes_t values)
{
    *(global half_lanes_t *)address = __builtin_convertvector(values, half_lanes_t);
}
#elif LANES == 16
DEFINE_LOAD_HALF_VECTOR(16)
#endif
#if LANES != 16 || !defined(__AVX512F__)
DEFINE_STORE_HALF_VECTOR(LANES)
#endif

DEFINE_STORE_VECTOR(LANES)

/* One element from each of LANES places. */
static inline lanes_t gather(global const float *base, const ulong *from)
{
    float elements[LANES];
#pragma unroll
    for (int i = 0; i < LANES; ++i)
        elements[i] = base[from[i]];
    return PASTE(vload, LANES)(0, elements);
}

/* Swaps rows and columns of LANES vectors: each step rotates the bits of (row, lane) by one. */
static inline void transpose(lanes_t *block)
{
#pragma unroll
    for (int step = 1; step < LANES; step *= 2) {
        lanes_t rotated[LANES];
#pragma unroll
        for (int i = 0; i < LANES / 2; ++i) {
            rotated[2 * i].even = block[i].lo;
            rotated[2 * i].odd = block[i + LANES / 2].lo;
            rotated[2 * i + 1].even = block[i].hi;
            rotated[2 * i + 1].odd = block[i + LANES / 2].hi;
        }
#pragma unroll
        for (int i = 0; i < LANES; ++i)
            block[i] = rotated[i];
    }
}

/*
 * Sums within many vectors at once: folding a tree of LANES vectors, two at a time, leaves in every lane the sum of one
 * of them. Each level adds the lanes that differ in one bit of their index, from the farthest apart to neighbours,
 * which is one shuffle of two operands for either side (LLVM sees that in lanes listed one by one, not in pairs of
 * them); neighbours first would become VHADDPS, which AVX-512 does not have. The leaves are taken in the order
 * FOLD_LEAF(0), FOLD_LEAF(1), ... to come out in lanes 0, 1, ...; FOLD_POSITION() is where a leaf stands in it.
 */
#define FOLD_LEAF(position) ((position) % (LANES / 4) * 4 + (position) / (LANES / 4))
#define FOLD_POSITION(leaf) ((leaf) % 4 * (LANES / 4) + (leaf) / 4)

#if LANES == 16
static inline lanes_t fold_8(lanes_t a, lanes_t b)
{
    return (lanes_t)(a.s0, a.s1, a.s2, a.s3, a.s4, a.s5, a.s6, a.s7, b.s0, b.s1, b.s2, b.s3, b.s4, b.s5, b.s6, b.s7) +
           (lanes_t)(a.s8, a.s9, a.sa, a.sb, a.sc, a.sd, a.se, a.sf, b.s8, b.s9, b.sa, b.sb, b.sc, b.sd, b.se, b.sf);
}

static inline lanes_t fold_4(lanes_t a, lanes_t b)
{
    return (lanes_t)(a.s0, a.s1, a.s2, a.s3, a.s8, a.s9, a.sa, a.sb, b.s0, b.s1, b.s2, b.s3, b.s8, b.s9, b.sa, b.sb) +
           (lanes_t)(a.s4, a.s5, a.s6, a.s7, a.sc, a.sd, a.se, a.sf, b.s4, b.s5, b.s6, b.s7, b.sc, b.sd, b.se, b.sf);
}

static inline lanes_t fold_2(lanes_t a, lanes_t b)
{
    return (lanes_t)(a.s0, a.s1, b.s0, b.s1, a.s4, a.s5, b.s4, b.s5, a.s8, a.s9, b.s8, b.s9, a.sc, a.sd, b.sc, b.sd) +
           (lanes_t)(a.s2, a.s3, b.s2, b.s3, a.s6, a.s7, b.s6, b.s7, a.sa, a.sb, b.sa, b.sb, a.se, a.sf, b.se, b.sf);
}

static inline lanes_t fold_1(lanes_t a, lanes_t b)
{
    return (lanes_t)(a.s0, a.s2, b.s0, b.s2, a.s4, a.s6, b.s4, b.s6, a.s8, a.sa, b.s8, b.sa, a.sc, a.se, b.sc, b.se) +
           (lanes_t)(a.s1, a.s3, b.s1, b.s3, a.s5, a.s7, b.s5, b.s7, a.s9, a.sb, b.s9, b.sb, a.sd, a.sf, b.sd, b.sf);
}
#elif LANES == 8
static inline lanes_t fold_4(lanes_t a, lanes_t b)
{
    return (lanes_t)(a.s0, a.s1, a.s2, a.s3, b.s0, b.s1, b.s2, b.s3) +
           (lanes_t)(a.s4, a.s5, a.s6, a.s7, b.s4, b.s5, b.s6, b.s7);
}

static inline lanes_t fold_2(lanes_t a, lanes_t b)
{
    return (lanes_t)(a.s0, a.s1, b.s0, b.s1, a.s4, a.s5, b.s4, b.s5) +
           (lanes_t)(a.s2, a.s3, b.s2, b.s3, a.s6, a.s7, b.s6, b.s7);
}

static inline lanes_t fold_1(lanes_t a, lanes_t b)
{
    return (lanes_t)(a.s0, a.s2, b.s0, b.s2, a.s4, a.s6, b.s4, b.s6) +
           (lanes_t)(a.s1, a.s3, b.s1, b.s3, a.s5, a.s7, b.s5, b.s7);
}
#else
static inline lanes_t fold_2(lanes_t a, lanes_t b)
{
    return (lanes_t)(a.s0, a.s1, b.s0, b.s1) + (lanes_t)(a.s2, a.s3, b.s2, b.s3);
}

static inline lanes_t fold_1(lanes_t a, lanes_t b)
{
    return (lanes_t)(a.s0, a.s2, b.s0, b.s2) + (lanes_t)(a.s1, a.s3, b.s1, b.s3);
}
#endif

/* Joins two subtrees of num_leaves vectors each; num_leaves is a constant. */
SPECIALISED lanes_t fold(lanes_t a, lanes_t b, const int num_leaves)
{
#if LANES == 16
    if (num_leaves == LANES / 16)
        return fold_8(a, b);
#endif
#if LANES >= 8
    if (num_leaves == LANES / 8)
        return fold_4(a, b);
#endif
    return num_leaves == LANES / 4 ? fold_2(a, b) : fold_1(a, b);
}

/* For each lane, the largest of those whose leaves lie a multiple of `apart` (a constant power of two) from its own. */
SPECIALISED lanes_t largest_of_leaves(lanes_t a, const int apart)
{
#if LANES == 16
    if (apart <= 1)
        a = larger(a.s45670123cdef89ab, a);
    if (apart <= 2)
        a = larger(a.s89abcdef01234567, a);
    if (apart <= 4)
        a = larger(a.s1032547698badcfe, a);
    if (apart <= 8)
        a = larger(a.s23016745ab89efcd, a);
#elif LANES == 8
    if (apart <= 1)
        a = larger(a.s45670123, a);
    if (apart <= 2)
        a = larger(a.s10325476, a);
    if (apart <= 4)
        a = larger(a.s23016745, a);
#else
    if (apart <= 1)
        a = larger(a.s1032, a);
    if (apart <= 2)
        a = larger(a.s2301, a);
#endif
    return a;
}
