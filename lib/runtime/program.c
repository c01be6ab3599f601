/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds kernel variants on first use, keeps them, and carries their binaries to and from the disk cache. Which defines
 * a variant has is its user's business; what names a binary is program_key.c's, where it lies program_cache.c's.
 */
#include "runtime/program.h"
#include "runtime/cl_error.h"
#include "runtime/program_key.h"
#include "runtime/sources.h"
#include "runtime/trial_note.h"
#include "runtime/verdict_file.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SHOWN_LOG_BYTES 2000 /* of a build log in an error sentence; the log callback gets all of it */

typedef struct program_entry {
    clattn_variant variant;
    uint64_t hash;
    cl_program program;
    cl_kernel kernel;       /* NULL = rejected */
    clattn_verdict verdict; /* of a store with trials */
} program_entry;

struct clattn_program_store {
    cl_context cl;
    cl_device_id device;
    const clattn_device_facts *facts;
    const clattn_log *log;
    clattn_program_trial trial;
    char *cache_dir; /* NULL = no disk cache */
    bool can_save;   /* false once the directory refused a file */
    program_entry *entries;
    size_t num_entries;
    size_t capacity;
    clattn_cache_stats stats;
};

void clattn_variant_define(clattn_variant *variant, const char *name, int32_t value)
{
    assert(variant->num_defines < CLATTN_MAX_DEFINES);
    variant->defines[variant->num_defines++] = (clattn_define){.name = name, .value = value};
}

int32_t clattn_variant_value(const clattn_variant *variant, const char *name)
{
    for (int32_t i = 0; i < variant->num_defines; i++) {
        if (strcmp(variant->defines[i].name, name) == 0)
            return variant->defines[i].value;
    }
    return 0;
}

/* Of the values alone, because this is in the path of every call; the names are compared on a match. */
static uint64_t hash_of(const clattn_variant *variant)
{
    int32_t values[CLATTN_MAX_DEFINES + 1];
    values[0] = (int32_t)variant->program;
    for (int32_t i = 0; i < variant->num_defines; i++)
        values[i + 1] = variant->defines[i].value;
    return XXH3_64bits(values, (size_t)(variant->num_defines + 1) * sizeof values[0]);
}

static bool equal(const clattn_variant *a, const clattn_variant *b)
{
    if (a->program != b->program || a->num_defines != b->num_defines)
        return false;
    for (int32_t i = 0; i < a->num_defines; i++) {
        if (a->defines[i].value != b->defines[i].value || strcmp(a->defines[i].name, b->defines[i].name) != 0)
            return false;
    }
    return true;
}

static program_entry *find_entry(const clattn_program_store *store, const clattn_variant *variant, uint64_t hash)
{
    for (size_t i = 0; i < store->num_entries; i++) {
        if (store->entries[i].hash == hash && equal(&store->entries[i].variant, variant))
            return &store->entries[i];
    }
    return NULL;
}

static bool reserve_entry(clattn_program_store *store)
{
    if (store->num_entries < store->capacity)
        return true;
    const size_t capacity = store->capacity > 0 ? 2 * store->capacity : 16;
    program_entry *entries = realloc(store->entries, capacity * sizeof *entries);
    if (entries == NULL)
        return false;
    store->entries = entries;
    store->capacity = capacity;
    return true;
}

static void entry_finish(program_entry *entry)
{
    if (entry->kernel != NULL)
        clReleaseKernel(entry->kernel);
    if (entry->program != NULL)
        clReleaseProgram(entry->program);
    entry->kernel = NULL;
    entry->program = NULL;
}

static double milliseconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) * 1e3 + (double)(now.tv_nsec - start->tv_nsec) * 1e-6;
}

/* The build log, malloc'ed; NULL if there is none. */
static char *build_log_of(cl_program program, cl_device_id device)
{
    size_t num_bytes = 0;
    if (clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, 0, NULL, &num_bytes) != CL_SUCCESS)
        return NULL;
    char *text = calloc(num_bytes + 1, 1);
    if (text == NULL)
        return NULL;
    if (clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, num_bytes, text, NULL) != CL_SUCCESS) {
        free(text);
        return NULL;
    }
    return text;
}

