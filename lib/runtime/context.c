/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens and closes contexts and gives their parts to the caller. Finding devices is device.c's, building programs
 * program.c's, and which family suits a device is decided from its facts in tuning/space.c.
 */
#include "runtime/context.h"
#include "runtime/cache_clear.h"
#include "runtime/cache_visit.h"
#include "runtime/device.h"
#include "tuning/load.h"
#include "tuning/space.h"
#include "verify/verify.h"

#include <stdlib.h>
#include <string.h>

clattn_status clattn_context_check_cl(clattn_context *ctx, cl_int result, const char *call)
{
    return clattn_cl_check(&ctx->error, result, call);
}

clattn_status clattn_context_check_allocation(clattn_context *ctx, const char *what, uint64_t num_bytes)
{
    CLATTN_REQUIRE(&ctx->error, num_bytes <= ctx->facts.max_allocation_bytes, CLATTN_OUT_OF_DEVICE_MEMORY,
                   "%s of %llu bytes is larger than the device's largest buffer, %llu bytes", what,
                   (unsigned long long)num_bytes, (unsigned long long)ctx->facts.max_allocation_bytes);
    return CLATTN_OK;
}

clattn_status clattn_call_begin(clattn_context *ctx, const void *params, const clattn_sync *sync)
{
    if (sync->event != NULL)
        *sync->event = NULL;
    if (ctx == NULL)
        return CLATTN_INVALID_ARGUMENT;
    CLATTN_REQUIRE(&ctx->error, (sync->num_wait_events > 0) == (sync->wait_events != NULL), CLATTN_INVALID_ARGUMENT,
                   "wait_events: num_wait_events is %u but the list is %s", sync->num_wait_events,
                   sync->wait_events != NULL ? "given" : "NULL");
    for (cl_uint i = 0; i < sync->num_wait_events; i++)
        CLATTN_REQUIRE(&ctx->error, sync->wait_events[i] != NULL, CLATTN_INVALID_ARGUMENT,
                       "wait_events[%u] of %u is NULL", i, sync->num_wait_events);
    CLATTN_REQUIRE(&ctx->error, params != NULL, CLATTN_INVALID_ARGUMENT, "params is NULL");
    return CLATTN_OK;
}

clattn_status clattn_sync_nothing(clattn_context *ctx, const clattn_sync *sync)
{
    if (sync->event == NULL)
        return CLATTN_OK;
    const cl_int result =
        clEnqueueMarkerWithWaitList(ctx->queue, sync->num_wait_events, sync->wait_events, sync->event);
    return clattn_context_check_cl(ctx, result, "clEnqueueMarkerWithWaitList");
}

static clattn_status check_params(clattn_context *ctx, const clattn_context_params *params)
{
    const int num_handles =
        (params->cl_context_handle != NULL) + (params->cl_device != NULL) + (params->cl_queue != NULL);
    CLATTN_REQUIRE(&ctx->error, num_handles == 0 || num_handles == 3, CLATTN_INVALID_ARGUMENT,
                   "cl_context_handle, cl_device and cl_queue belong together: %d of the 3 are given (missing:%s%s%s)",
                   num_handles, params->cl_context_handle == NULL ? " cl_context_handle" : "",
                   params->cl_device == NULL ? " cl_device" : "", params->cl_queue == NULL ? " cl_queue" : "");
    CLATTN_REQUIRE(&ctx->error, num_handles == 0 || params->device == NULL, CLATTN_INVALID_ARGUMENT,
                   "device: must be NULL when cl_device is given, but is \"%s\"", params->device);
    CLATTN_REQUIRE(&ctx->error, (int)params->family >= 0 && params->family < CLATTN_NUM_FAMILIES,
                   CLATTN_INVALID_ARGUMENT, "family: expected 0..%d, got %d", CLATTN_NUM_FAMILIES - 1,
                   (int)params->family);
    CLATTN_REQUIRE(
        &ctx->error, num_handles == 0 || !params->profiling, CLATTN_INVALID_ARGUMENT,
        "profiling: a property of the queue, and cl_queue was made by the caller; give it a profiling queue");
    return CLATTN_OK;
}

/*
 * The queue joins the handles: a driver makes none for a device outside its context. What a context says of its devices
 * proves less, since PoCL lists the whole device where sub-devices were given.
 */
