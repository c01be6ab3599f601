/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel_shape.h"

#include <stddef.h>

enum { FLOAT_BYTES = 4, INT_BYTES = 4, ULONG_BYTES = 8 };

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* The keys whose scores share a vector in cl/vector/decode.cl: its lanes, by the states that fill the others. */
static int32_t keys_of_vector(const kernel_shape *shape)
{
    const int64_t states = (int64_t)shape->heads * shape->block_q;
    int32_t common = shape->lanes;
    while (states % common != 0)
        common /= 2;
    return shape->lanes / common;
}

/* cl/vector/vector.cl, prefill.cl and decode.cl. */
static const char *vector_error(const kernel_shape *shape)
{
    const int32_t lanes = shape->lanes;
    if (lanes != 4 && lanes != 8 && lanes != 16)
        return "LANES must be 4, 8 or 16";
    if (shape->kernel == SHAPE_VECTOR_PREFILL) {
        if (shape->block_q % (lanes * (lanes == 16 ? 4 : 2)) != 0)
            return "BLOCK_Q must be a multiple of the row block";
        return shape->head_dim % 8 == 0 && shape->head_dim_v % 8 == 0 ? NULL : "head dimensions must be multiples of 8";
    }
    if (shape->head_dim % lanes != 0 || shape->head_dim_v % lanes != 0)
        return "LANES must divide both head dimensions";
    const int32_t keys = keys_of_vector(shape);
    const int32_t qk_keys = shape->qk_keys > 0 ? shape->qk_keys : 1;
    if (shape->block_kv % keys != 0 || shape->block_kv % qk_keys != 0)
        return "BLOCK_KV must be a multiple of QK_KEYS, and of the keys of a vector of scores";
    return qk_keys % keys == 0 || keys % qk_keys == 0 ? NULL : "QK_KEYS must divide the keys of a vector of scores";
}

/* cl/simt/tile.cl, prefill.cl and decode.cl. */
static const char *simt_error(const kernel_shape *shape)
{
    const int32_t size = shape->work_group_size;
    if (size < 1 || size % shape->block_q != 0)
        return "BLOCK_Q must divide WORK_GROUP_SIZE";
    if (shape->kernel == SHAPE_SIMT_DECODE)
        return size % (shape->head_dim >= 32 ? 8 : 2) == 0 ? NULL : "LANES_PER_KEY must divide WORK_GROUP_SIZE";
    const int32_t tile_columns = 16;
    if (size % tile_columns != 0 || shape->block_q % (size / tile_columns) != 0 || shape->block_kv % tile_columns != 0)
        return "the tile does not divide among the work-items";
    return shape->block_kv % (shape->head_dim_v > 256 ? 4 : 8) == 0 ? NULL : "BLOCK_KV must be a multiple of V_CHUNK";
}

const char *kernel_shape_error(const kernel_shape *shape)
{
    if (shape->kernel == SHAPE_PLAIN)
        return shape->head_dim % 8 == 0 ? NULL : "NUM_SUMS must divide HEAD_DIM";
    if (shape->block_q < 1 || shape->block_kv < 1)
        return "no tile";
    const bool vector = shape->kernel == SHAPE_VECTOR_DECODE || shape->kernel == SHAPE_VECTOR_PREFILL;
    return vector ? vector_error(shape) : simt_error(shape);
}

/* The one local argument: q_tile, acc, scores, state_sum, state_max. */
static int64_t vector_decode_bytes(const kernel_shape *shape)
{
    const int64_t states = (int64_t)shape->heads * shape->block_q;
    return FLOAT_BYTES * (states * shape->head_dim + states * shape->head_dim_v + states * shape->block_kv +
                          2 * states * keys_of_vector(shape));
}

/* q_tile, acc, s_tile, row_max, row_sum, first_key, past_key, v_tile, and a k_tile if K has 16 bits. */
static int64_t vector_prefill_bytes(const kernel_shape *shape)
{
    const int64_t row_block = shape->lanes * (shape->lanes == 16 ? 4 : 2);
    const int64_t rows = shape->block_q;
    const int64_t keys = shape->block_kv;
    const int64_t tiles =
        FLOAT_BYTES * (rows * shape->head_dim + rows * shape->head_dim_v + keys * row_block + 2 * rows) +
        INT_BYTES * 2 * rows + FLOAT_BYTES * keys * shape->head_dim_v;
    return tiles + (shape->converts_k ? FLOAT_BYTES * keys * shape->head_dim : 0);
}

/* PADDED of cl/simt/tile.cl. */
static int64_t padded(int64_t num_elements)
{
    return divide_up(num_elements, 4) * 4;
}

/* s_tile, scratch, factors, bounds, result_rows and rows. */
static int64_t simt_common_bytes(const kernel_shape *shape)
{
    const int64_t rows = padded(shape->block_q);
    return FLOAT_BYTES * (padded((int64_t)shape->block_q * (shape->block_kv + 1)) + padded(shape->work_group_size)) +
           (FLOAT_BYTES + 2 * INT_BYTES + ULONG_BYTES) * rows + ULONG_BYTES * 2 * (int64_t)shape->block_kv;
}

static int64_t simt_decode_bytes(const kernel_shape *shape)
{
    const int64_t lanes_per_key = shape->head_dim >= 32 ? 8 : 2;
    const int64_t v_vectors = divide_up(shape->head_dim_v / 4, shape->work_group_size);
    const int64_t v_columns = divide_up(shape->head_dim_v / 4, v_vectors);
    const int64_t key_groups = shape->work_group_size / v_columns;
    const int64_t stage = larger((int64_t)shape->block_q * shape->block_kv * lanes_per_key,
                                 key_groups * shape->block_q * shape->head_dim_v);
    return simt_common_bytes(shape) + FLOAT_BYTES * ((int64_t)shape->block_q * shape->head_dim + padded(stage));
}

static int64_t simt_prefill_bytes(const kernel_shape *shape)
{
    const int64_t v_chunk = shape->head_dim_v > 256 ? 4 : 8;
    const int64_t stage = larger(32 * ((int64_t)shape->block_kv + 1), v_chunk * shape->head_dim_v);
    return simt_common_bytes(shape) + FLOAT_BYTES * ((int64_t)shape->head_dim * (shape->block_q + 1) + stage);
}

int64_t kernel_shape_local_bytes(const kernel_shape *shape)
{
    switch (shape->kernel) {
    case SHAPE_VECTOR_DECODE:
        return vector_decode_bytes(shape);
    case SHAPE_VECTOR_PREFILL:
        return vector_prefill_bytes(shape);
    case SHAPE_SIMT_DECODE:
        return simt_decode_bytes(shape);
    case SHAPE_SIMT_PREFILL:
        return simt_prefill_bytes(shape);
    default:
        return 0;
    }
}