/* Gives the log callback one line at a time, as it expects; cuts `text` up. */
static void log_lines(const clattn_log *log, clattn_log_level level, char *text)
{
    char *position = NULL;
    for (char *line = strtok_r(text, "\r\n", &position); line != NULL; line = strtok_r(NULL, "\r\n", &position))
        clattn_log_write(log, level, "%s", line);
}

/* Words a failed build: program and options, what failed, and why if the compiler said so. */
static clattn_status report_failure(const clattn_program_store *store, const program_entry *entry, const char *options,
                                    cl_int result, const char *call, clattn_error *error)
{
    const char *name = clattn_program_sources[entry->variant.program].name;
    const clattn_status status = result == CL_OUT_OF_HOST_MEMORY ? CLATTN_OUT_OF_MEMORY : CLATTN_BUILD_FAILED;
    char *build_log = entry->program != NULL ? build_log_of(entry->program, store->device) : NULL;
    clattn_error_set(error, status, "program %s (%s): %s failed with %s (%d)%s%.*s", name, options, call,
                     clattn_cl_error_name(result), (int)result, build_log != NULL ? "; build log: " : "",
                     SHOWN_LOG_BYTES, build_log != NULL ? build_log : "");
    clattn_log_write(store->log, CLATTN_LOG_ERROR, "program %s (%s): %s failed with %s (%d)", name, options, call,
                     clattn_cl_error_name(result), (int)result);
    if (build_log != NULL)
        log_lines(store->log, CLATTN_LOG_ERROR, build_log);
    free(build_log);
    return status;
}

/* Builds the program of an entry and makes its kernel; *call is the function that `result` came from. */
static cl_int build_entry(const clattn_program_store *store, program_entry *entry, const char *options,
                          const char **call)
{
    *call = "clBuildProgram";
    cl_int result = clBuildProgram(entry->program, 1, &store->device, options, NULL, NULL);
    if (result != CL_SUCCESS)
        return result;
    *call = "clCreateKernel";
    entry->kernel = clCreateKernel(entry->program, clattn_program_sources[entry->variant.program].kernel, &result);
    return result;
}

static clattn_status build_from_source(clattn_program_store *store, program_entry *entry, const char *options,
                                       clattn_error *error)
{
    const clattn_program_source *source = &clattn_program_sources[entry->variant.program];
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    /* OpenCL takes an array of pointers to const, but C does not convert to it. */
    const char *parts[CLATTN_MAX_SOURCE_PARTS];
    memcpy(parts, source->parts, sizeof parts);
    const char *call = "clCreateProgramWithSource";
    cl_int result = CL_SUCCESS;
    entry->program = clCreateProgramWithSource(store->cl, (cl_uint)source->num_parts, parts, NULL, &result);
    if (result == CL_SUCCESS)
        result = build_entry(store, entry, options, &call);
    if (result != CL_SUCCESS)
        return report_failure(store, entry, options, result, call, error);
    store->stats.num_built++;
    clattn_log_write(store->log, CLATTN_LOG_INFO, "built %s in %.0f ms (%s)", source->name, milliseconds_since(&start),
                     options);
    return CLATTN_OK;
}

/*
 * Where among a program's `num_binaries` the one for the store's device stands: a caller's context may hold several
 * devices. One binary is ours, since we built for one device: PoCL lists only what was built, others list every device.
 * Not below num_binaries if the driver does not tell.
 */
static size_t find_binary(const clattn_program_store *store, cl_program program, size_t num_binaries)
{
    if (num_binaries == 1)
        return 0;
    size_t index = num_binaries;
    cl_device_id *devices = calloc(num_binaries + 1, sizeof *devices);
    const size_t num_bytes = num_binaries * sizeof *devices;
    if (devices != NULL && clGetProgramInfo(program, CL_PROGRAM_DEVICES, num_bytes, devices, NULL) == CL_SUCCESS) {
        index = 0;
        while (index < num_binaries && devices[index] != store->device)
            index++;
    }
    free(devices);
    return index;
}

