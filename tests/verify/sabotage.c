/* SPDX-License-Identifier: Apache-2.0 */
#include "sabotage.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_SOURCES 16

/* Every work-group takes itself for an even one: a macro is not expanded within itself. */
#define EVEN_GROUPS "#define get_group_id(dimension) (get_group_id(dimension) & ~(size_t)1)\n"

/* A link-time wrapper has no other way to know. */
sabotage sabotage_now;
int sabotage_num_kernels;
static cl_program last_hit; /* the program that the next build is about */

cl_program __real_clCreateProgramWithSource(cl_context, cl_uint, const char **, const size_t *, cl_int *);
cl_program __wrap_clCreateProgramWithSource(cl_context, cl_uint, const char **, const size_t *, cl_int *);
cl_int __real_clBuildProgram(cl_program, cl_uint, const cl_device_id *, const char *,
                             void(CL_CALLBACK *)(cl_program, void *), void *);
cl_int __wrap_clBuildProgram(cl_program, cl_uint, const cl_device_id *, const char *,
                             void(CL_CALLBACK *)(cl_program, void *), void *);
cl_int __real_clEnqueueNDRangeKernel(cl_command_queue, cl_kernel, cl_uint, const size_t *, const size_t *,
                                     const size_t *, cl_uint, const cl_event *, cl_event *);
cl_int __wrap_clEnqueueNDRangeKernel(cl_command_queue, cl_kernel, cl_uint, const size_t *, const size_t *,
                                     const size_t *, cl_uint, const cl_event *, cl_event *);
cl_mem __real_clCreateBuffer(cl_context, cl_mem_flags, size_t, void *, cl_int *);
cl_mem __wrap_clCreateBuffer(cl_context, cl_mem_flags, size_t, void *, cl_int *);

static bool is_hit(cl_uint count, const char **sources)
{
    char path[64];
    for (int i = 0; i < SABOTAGE_MAX_PARTS; i++) {
        if (!sabotage_now.parts[i])
            continue;
        snprintf(path, sizeof path, "\"cl/%s", sabotage_now.parts[i]);
        for (cl_uint source = 0; source < count; source++)
            if (strstr(sources[source], path))
                return true;
    }
    return false;
}

/* A copy of the source with something else where the text first stands; NULL if it stands nowhere. */
static char *replace_text(const char *source, const char *text, const char *replacement)
{
    const char *at = strstr(source, text);
    if (!at)
        return NULL;
    const size_t num_bytes = strlen(source) - strlen(text) + strlen(replacement) + 1;
    char *copy = malloc(num_bytes);
    assert_non_null(copy);
    snprintf(copy, num_bytes, "%.*s%s%s", (int)(at - source), source, replacement, at + strlen(text));
    return copy;
}

static cl_program create_with_replacement(cl_context cl, cl_uint count, const char **sources, cl_int *result)
{
    const char *changed[MAX_SOURCES];
    char *copy = NULL;
    assert_true(count <= MAX_SOURCES);
    memcpy(changed, sources, count * sizeof *sources);
    for (cl_uint i = 0; i < count && !copy; i++) {
        copy = replace_text(sources[i], sabotage_now.text, sabotage_now.change);
        if (copy)
            changed[i] = copy;
    }
    assert_non_null(copy);
    cl_program program = __real_clCreateProgramWithSource(cl, count, changed, NULL, result);
    free(copy);
    return program;
}

cl_program __wrap_clCreateProgramWithSource(cl_context cl, cl_uint count, const char **sources, const size_t *lengths,
                                            cl_int *result)
{
    const char *changed[MAX_SOURCES] = {sabotage_now.change ? sabotage_now.change : EVEN_GROUPS};
    const bool hit = is_hit(count, sources);
    if (!hit || sabotage_now.refuses || sabotage_now.dies_in_build) {
        cl_program program = __real_clCreateProgramWithSource(cl, count, sources, lengths, result);
        last_hit = hit ? program : NULL;
        return program;
    }
    assert_true(count < MAX_SOURCES && !lengths);
    if (sabotage_now.text)
        return create_with_replacement(cl, count, sources, result);
    memcpy(changed + 1, sources, count * sizeof *sources);
    return __real_clCreateProgramWithSource(cl, count + 1, changed, NULL, result);
}

cl_int __wrap_clBuildProgram(cl_program program, cl_uint num_devices, const cl_device_id *devices, const char *options,
                             void(CL_CALLBACK *notify)(cl_program, void *), void *user)
{
    if (program == last_hit && sabotage_now.dies_in_build)
        raise(SIGKILL);
    if (program == last_hit && sabotage_now.refuses)
        return CL_BUILD_PROGRAM_FAILURE;
    return __real_clBuildProgram(program, num_devices, devices, options, notify, user);
}

