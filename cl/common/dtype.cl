/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Storage types: float32, float16 and bfloat16 elements read as float32 and written rounded to nearest even.
 * Half is only ever a pointer's target, so no device needs half arithmetic.
 *
 * STORAGE(dtype), LOAD(dtype) and STORE(dtype) give the type and the functions of a dtype define.
 */
#define DTYPE_FLOAT32 1
#define DTYPE_FLOAT16 2
#define DTYPE_BFLOAT16 3

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define STORAGE(dtype) PASTE(storage_, dtype)
#define LOAD(dtype) PASTE(load_, dtype)
#define STORE(dtype) PASTE(store_, dtype)

/*
 * LOAD_VECTOR(width, dtype) reads `width` neighbours as float32, from any element address. A program defines the widths
 * that it uses; the halves apart, since there are better ways than vload_half() for some.
 */
#define LOAD_VECTOR(width, dtype) PASTE(PASTE(load, width), PASTE(_, dtype))

#define DEFINE_LOAD_VECTOR(width)                                                                         \
    static inline PASTE(float, width) PASTE(PASTE(load, width), _1)(global const float *address)          \
    {                                                                                                     \
        return PASTE(vload, width)(0, address);                                                           \
    }                                                                                                     \
    static inline PASTE(float, width) PASTE(PASTE(load, width), _3)(global const ushort *address)         \
    {                                                                                                     \
        return PASTE(as_float, width)(PASTE(convert_uint, width)(PASTE(vload, width)(0, address)) << 16); \
    }

/*
 * Halves pass through a private copy: PoCL 3.1 takes an address given to vload_half or vstore_half to be aligned like
 * the whole vector, and faults where its compiler then moves the data by an instruction that insists.
 */
#define DEFINE_LOAD_HALF_VECTOR(width)                                                          \
    static inline PASTE(float, width) PASTE(PASTE(load, width), _2)(global const half *address) \
    {                                                                                           \
        const PASTE(ushort, width) bits = PASTE(vload, width)(0, (global const ushort *)address); \
        return PASTE(vload_half, width)(0, (const half *)&bits);                                \
    }

/* STORE_VECTOR(width, dtype) writes `width` neighbours, rounded to nearest even, to any element address; halves apart again. */
#define STORE_VECTOR(width, dtype) PASTE(PASTE(store, width), PASTE(_, dtype))

#define DEFINE_STORE_VECTOR(width)                                                                             \
    static inline void PASTE(PASTE(store, width), _1)(global float *address, PASTE(float, width) values)       \
    {                                                                                                          \
        PASTE(vstore, width)(values, 0, address);                                                              \
    }                                                                                                          \
    static inline void PASTE(PASTE(store, width), _3)(global ushort *address, PASTE(float, width) values)      \
    {                                                                                                          \
        const PASTE(uint, width) bits = PASTE(as_uint, width)(values);                                         \
        const PASTE(uint, width) rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;                       \
        const PASTE(uint, width) kept = select(rounded, (bits >> 16) | 0x40u, isnan(values)); /* as store_3() */ \
        PASTE(vstore, width)(PASTE(convert_ushort, width)(kept), 0, address);                                  \
    }

#define DEFINE_STORE_HALF_VECTOR(width)                                                                 \
    static inline void PASTE(PASTE(store, width), _2)(global half *address, PASTE(float, width) values) \
    {                                                                                                   \
        PASTE(ushort, width) bits;                                                                      \
        PASTE(PASTE(vstore_half, width), _rte)(values, 0, (half *)&bits);                               \
        PASTE(vstore, width)(bits, 0, (global ushort *)address);                                        \
    }

typedef float storage_1;
typedef half storage_2;
typedef ushort storage_3;

static inline float load_1(global const float *base, ulong index)
{
    return base[index];
}

static inline float load_2(global const half *base, ulong index)
{
    return vload_half((size_t)index, base);
}

static inline float load_3(global const ushort *base, ulong index)
{
    return as_float((uint)base[index] << 16);
}

static inline void store_1(global float *base, ulong index, float value)
{
    base[index] = value;
}

static inline void store_2(global half *base, ulong index, float value)
{
    vstore_half_rte(value, (size_t)index, base);
}

/* Rounds by carrying into the kept half; a NaN is kept a NaN, since rounding could carry it into infinity. */
static inline void store_3(global ushort *base, ulong index, float value)
{
    const uint bits = as_uint(value);
    const uint rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    base[index] = (ushort)(isnan(value) ? (bits >> 16) | 0x40u : rounded);
}