/* The binary of a program for the store's device, malloc'ed; NULL if the driver gives none. */
static void *read_binary(const clattn_program_store *store, cl_program program, size_t *binary_bytes)
{
    size_t list_bytes = 0;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, 0, NULL, &list_bytes) != CL_SUCCESS)
        return NULL;
    const size_t num_binaries = list_bytes / sizeof(size_t);
    const size_t index = find_binary(store, program, num_binaries);
    if (index >= num_binaries)
        return NULL;
    void *binary = NULL;
    size_t *sizes = calloc(num_binaries, sizeof *sizes);
    unsigned char **binaries = calloc(num_binaries, sizeof *binaries);
    if (sizes == NULL || binaries == NULL)
        goto done;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, list_bytes, sizes, NULL) != CL_SUCCESS)
        goto done;
    *binary_bytes = sizes[index];
    binary = *binary_bytes > 0 ? malloc(*binary_bytes) : NULL;
    if (binary == NULL)
        goto done;
    /* Devices whose entry is NULL are left out. */
    binaries[index] = binary;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARIES, num_binaries * sizeof *binaries, binaries, NULL) != CL_SUCCESS) {
        free(binary);
        binary = NULL;
    }
done:
    free(binaries);
    free(sizes);
    return binary;
}

/* After a file that could not be written. */
static void stop_saving(clattn_program_store *store)
{
    store->can_save = false;
    clattn_log_write(store->log, CLATTN_LOG_WARNING, "program cache %s cannot be written, going on without it",
                     store->cache_dir);
}

/*
 * Writes the binary of a freshly built entry to the disk cache. This is the moment for it: Mali compiles in
 * clCreateKernel, and no kernel of the program is running yet. PoCL 3.1 would add work-group code at the first run, but
 * it fixes a binary when that is first read, and reading one while a worker compiles into it is not safe.
 */
static void save_entry(clattn_program_store *store, const program_entry *entry, const char *key)
{
    size_t num_bytes = 0;
    void *binary = read_binary(store, entry->program, &num_bytes);
    if (binary != NULL && !clattn_program_cache_save(store->cache_dir, key, binary, num_bytes))
        stop_saving(store);
    free(binary);
}

/* Makes program and kernel from a binary; false, with nothing made, if the driver refuses it. */
static bool build_from_binary(const clattn_program_store *store, program_entry *entry, const char *options,
                              const void *binary, size_t num_bytes)
{
    const unsigned char *bytes = binary;
    cl_int result = CL_SUCCESS;
    entry->program = clCreateProgramWithBinary(store->cl, 1, &store->device, &num_bytes, &bytes, NULL, &result);
    const char *call;
    if (result == CL_SUCCESS)
        result = build_entry(store, entry, options, &call);
    if (result == CL_SUCCESS)
        return true;
    entry_finish(entry);
    return false;
}

/* False = build from source: no cache, no file, or a file that is of no use and has been removed. */
static bool load_entry(clattn_program_store *store, program_entry *entry, const char *options, const char *key)
{
    const char *name = clattn_program_sources[entry->variant.program].name;
    void *binary = NULL;
    size_t num_bytes = 0;
    const clattn_cache_result found = clattn_program_cache_load(store->cache_dir, key, &binary, &num_bytes);
    if (found == CLATTN_CACHE_MISS)
        return false;
    const bool loaded = found == CLATTN_CACHE_HIT && build_from_binary(store, entry, options, binary, num_bytes);
    free(binary);
    if (loaded) {
        store->stats.num_disk_hits++;
        clattn_log_write(store->log, CLATTN_LOG_DEBUG, "loaded %s from the program cache (%s)", name, options);
        return true;
    }
    store->stats.num_disk_rejected++;
    clattn_program_cache_remove(store->cache_dir, key);
    clattn_log_write(store->log, CLATTN_LOG_INFO, "program cache: the file of %s was %s and is replaced (%s)", name,
                     found == CLATTN_CACHE_HIT ? "refused by the driver" : "damaged or foreign", options);
    return false;
}