cl_int __wrap_clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t *offset,
                                     const size_t *global, const size_t *local, cl_uint num_events,
                                     const cl_event *events, cl_event *event)
{
    sabotage_num_kernels++;
    if (sabotage_now.dies_in_kernel)
        raise(SIGKILL);
    if (sabotage_now.kernel_result != CL_SUCCESS)
        return sabotage_now.kernel_result;
    return __real_clEnqueueNDRangeKernel(queue, kernel, dimensions, offset, global, local, num_events, events, event);
}

cl_mem __wrap_clCreateBuffer(cl_context cl, cl_mem_flags flags, size_t num_bytes, void *host, cl_int *result)
{
    if (sabotage_now.buffers_until_failure > 0 && --sabotage_now.buffers_until_failure == 0) {
        *result = CL_MEM_OBJECT_ALLOCATION_FAILURE;
        return NULL;
    }
    return __real_clCreateBuffer(cl, flags, num_bytes, host, result);
}

const char *sabotage_part_of(clattn_family family)
{
    switch (family) {
    case CLATTN_FAMILY_VECTOR:
        return "vector/";
    case CLATTN_FAMILY_SIMT:
        return "simt/";
    default:
        return "plain/";
    }
}

static void record_line(void *user, clattn_log_level level, const char *message)
{
    verify_log *log = user;
    if (level == CLATTN_LOG_ERROR)
        log->num_errors++;
    if (level != CLATTN_LOG_WARNING)
        return;
    log->num_warnings++;
    snprintf(log->warning, sizeof log->warning, "%.*s", (int)sizeof log->warning - 1, message);
}

verify_fixture *verify_open(const char *directory, bool verify_kernels)
{
    verify_fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    const clattn_context_params params = {
        .device = getenv("CLATTN_TEST_DEVICE"),
        .family = clattn_family_from_name(getenv("CLATTN_TEST_FAMILY")),
        .cache_dir = directory,
        .verify_kernels = verify_kernels,
        .log = record_line,
        .log_user = &fixture->log,
    };
    support_device *device = &fixture->device;
    assert_int_equal(clattn_context_create(&params, &device->ctx), CLATTN_OK);
    device->cl = clattn_context_cl_context(device->ctx);
    device->queue = clattn_context_cl_queue(device->ctx);
    device->family = clattn_context_family(device->ctx);
    sabotage_num_kernels = 0;
    return fixture;
}

bool verify_has_device(void)
{
    bool runs = false;
    if (clattn_device_count() > 0) {
        verify_fixture *fixture = verify_open("", false);
        runs = support_device_runs_family(&fixture->device, fixture->device.family);
        verify_close(&fixture);
    }
    if (!runs)
        fprintf(stderr, "no OpenCL device that runs the family\n");
    return runs;
}

void verify_close(verify_fixture **fixture)
{
    clFinish((*fixture)->device.queue);
    clattn_context_destroy(&(*fixture)->device.ctx);
    free(*fixture);
    *fixture = NULL;
}

static void count_file(void *user, const clattn_cache_file *file)
{
    verify_files *files = user;
    if (file->state != CLATTN_CACHE_FILE_VALID)
        files->num_others++;
    else if (!file->verdict)
        files->num_programs++;
    else
        files->num_verdicts[file->verdict->kind]++;
    if (file->verdict && file->verdict->kind == CLATTN_VERDICT_VERIFIED) {
        assert_true(file->verdict->worst_error >= 0.0 && file->verdict->worst_error < 0.5);
        assert_string_equal(file->verdict->reason, "");
    } else if (file->verdict) {
        assert_true(strlen(file->verdict->reason) > 0);
    }
}

verify_files verify_list(const verify_fixture *fixture)
{
    verify_files files = {0};
    assert_int_equal(clattn_context_visit_cache(fixture->device.ctx, count_file, &files), CLATTN_OK);
    return files;
}

support_attention_case verify_batch(int32_t num_splits)
{
    static const int32_t context_lens[] = {93, 1, 40};
    return (support_attention_case){
        .seed = 7000,
        .num_seqs = 3,
        .context_lens = context_lens,
        .num_q_heads = 4,
        .num_kv_heads = 2,
        .head_dim = 32,
        .page_size = 8,
        .kv_layout = CLATTN_KV_NHD,
        .num_splits = num_splits,
    };
}