static clattn_status check_queue(clattn_context *ctx, const clattn_context_params *params)
{
    cl_context queue_context = NULL;
    cl_device_id queue_device = NULL;
    cl_command_queue_properties properties = 0;
    CLATTN_TRY(clattn_context_check_cl(
        ctx,
        clGetCommandQueueInfo(params->cl_queue, CL_QUEUE_CONTEXT, sizeof queue_context, (void *)&queue_context, NULL),
        "clGetCommandQueueInfo(cl_queue, CL_QUEUE_CONTEXT)"));
    CLATTN_TRY(clattn_context_check_cl(
        ctx, clGetCommandQueueInfo(params->cl_queue, CL_QUEUE_DEVICE, sizeof queue_device, (void *)&queue_device, NULL),
        "clGetCommandQueueInfo(cl_queue, CL_QUEUE_DEVICE)"));
    CLATTN_TRY(clattn_context_check_cl(
        ctx, clGetCommandQueueInfo(params->cl_queue, CL_QUEUE_PROPERTIES, sizeof properties, &properties, NULL),
        "clGetCommandQueueInfo(cl_queue, CL_QUEUE_PROPERTIES)"));
    CLATTN_REQUIRE(&ctx->error, queue_context == params->cl_context_handle, CLATTN_INVALID_ARGUMENT,
                   "cl_queue: made in another context than cl_context_handle");
    CLATTN_REQUIRE(&ctx->error, queue_device == params->cl_device, CLATTN_INVALID_ARGUMENT,
                   "cl_queue: made for another device than cl_device");
    CLATTN_REQUIRE(&ctx->error, (properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE) == 0, CLATTN_UNSUPPORTED,
                   "cl_queue: an out-of-order queue is not supported, give an in-order one");
    return CLATTN_OK;
}

static clattn_status adopt_handles(clattn_context *ctx, const clattn_context_params *params)
{
    CLATTN_TRY(check_queue(ctx, params));
    CLATTN_TRY(clattn_context_check_cl(ctx, clRetainDevice(params->cl_device), "clRetainDevice"));
    ctx->device = params->cl_device;
    CLATTN_TRY(clattn_context_check_cl(ctx, clRetainContext(params->cl_context_handle), "clRetainContext"));
    ctx->cl = params->cl_context_handle;
    CLATTN_TRY(clattn_context_check_cl(ctx, clRetainCommandQueue(params->cl_queue), "clRetainCommandQueue"));
    ctx->queue = params->cl_queue;
    return CLATTN_OK;
}

/* A driver may offer devices that it cannot compile for, and the kernels read their tables as little-endian. */
static clattn_status check_device(clattn_context *ctx)
{
    cl_bool has_compiler = CL_FALSE;
    cl_bool is_little_endian = CL_FALSE;
    CLATTN_TRY(clattn_context_check_cl(
        ctx, clGetDeviceInfo(ctx->device, CL_DEVICE_COMPILER_AVAILABLE, sizeof has_compiler, &has_compiler, NULL),
        "clGetDeviceInfo(CL_DEVICE_COMPILER_AVAILABLE)"));
    CLATTN_TRY(clattn_context_check_cl(
        ctx, clGetDeviceInfo(ctx->device, CL_DEVICE_ENDIAN_LITTLE, sizeof is_little_endian, &is_little_endian, NULL),
        "clGetDeviceInfo(CL_DEVICE_ENDIAN_LITTLE)"));
    CLATTN_REQUIRE(&ctx->error, has_compiler, CLATTN_UNSUPPORTED, "device: \"%s\" has no compiler", ctx->facts.name);
    CLATTN_REQUIRE(&ctx->error, is_little_endian, CLATTN_UNSUPPORTED, "device: \"%s\" is not little-endian",
                   ctx->facts.name);
    return CLATTN_OK;
}

static clattn_status open_device(clattn_context *ctx, const clattn_context_params *params)
{
    cl_device_id device = NULL;
    CLATTN_TRY(clattn_device_find(params->device, &device, &ctx->error));
    CLATTN_TRY(clattn_context_check_cl(ctx, clRetainDevice(device), "clRetainDevice"));
    ctx->device = device;
    cl_int result = CL_SUCCESS;
    ctx->cl = clCreateContext(NULL, 1, &device, NULL, NULL, &result);
    CLATTN_TRY(clattn_context_check_cl(ctx, result, "clCreateContext"));
    const cl_command_queue_properties properties = params->profiling ? CL_QUEUE_PROFILING_ENABLE : 0;
    ctx->queue = clCreateCommandQueue(ctx->cl, device, properties, &result);
    return clattn_context_check_cl(ctx, result, "clCreateCommandQueue");
}

static clattn_status open_programs(clattn_context *ctx, const clattn_context_params *params)
{
    char *directory = clattn_program_cache_directory(params->cache_dir);
    const clattn_program_store_params store = {
        .cl = ctx->cl,
        .device = ctx->device,
        .facts = &ctx->facts,
        .cache_dir = directory,
        .cache_max_bytes = params->cache_max_bytes,
        .log = &ctx->log,
        .trial = {params->verify_kernels ? clattn_verify_trial : NULL, ctx},
    };
    const clattn_status status = clattn_program_store_create(&store, &ctx->programs, &ctx->error);
    if (status == CLATTN_OK)
        clattn_log_write(&ctx->log, CLATTN_LOG_DEBUG, "opened %s / %s with the %s family, program cache %s",
                         ctx->facts.platform, ctx->facts.name, clattn_family_name(ctx->family),
                         directory != NULL ? directory : "in memory only");
    free(directory);
    return status;
}

