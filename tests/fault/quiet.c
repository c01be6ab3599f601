/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that allocate nothing and ask OpenCL nothing, and so cannot be let down. */
#include "scenario.h"

static void call_batch_class_name(fault_world *world)
{
    (void)world;
    (void)clattn_batch_class_name(CLATTN_BATCH_SMALL);
}

static void call_batch_class_of(fault_world *world)
{
    (void)world;
    (void)clattn_batch_class_of(2);
}

static void call_cache_file_state_name(fault_world *world)
{
    (void)world;
    (void)clattn_cache_file_state_name(CLATTN_CACHE_FILE_DAMAGED);
}

static void call_cache_part_name(fault_world *world)
{
    (void)world;
    (void)clattn_cache_part_name(CLATTN_CACHE_ALL);
}

static void call_context_cache_dir(fault_world *world)
{
    (void)clattn_context_cache_dir(world->device.ctx);
}

static void call_context_cache_stats(fault_world *world)
{
    clattn_cache_stats stats;
    clattn_context_cache_stats(world->device.ctx, &stats);
}

static void call_context_cl_context(fault_world *world)
{
    (void)clattn_context_cl_context(world->device.ctx);
}

static void call_context_cl_device(fault_world *world)
{
    (void)clattn_context_cl_device(world->device.ctx);
}

static void call_context_cl_queue(fault_world *world)
{
    (void)clattn_context_cl_queue(world->device.ctx);
}

static void call_context_device(fault_world *world)
{
    (void)clattn_context_device(world->device.ctx);
}

static void call_context_family(fault_world *world)
{
    (void)clattn_context_family(world->device.ctx);
}

static void call_context_last_error(fault_world *world)
{
    (void)clattn_context_last_error(world->device.ctx);
}

static void call_device_type_name(fault_world *world)
{
    (void)world;
    (void)clattn_device_type_name(CLATTN_DEVICE_GPU);
}

static void call_dtype_from_name(fault_world *world)
{
    (void)world;
    (void)clattn_dtype_from_name("bfloat16");
}

static void call_dtype_name(fault_world *world)
{
    (void)world;
    (void)clattn_dtype_name(CLATTN_BFLOAT16);
}

static void call_dtype_size(fault_world *world)
{
    (void)world;
    (void)clattn_dtype_size(CLATTN_BFLOAT16);
}

static void call_family_from_name(fault_world *world)
{
    (void)world;
    (void)clattn_family_from_name("vector");
}

static void call_family_name(fault_world *world)
{
    (void)world;
    (void)clattn_family_name(CLATTN_FAMILY_SIMT);
}

static void call_kv_cache_get_params(fault_world *world)
{
    (void)clattn_kv_cache_get_params(world->cache);
}

static void call_kv_cache_layer(fault_world *world)
{
    clattn_tensor tensors[2];
    (void)clattn_kv_cache_layer(world->cache, 0, &tensors[0], &tensors[1]);
}

static void call_kv_cache_num_free_pages(fault_world *world)
{
    (void)clattn_kv_cache_num_free_pages(world->cache);
}

static void call_kv_layout_name(fault_world *world)
{
    (void)world;
    (void)clattn_kv_layout_name(CLATTN_KV_HND);
}

static void call_phase_name(fault_world *world)
{
    (void)world;
    (void)clattn_phase_name(CLATTN_PHASE_PREFILL);
}

static void call_plan_get_info(fault_world *world)
{
    clattn_plan_info info;
    (void)clattn_plan_get_info(world->plan, &info);
}

/* A slot's memory is the cache's; a sequence takes its own when it grows. */
static void call_sequence_create(fault_world *world)
{
    (void)clattn_sequence_create(world->cache, &world->sequences[1]);
}

static void call_sequence_length(fault_world *world)
{
    (void)clattn_sequence_length(world->cache, world->sequences[0]);
}

static void call_sequence_release(fault_world *world)
{
    (void)clattn_sequence_release(world->cache, &world->sequences[0]);
}

static void call_sequence_truncate(fault_world *world)
{
    (void)clattn_sequence_truncate(world->cache, world->sequences[0], 1);
}

static void call_status_message(fault_world *world)
{
    (void)world;
    (void)clattn_status_message(CLATTN_OUT_OF_MEMORY);
}

static void call_status_name(fault_world *world)
{
    (void)world;
    (void)clattn_status_name(CLATTN_OUT_OF_MEMORY);
}

static void call_tensor_make(fault_world *world)
{
    (void)world;
    (void)clattn_tensor_make(NULL, CLATTN_FLOAT32, 1, (const int64_t[]){1});
}

