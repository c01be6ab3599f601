/* SPDX-License-Identifier: Apache-2.0 */
/* Devices and contexts. */
#include "scenario.h"

#include "runtime/context.h"
#include "runtime/program_cache.h"
#include "support/directory.h"
#include "support/tuning_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TUNING_FILE "tuning.json"

static void record_error(void *user, clattn_log_level level, const char *message)
{
    fault_world *world = user;
    if (level == CLATTN_LOG_ERROR)
        snprintf(world->logged, sizeof world->logged, "%s", message);
}

static clattn_status create(fault_world *world, clattn_context_params params)
{
    world->logged[0] = '\0';
    params.cache_dir = world->directory;
    params.log = record_error;
    params.log_user = world;
    return clattn_context_create(&params, &world->made);
}

static clattn_status call_create(fault_world *world)
{
    return create(world, (clattn_context_params){.device = getenv("CLATTN_TEST_DEVICE"), .profiling = true});
}

static clattn_status call_create_by_name(fault_world *world)
{
    return create(world, (clattn_context_params){.device = clattn_context_device(world->device.ctx)->name});
}

static clattn_status call_create_embedded(fault_world *world)
{
    return create(world, (clattn_context_params){
                             .cl_context_handle = world->device.cl,
                             .cl_device = clattn_context_cl_device(world->device.ctx),
                             .cl_queue = world->device.queue,
                         });
}

/* Only what OpenCL 3.0 alone tells has a substitute. */
static void check_facts(const fault_world *world, clattn_device_facts facts)
{
    const clattn_device_facts *expected = clattn_context_device(world->device.ctx);
    assert_true(facts.preferred_multiple >= 1);
    facts.preferred_multiple = expected->preferred_multiple;
    assert_memory_equal(&facts, expected, sizeof facts);
}

static void check_created(fault_world *world)
{
    assert_non_null(world->made);
    check_facts(world, *clattn_context_device(world->made));
    assert_string_equal(clattn_context_last_error(world->made), "");
}

static void destroy_created(fault_world *world)
{
    clattn_context_destroy(&world->made);
}

static void open_attention(fault_world *world)
{
    static const int32_t context_lens[] = {9};
    const support_attention_case description = {
        .seed = 2,
        .num_seqs = 1,
        .context_lens = context_lens,
        .num_q_heads = 2,
        .num_kv_heads = 1,
        .head_dim = 8,
        .page_size = 4,
    };
    fault_world_open(world);
    world->attention = support_attention_create(&world->device, &description);
}

/* A context that holds a kernel and a plan of its own. */
static void prepare_used(fault_world *world)
{
    fault_require_ok(world, call_create_embedded(world));
    support_device device = world->device;
    device.ctx = world->made;
    support_attention_run(world->attention, &device);
}

static clattn_status call_destroy(fault_world *world)
{
    clattn_context_destroy(&world->made);
    return CLATTN_OK;
}

static void check_destroyed(fault_world *world)
{
    assert_null(world->made);
}

/* The device that the tests run on, by its place in the list. */
static int32_t index_of_device(const fault_world *world)
{
    const int32_t num_devices = clattn_device_count();
    clattn_device_facts facts;
    int32_t index = 0;
    while (index < num_devices && (clattn_device_query(index, &facts) != CLATTN_OK ||
                                   strcmp(facts.name, clattn_context_device(world->device.ctx)->name) != 0))
        index++;
    assert_in_range(index, 0, num_devices - 1);
    return index;
}

static void open_indexed(fault_world *world)
{
    fault_world_open(world);
    world->device_index = index_of_device(world);
}

static clattn_status call_query(fault_world *world)
{
    return clattn_device_query(world->device_index, &world->facts);
}

static void check_query(fault_world *world)
{
    check_facts(world, world->facts);
}

static void open_counted(fault_world *world)
{
    fault_world_open(world);
    world->num_devices = clattn_device_count();
}

/* It has no status: fewer devices than there are stand for a failure. */
static clattn_status call_count(fault_world *world)
{
    const int32_t num_devices = clattn_device_count();
    assert_in_range(num_devices, 0, world->num_devices);
    return num_devices == world->num_devices ? CLATTN_OK : CLATTN_NO_DEVICE;
}

static void check_count(fault_world *world)
{
    assert_true(world->num_devices > 0);
}

/* A cache directory with one program. */
static void open_cached(fault_world *world)
{
    open_attention(world);
    fault_world_renew_context(world, world->directory);
    support_attention_run(world->attention, &world->device);
}

static void count_file(void *user, const clattn_cache_file *file)
{
    fault_world *world = user;
    assert_true(file->name[0] != '\0');
    world->num_files++;
}

static clattn_status call_visit(fault_world *world)
{
    world->num_files = 0;
    return clattn_context_visit_cache(world->device.ctx, count_file, world);
}

/* A file that cannot be looked at may have vanished. */
static void check_visit(fault_world *world)
{
    assert_in_range(world->num_files, 0, 1);
}

#define DAMAGED_NAME "0123456789abcdef0123456789abcdef" CLATTN_CACHE_SUFFIX

/* A program and a damaged file. */
static void prepare_clear(fault_world *world)
{
    char path[SUPPORT_PATH_BYTES];
    fault_world_renew_context(world, world->directory);
    support_attention_run(world->attention, &world->device);
    support_path_join(path, world->directory, DAMAGED_NAME);
    support_file_write(path, "damage", 6);
}

static clattn_status call_clear(fault_world *world)
{
    return clattn_context_clear_cache(world->device.ctx, CLATTN_CACHE_USELESS, &world->cleared);
}