/* Fills a zeroed context; on failure the caller closes what there is. */
static clattn_status open_context(clattn_context *ctx, const clattn_context_params *params)
{
    CLATTN_TRY(check_params(ctx, params));
    CLATTN_TRY(params->cl_context_handle != NULL ? adopt_handles(ctx, params) : open_device(ctx, params));
    CLATTN_TRY(clattn_device_read_facts(ctx->device, &ctx->facts, &ctx->error));
    CLATTN_TRY(check_device(ctx));
    ctx->family = params->family != CLATTN_FAMILY_DEFAULT ? params->family : clattn_family_of(&ctx->facts);
    ctx->tuning.facts = &ctx->facts;
    CLATTN_TRY(clattn_tuning_load(&ctx->tuning, params->tuning_file, &ctx->log, &ctx->error));
    return open_programs(ctx, params);
}

clattn_status clattn_context_create(const clattn_context_params *params, clattn_context **ctx)
{
    static const clattn_context_params defaults;
    if (params == NULL)
        params = &defaults;
    const clattn_log log = {.callback = params->log, .user = params->log_user};
    if (ctx == NULL) {
        clattn_log_write(&log, CLATTN_LOG_ERROR, "ctx: is NULL, expected where to put the context");
        return CLATTN_INVALID_ARGUMENT;
    }
    *ctx = NULL;
    clattn_context *opened = calloc(1, sizeof *opened);
    if (opened == NULL) {
        clattn_log_write(&log, CLATTN_LOG_ERROR, "no memory for a context");
        return CLATTN_OUT_OF_MEMORY;
    }
    opened->log = log;
    const clattn_status status = open_context(opened, params);
    if (status != CLATTN_OK)
        goto fail;
    *ctx = opened;
    return CLATTN_OK;
fail:
    clattn_log_write(&log, CLATTN_LOG_ERROR, "%s", opened->error.text);
    clattn_context_destroy(&opened);
    return status;
}

void clattn_context_destroy(clattn_context **ctx)
{
    if (ctx == NULL || *ctx == NULL)
        return;
    clattn_context *closed = *ctx;
    *ctx = NULL;
    if (closed->call_plan != NULL)
        closed->destroy_call_plan(&closed->call_plan);
    clattn_program_store_destroy(&closed->programs);
    clattn_tuning_database_finish(&closed->tuning);
    if (closed->queue != NULL)
        clReleaseCommandQueue(closed->queue);
    if (closed->cl != NULL)
        clReleaseContext(closed->cl);
    if (closed->device != NULL)
        clReleaseDevice(closed->device);
    free(closed);
}

const char *clattn_context_last_error(const clattn_context *ctx)
{
    return ctx != NULL ? ctx->error.text : "";
}

const clattn_device_facts *clattn_context_device(const clattn_context *ctx)
{
    return &ctx->facts;
}

clattn_family clattn_context_family(const clattn_context *ctx)
{
    return ctx->family;
}

cl_context clattn_context_cl_context(const clattn_context *ctx)
{
    return ctx->cl;
}

cl_device_id clattn_context_cl_device(const clattn_context *ctx)
{
    return ctx->device;
}

cl_command_queue clattn_context_cl_queue(const clattn_context *ctx)
{
    return ctx->queue;
}

void clattn_context_cache_stats(const clattn_context *ctx, clattn_cache_stats *stats)
{
    clattn_program_store_stats(ctx->programs, stats);
}

const char *clattn_context_cache_dir(const clattn_context *ctx)
{
    return clattn_program_store_cache_dir(ctx->programs);
}

clattn_status clattn_context_visit_cache(clattn_context *ctx, clattn_cache_visitor visit, void *user)
{
    if (ctx == NULL)
        return CLATTN_INVALID_ARGUMENT;
    CLATTN_REQUIRE(&ctx->error, visit != NULL, CLATTN_INVALID_ARGUMENT, "visit is NULL");
    return clattn_cache_visit(clattn_context_cache_dir(ctx), visit, user, &ctx->error);
}

clattn_status clattn_context_clear_cache(clattn_context *ctx, clattn_cache_part part, clattn_cache_cleared *cleared)
{
    clattn_cache_cleared unused;
    if (cleared == NULL)
        cleared = &unused;
    *cleared = (clattn_cache_cleared){0};
    if (ctx == NULL)
        return CLATTN_INVALID_ARGUMENT;
    CLATTN_REQUIRE(&ctx->error, (int)part >= 0 && part < CLATTN_NUM_CACHE_PARTS, CLATTN_INVALID_ARGUMENT,
                   "part: expected 0..%d, got %d", CLATTN_NUM_CACHE_PARTS - 1, (int)part);
    return clattn_cache_clear(clattn_context_cache_dir(ctx), part, cleared, &ctx->error);
}

clattn_status clattn_context_visit_programs(clattn_context *ctx, clattn_program_visitor visit, void *user)
{
    if (ctx == NULL)
        return CLATTN_INVALID_ARGUMENT;
    CLATTN_REQUIRE(&ctx->error, visit != NULL, CLATTN_INVALID_ARGUMENT, "visit is NULL");
    return clattn_program_store_visit(ctx->programs, visit, user, &ctx->error);
}
