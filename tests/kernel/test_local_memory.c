/* SPDX-License-Identifier: Apache-2.0 */
/* The local memory that tiles are said to need, against what the device compiler gives the built kernels. */
#include "runtime/context.h"
#include "support/device.h"
#include "tuning/resolve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

/* Builds the kernel of a tile for float32 data without options. */
static cl_kernel build(const support_device *device, const clattn_tile_request *request, clattn_phase phase,
                       const clattn_tile *tile)
{
    clattn_variant variant = {.program = phase == CLATTN_PHASE_DECODE ? CLATTN_PROGRAM_SIMT_DECODE
                                                                      : CLATTN_PROGRAM_SIMT_PREFILL};
    const clattn_define defines[] = {
        {"HEAD_DIM", request->head_dim},
        {"HEAD_DIM_V", request->head_dim_v},
        {"Q_DTYPE", CLATTN_FLOAT32},
        {"K_DTYPE", CLATTN_FLOAT32},
        {"V_DTYPE", CLATTN_FLOAT32},
        {"OUT_DTYPE", CLATTN_FLOAT32},
        {"SOFT_CAP", 0},
        {"SINKS", 0},
        {"STATE", 0},
        {"NUMERATOR", 0},
        {"BLOCK_Q", tile->block_q},
        {"BLOCK_KV", tile->block_kv},
        {"WORK_GROUP_SIZE", tile->work_group_size},
        {"SUB_GROUP_SIZE", tile->sub_group_size},
    };
    cl_kernel kernel = NULL;
    for (int32_t i = 0; i < COUNT(defines); i++)
        clattn_variant_define(&variant, defines[i].name, defines[i].value);
    if (clattn_program_store_kernel(device->ctx->programs, &variant, &kernel, &device->ctx->error) != CLATTN_OK)
        fail_msg("head_dim=%d: %s", request->head_dim, clattn_context_last_error(device->ctx));
    return kernel;
}

static void compare(const support_device *device, const clattn_tile_request *request, const clattn_tuning *tuning)
{
    /* PoCL adds the arrays up as they are; others may round each of them up, or answer something else. */
    const char *platform = clattn_context_device(device->ctx)->platform;
    const bool exact = strstr(platform, "Portable Computing Language") != NULL;
    const bool may_count_twice = strstr(platform, "rusticl") != NULL; /* as that of Mesa 22.3 does */
    const clattn_tuning_database database = {.facts = clattn_context_device(device->ctx)};
    clattn_row row;
    if (clattn_tuning_resolve(&database, request, tuning, &row, NULL, &device->ctx->error) != CLATTN_OK)
        fail_msg("head_dim=%d: %s", request->head_dim, clattn_context_last_error(device->ctx));
    for (int phase = 0; phase < CLATTN_NUM_PHASES; phase++) {
        const clattn_tile *tile = &row.tiles[phase];
        const int64_t said = clattn_tile_local_bytes(request, (clattn_phase)phase, tile);
        const cl_kernel kernel = build(device, request, (clattn_phase)phase, tile);
        cl_ulong taken = 0;
        support_require_cl(clGetKernelWorkGroupInfo(kernel, clattn_context_cl_device(device->ctx),
                                                    CL_KERNEL_LOCAL_MEM_SIZE, sizeof taken, &taken, NULL),
                           "clGetKernelWorkGroupInfo");
        if (may_count_twice && taken == 2 * (cl_ulong)said)
            taken = (cl_ulong)said;
        if (exact ? (cl_ulong)said != taken : taken > clattn_context_device(device->ctx)->local_memory_bytes)
            fail_msg(
                "%s head_dim=%d/%d block_q=%d block_kv=%d work_group_size=%d: said %lld bytes, the kernel takes %llu",
                phase == CLATTN_PHASE_PREFILL ? "prefill" : "decode", request->head_dim, request->head_dim_v,
                tile->block_q, tile->block_kv, tile->work_group_size, (long long)said, (unsigned long long)taken);
    }
}

/* Head dims on both sides of where the kernels change their shape, with the default tiles. */
static void default_tiles_take_what_is_said(void **state)
{
    static const int32_t head_dims[][2] = {{8, 8}, {32, 32}, {136, 136}, {256, 256}, {192, 128}, {24, 264}, {512, 512}};
    static const int32_t group_sizes[] = {1, 8, 4, 3, 1, 2, 8};
    for (int32_t i = 0; i < COUNT(head_dims); i++) {
        const clattn_tile_request request = {.family = CLATTN_FAMILY_SIMT,
                                             .head_dim = head_dims[i][0],
                                             .head_dim_v = head_dims[i][1],
                                             .group_size = group_sizes[i],
                                             .num_kv_heads = 2};
        compare(*state, &request, NULL);
    }
}

static void overridden_tiles_take_what_is_said(void **state)
{
    static const clattn_tuning tunings[] = {
        {.block_q = 32, .block_kv = 48, .work_group_size = 128},
        {.block_q = 4, .block_kv = 64, .work_group_size = 64},
        {.block_q = 2, .block_kv = 32, .work_group_size = 16},
    };
    for (int32_t i = 0; i < COUNT(tunings); i++) {
        const clattn_tile_request request = {.family = CLATTN_FAMILY_SIMT,
                                             .head_dim = 40,
                                             .head_dim_v = 40 + 32 * i,
                                             .group_size = 4 * i + 1,
                                             .num_kv_heads = 2};
        compare(*state, &request, &tunings[i]);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_tiles_take_what_is_said),
        cmocka_unit_test(overridden_tiles_take_what_is_said),
    };
    return cmocka_run_group_tests_name("local_memory", tests, support_device_setup, support_device_teardown);
}
