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

#define VLOAD PASTE(vload, LANES)
#define VLOAD_HALF PASTE(vload_half, LANES)
#define AS_FLOAT_LANES PASTE(as_float, LANES)
#define CONVERT_UINT_LANES PASTE(convert_uint, LANES)

#if LANES == 16
#define LANE_INDEX ((int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
#elif LANES == 8
#define LANE_INDEX ((int8)(0, 1, 2, 3, 4, 5, 6, 7))
#else
#define LANE_INDEX ((int4)(0, 1, 2, 3))
#endif

#define LOAD_LANES(dtype) PASTE(load_lanes_, dtype)

static inline lanes_t load_lanes_1(global const float *address)
{
    return VLOAD(0, address);
}

static inline lanes_t load_lanes_2(global const half *address)
{
    return VLOAD_HALF(0, address);
}

static inline lanes_t load_lanes_3(global const ushort *address)
{
    return AS_FLOAT_LANES(CONVERT_UINT_LANES(VLOAD(0, address)) << 16);
}

/* Sums of neighbours: of a in the lower half of the result, of b in the upper. */
static inline lanes_t add_pairs(lanes_t a, lanes_t b)
{
    return (lanes_t)(a.even, b.even) + (lanes_t)(a.odd, b.odd);
}

static inline float largest_lane(lanes_t a)
{
#if LANES == 16
    const float8 half_lanes = fmax(a.lo, a.hi);
    const float4 b = fmax(half_lanes.lo, half_lanes.hi);
#elif LANES == 8
    const float4 b = fmax(a.lo, a.hi);
#else
    const float4 b = a;
#endif
    const float2 c = fmax(b.lo, b.hi);
    return fmax(c.x, c.y);
}

static inline float sum_of_lanes(lanes_t a)
{
#if LANES == 16
    const float8 half_lanes = a.lo + a.hi;
    const float4 b = half_lanes.lo + half_lanes.hi;
#elif LANES == 8
    const float4 b = a.lo + a.hi;
#else
    const float4 b = a;
#endif
    const float2 c = b.lo + b.hi;
    return c.x + c.y;
}