/* A file that cannot be looked at may have vanished, and one that cannot be read is as good as damaged. */
static void check_clear(fault_world *world)
{
    char path[SUPPORT_PATH_BYTES];
    assert_in_range(world->cleared.num_files, 0, 2);
    assert_in_range(support_directory_list(world->directory, path), 0, 2);
    support_path_join(path, world->directory, DAMAGED_NAME);
    assert_true(world->cleared.num_files == 0 || access(path, F_OK) != 0);
}

static void count_program(void *user, const clattn_program_info *info)
{
    fault_world *world = user;
    assert_true(info->max_work_group_size > 0);
    world->num_programs++;
}

static clattn_status call_visit_programs(fault_world *world)
{
    world->num_programs = 0;
    return clattn_context_visit_programs(world->device.ctx, count_program, world);
}

static void check_visit_programs(fault_world *world)
{
    assert_int_equal(world->num_programs, 1);
}

/* A tuning file with one row, for the device. */
static void open_tuned(fault_world *world)
{
    char path[SUPPORT_PATH_BYTES];
    char name[CLATTN_NAME_BYTES + 2];
    support_tuning_text file = {.text = NULL};
    fault_world_open(world);
    support_path_join(path, world->directory, TUNING_FILE);
    snprintf(name, sizeof name, "\"%s\"", clattn_context_device(world->device.ctx)->name);
    support_tuning_add_row(&file, 1, &(support_tuning_field){"device", name});
    support_tuning_write(&file, path);
}

static clattn_status call_create_tuned(fault_world *world)
{
    char path[SUPPORT_PATH_BYTES];
    support_path_join(path, world->directory, TUNING_FILE);
    return create(world, (clattn_context_params){
                             .cl_context_handle = world->device.cl,
                             .cl_device = clattn_context_cl_device(world->device.ctx),
                             .cl_queue = world->device.queue,
                             .tuning_file = path,
                         });
}

/* Without the file, if it cannot be read: with nothing but the rows that are built in. */
static void check_created_tuned(fault_world *world)
{
    const size_t num_builtin = world->device.ctx->tuning.num_entries;
    check_created(world);
    assert_in_range(world->made->tuning.num_entries, num_builtin, num_builtin + 1);
}

static void count_row(void *user, const clattn_tuning_file_row *row)
{
    fault_world *world = user;
    world->num_rows++;
    if (row->index < 0)
        snprintf(world->logged, sizeof world->logged, "%s", row->refusal);
}

static clattn_status call_visit_tuning(fault_world *world)
{
    char path[SUPPORT_PATH_BYTES];
    support_path_join(path, world->directory, TUNING_FILE);
    world->num_rows = 0;
    return clattn_tuning_visit_file(path, count_row, world);
}

static void check_visit_tuning(fault_world *world)
{
    assert_int_equal(world->num_rows, 1);
}

static const fault_scenario scenarios[] = {
    {.function = "clattn_context_create",
     .variant = "own queue",
     .tolerated = "malloc strdup open clGetDeviceInfo",
     .device_status = CLATTN_NO_DEVICE,
     .open = fault_world_open,
     .call = call_create,
     .check = check_created,
     .undo = destroy_created},
    {.function = "clattn_context_create",
     .variant = "by name",
     .tolerated = "malloc strdup open clGetDeviceInfo",
     .device_status = CLATTN_NO_DEVICE,
     .open = fault_world_open,
     .call = call_create_by_name,
     .check = check_created,
     .undo = destroy_created},
    {.function = "clattn_context_create",
     .variant = "embedded",
     .tolerated = "malloc strdup open clGetDeviceInfo",
     .open = fault_world_open,
     .call = call_create_embedded,
     .check = check_created,
     .undo = destroy_created},
    {.function = "clattn_context_create",
     .variant = "tuned",
     .tolerated = "strdup open clGetDeviceInfo",
     .open = open_tuned,
     .call = call_create_tuned,
     .check = check_created_tuned,
     .undo = destroy_created},
    {.function = "clattn_context_destroy",
     .variant = "used",
     .tolerated = "clWaitForEvents",
     .only_once = true,
     .open = open_attention,
     .prepare = prepare_used,
     .call = call_destroy,
     .check = check_destroyed},
    {.function = "clattn_context_visit_cache",
     .variant = "one program",
     .open = open_cached,
     .call = call_visit,
     .check = check_visit},
    {.function = "clattn_context_clear_cache",
     .variant = "damaged file",
     .open = open_attention,
     .prepare = prepare_clear,
     .call = call_clear,
     .check = check_clear},
    {.function = "clattn_context_visit_programs",
     .variant = "one program",
     .open = open_cached,
     .call = call_visit_programs,
     .check = check_visit_programs},
    {.function = "clattn_tuning_visit_file",
     .variant = "one row",
     .file_status = CLATTN_INVALID_ARGUMENT,
     .silent = true,
     .open = open_tuned,
     .call = call_visit_tuning,
     .check = check_visit_tuning},
    {.function = "clattn_device_query",
     .variant = "its own",
     .tolerated = "clGetDeviceInfo",
     .device_status = CLATTN_NO_DEVICE,
     .silent = true,
     .open = open_indexed,
     .call = call_query,
     .check = check_query},
    {.function = "clattn_device_count",
     .variant = "all",
     .device_status = CLATTN_NO_DEVICE,
     .silent = true,
     .open = open_counted,
     .call = call_count,
     .check = check_count},
};

fault_scenario_list fault_context_scenarios(void)
{
    return FAULT_SCENARIO_LIST(scenarios);
}