/* A tunable of a kernel. */
static const clattn_tunable *find_tunable(void)
{
    const clattn_tunable *tunables = NULL;
    int32_t num_tunables = 0;
    (void)clattn_tuning_space(CLATTN_FAMILY_SIMT, CLATTN_PHASE_DECODE, &tunables, &num_tunables);
    return tunables;
}

static void call_tile_get(fault_world *world)
{
    (void)world;
    (void)clattn_tile_get(&(clattn_tile){.block_q = 1}, find_tunable());
}

static void call_tile_set(fault_world *world)
{
    clattn_tile tile = {.block_q = 1};
    (void)world;
    clattn_tile_set(&tile, find_tunable(), 2);
}

static void call_tuning_check(fault_world *world)
{
    const clattn_tuning_query_params params = {.num_q_heads = 4, .num_kv_heads = 2, .head_dim = 64, .page_size = 16};
    const clattn_tile tile = {.block_q = 1};
    char reason[CLATTN_SENTENCE_BYTES];
    (void)clattn_tuning_check(clattn_context_device(world->device.ctx), &params, CLATTN_PHASE_DECODE, &tile, reason);
}

static void call_tuning_space(fault_world *world)
{
    (void)world;
    (void)find_tunable();
}

static void call_tuning_level_name(fault_world *world)
{
    (void)world;
    (void)clattn_tuning_level_name(CLATTN_TUNING_DEFAULT);
}

static void call_tuning_query(fault_world *world)
{
    const clattn_tuning_query_params params = {.num_q_heads = 4, .num_kv_heads = 2, .head_dim = 64, .page_size = 16};
    clattn_tuning_answer answer;
    (void)clattn_tuning_query(clattn_context_device(world->device.ctx), &params, &answer);
}

static void call_context_tuning_query(fault_world *world)
{
    const clattn_tuning_query_params params = {.num_q_heads = 4, .num_kv_heads = 2, .head_dim = 64, .page_size = 16};
    clattn_tuning_answer answer;
    (void)clattn_context_tuning_query(world->device.ctx, &params, &answer);
}

static void call_verdict_kind_name(fault_world *world)
{
    (void)world;
    (void)clattn_verdict_kind_name(CLATTN_NUM_VERDICT_KINDS);
}

static void call_version(fault_world *world)
{
    (void)world;
    (void)clattn_version();
}

const fault_quiet_function fault_quiet_functions[] = {
    {"clattn_batch_class_name", call_batch_class_name},
    {"clattn_batch_class_of", call_batch_class_of},
    {"clattn_cache_file_state_name", call_cache_file_state_name},
    {"clattn_cache_part_name", call_cache_part_name},
    {"clattn_context_cache_dir", call_context_cache_dir},
    {"clattn_context_cache_stats", call_context_cache_stats},
    {"clattn_context_cl_context", call_context_cl_context},
    {"clattn_context_cl_device", call_context_cl_device},
    {"clattn_context_cl_queue", call_context_cl_queue},
    {"clattn_context_device", call_context_device},
    {"clattn_context_family", call_context_family},
    {"clattn_context_last_error", call_context_last_error},
    {"clattn_context_tuning_query", call_context_tuning_query},
    {"clattn_device_type_name", call_device_type_name},
    {"clattn_dtype_from_name", call_dtype_from_name},
    {"clattn_dtype_name", call_dtype_name},
    {"clattn_dtype_size", call_dtype_size},
    {"clattn_family_from_name", call_family_from_name},
    {"clattn_family_name", call_family_name},
    {"clattn_kv_cache_get_params", call_kv_cache_get_params},
    {"clattn_kv_cache_layer", call_kv_cache_layer},
    {"clattn_kv_cache_num_free_pages", call_kv_cache_num_free_pages},
    {"clattn_kv_layout_name", call_kv_layout_name},
    {"clattn_phase_name", call_phase_name},
    {"clattn_plan_get_info", call_plan_get_info},
    {"clattn_sequence_create", call_sequence_create},
    {"clattn_sequence_length", call_sequence_length},
    {"clattn_sequence_truncate", call_sequence_truncate},
    {"clattn_sequence_release", call_sequence_release},
    {"clattn_status_message", call_status_message},
    {"clattn_status_name", call_status_name},
    {"clattn_tensor_make", call_tensor_make},
    {"clattn_tile_get", call_tile_get},
    {"clattn_tile_set", call_tile_set},
    {"clattn_tuning_check", call_tuning_check},
    {"clattn_tuning_space", call_tuning_space},
    {"clattn_tuning_level_name", call_tuning_level_name},
    {"clattn_tuning_query", call_tuning_query},
    {"clattn_verdict_kind_name", call_verdict_kind_name},
    {"clattn_version", call_version},
};

const int fault_num_quiet_functions = sizeof fault_quiet_functions / sizeof fault_quiet_functions[0];