/* From the disk cache or from source. */
static clattn_status load_or_build(clattn_program_store *store, program_entry *entry, const char *options,
                                   clattn_error *error)
{
    if (store->cache_dir == NULL)
        return build_from_source(store, entry, options, error);
    char *key = clattn_program_key_text(store->facts, &entry->variant, options);
    CLATTN_REQUIRE(error, key != NULL, CLATTN_OUT_OF_MEMORY, "no memory for the cache key of program %s",
                   clattn_program_sources[entry->variant.program].name);
    clattn_status status = CLATTN_OK;
    if (!load_entry(store, entry, options, key)) {
        status = build_from_source(store, entry, options, error);
        if (status == CLATTN_OK && store->can_save)
            save_entry(store, entry, key);
    }
    free(key);
    return status;
}

/* Builds an entry and tries it; one that does not even build has failed its trial. */
static clattn_status try_entry(clattn_program_store *store, program_entry *entry, const char *options,
                               clattn_error *error)
{
    const clattn_status status = load_or_build(store, entry, options, error);
    if (status != CLATTN_BUILD_FAILED) {
        CLATTN_TRY(status);
        return store->trial.run(store->trial.user, &entry->variant, entry->kernel, &entry->verdict, error);
    }
    entry->verdict = (clattn_verdict){.kind = CLATTN_VERDICT_REJECTED};
    snprintf(entry->verdict.reason, sizeof entry->verdict.reason, "%.*s", CLATTN_REASON_BYTES - 1, error->text);
    return CLATTN_OK;
}

/* Not what could not be built or run: that may have been for want of memory, and says nothing of the next time. */
static bool is_lasting(const clattn_verdict *verdict)
{
    return verdict->kind != CLATTN_VERDICT_REJECTED || verdict->worst_error > 1.0;
}

/*
 * The same under a note, and keeps the verdict if it is to last. Where somebody died with the note, the variant is not
 * touched again; who lives and holds it is no reason not to try as well.
 */
static clattn_status try_with_note(clattn_program_store *store, program_entry *entry, const char *options,
                                   const char *verdict_key, clattn_error *error)
{
    clattn_trial_note note;
    clattn_status status = CLATTN_OK;
    const clattn_note_result taken = clattn_trial_note_take(store->cache_dir, verdict_key, &note);
    if (taken == CLATTN_NOTE_ABANDONED)
        entry->verdict = (clattn_verdict){.kind = CLATTN_VERDICT_CRASHED,
                                          .reason = "a process that built or tried it did not survive that"};
    else
        status = try_entry(store, entry, options, error);
    if (status == CLATTN_OK && is_lasting(&entry->verdict) && store->can_save &&
        !clattn_verdict_save(store->cache_dir, verdict_key, &entry->verdict))
        stop_saving(store);
    if (taken != CLATTN_NOTE_NONE)
        clattn_trial_note_release(&note);
    return status;
}

/* Finds the verdict on an entry on disk, or by a trial. What is verified has its kernel afterwards. */
static clattn_status judge_entry(clattn_program_store *store, program_entry *entry, const char *options,
                                 clattn_error *error)
{
    if (store->cache_dir == NULL)
        return try_entry(store, entry, options, error);
    char *key = clattn_program_key_text(store->facts, &entry->variant, options);
    char *verdict_key = key != NULL ? clattn_verdict_key(key) : NULL;
    free(key);
    CLATTN_REQUIRE(error, verdict_key != NULL, CLATTN_OUT_OF_MEMORY, "no memory for the verdict on program %s",
                   clattn_program_sources[entry->variant.program].name);
    clattn_status status = CLATTN_OK;
    if (!clattn_verdict_load(store->cache_dir, verdict_key, &entry->verdict))
        status = try_with_note(store, entry, options, verdict_key, error);
    else if (entry->verdict.kind == CLATTN_VERDICT_VERIFIED)
        status = load_or_build(store, entry, options, error);
    free(verdict_key);
    return status;
}

/* The sentence of a call that needs a rejected variant. */
static clattn_status refuse(const program_entry *entry, clattn_error *error)
{
    return clattn_error_set(error, CLATTN_KERNEL_REJECTED, "program %s is %s on this device: %s",
                            clattn_program_sources[entry->variant.program].name,
                            clattn_verdict_kind_name(entry->verdict.kind), entry->verdict.reason);
}

/* Makes an entry that has to prove itself. One that fails stays in the store without a kernel. */
static clattn_status make_proven_entry(clattn_program_store *store, program_entry *entry, const char *options,
                                       clattn_error *error)
{
    CLATTN_TRY(judge_entry(store, entry, options, error));
    const clattn_program_source *source = &clattn_program_sources[entry->variant.program];
    if (entry->verdict.kind == CLATTN_VERDICT_VERIFIED) {
        clattn_log_write(store->log, CLATTN_LOG_DEBUG, "program %s is verified, worst error %.3f of the allowed (%s)",
                         source->name, entry->verdict.worst_error, options);
        return CLATTN_OK;
    }
    entry_finish(entry);
    clattn_log_write(store->log, CLATTN_LOG_WARNING, "program %s is %s on this device: %s; %s%s (%s)", source->name,
                     clattn_verdict_kind_name(entry->verdict.kind), entry->verdict.reason,
                     source->replacement != NULL ? source->replacement : "calls that need it are refused",
                     source->replacement != NULL ? " takes its place" : "", options);
    return refuse(entry, error);
}

/* Fills an entry that has its variant; on failure the caller finishes it. */
static clattn_status make_entry(clattn_program_store *store, program_entry *entry, clattn_error *error)
{
    char *options = clattn_variant_options(&entry->variant);
    CLATTN_REQUIRE(error, options != NULL, CLATTN_OUT_OF_MEMORY, "no memory for the build options of program %s",
                   clattn_program_sources[entry->variant.program].name);
    const clattn_status status = store->trial.run != NULL ? make_proven_entry(store, entry, options, error)
                                                          : load_or_build(store, entry, options, error);
    free(options);
    return status;
}

clattn_status clattn_program_store_create(const clattn_program_store_params *params, clattn_program_store **store,
                                          clattn_error *error)
{
    *store = NULL;
    clattn_program_store *created = calloc(1, sizeof *created);
    char *cache_dir = params->cache_dir != NULL ? strdup(params->cache_dir) : NULL;
    if (created == NULL || (params->cache_dir != NULL && cache_dir == NULL)) {
        free(cache_dir);
        free(created);
        return clattn_error_set(error, CLATTN_OUT_OF_MEMORY, "no memory for the program store");
    }
    created->cl = params->cl;
    created->device = params->device;
    created->facts = params->facts;
    created->log = params->log;
    created->trial = params->trial;
    created->cache_dir = cache_dir;
    created->can_save = cache_dir != NULL;
    *store = created;
    return CLATTN_OK;
}

void clattn_program_store_destroy(clattn_program_store **store)
{
    if (store == NULL || *store == NULL)
        return;
    clattn_program_store *destroyed = *store;
    *store = NULL;
    for (size_t i = 0; i < destroyed->num_entries; i++)
        entry_finish(&destroyed->entries[i]);
    free(destroyed->entries);
    free(destroyed->cache_dir);
    free(destroyed);
}

clattn_status clattn_program_store_kernel(clattn_program_store *store, const clattn_variant *variant, cl_kernel *kernel,
                                          clattn_error *error)
{
    assert((int)variant->program >= 0 && variant->program < CLATTN_NUM_PROGRAMS);
    *kernel = NULL;
    const uint64_t hash = hash_of(variant);
    const program_entry *found = find_entry(store, variant, hash);
    if (found != NULL) {
        *kernel = found->kernel;
        return found->kernel != NULL ? CLATTN_OK : refuse(found, error);
    }
    CLATTN_REQUIRE(error, reserve_entry(store), CLATTN_OUT_OF_MEMORY, "no memory for program %s",
                   clattn_program_sources[variant->program].name);
    program_entry entry = {.variant = *variant, .hash = hash};
    const clattn_status status = make_entry(store, &entry, error);
    if (status != CLATTN_OK && status != CLATTN_KERNEL_REJECTED) {
        entry_finish(&entry);
        return status;
    }
    store->entries[store->num_entries++] = entry;
    store->stats.num_programs += entry.kernel != NULL;
    *kernel = entry.kernel;
    return status;
}

const char *clattn_program_store_cache_dir(const clattn_program_store *store)
{
    return store->cache_dir;
}

void clattn_program_store_stats(const clattn_program_store *store, clattn_cache_stats *stats)
{
    *stats = store->stats;
}
