/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds kernel variants on first use, keeps them, and carries their binaries to and from the disk cache. Which defines
 * a variant has is its user's business; how they are built is program_build.c's, what names a binary program_key.c's,
 * and where it lies program_cache.c's.
 */
#include "runtime/program.h"
#include "runtime/cache_evict.h"
#include "runtime/program_build.h"
#include "runtime/program_key.h"
#include "runtime/sources.h"
#include "runtime/trial_note.h"
#include "runtime/verdict_file.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

typedef struct program_entry {
    clattn_variant variant;
    uint64_t hash;
    char *options;              /* that it is built with; owned */
    clattn_built_program built; /* without a kernel: rejected */
    bool is_loaded;             /* from the disk cache, not built from source */
    clattn_verdict verdict;     /* of a store with trials */
} program_entry;

struct clattn_program_store {
    clattn_build_target target;
    const clattn_device_facts *facts;
    clattn_program_trial trial;
    char *cache_dir; /* NULL = no disk cache */
    bool can_save;   /* false once the directory refused a file */
    uint64_t cache_max_bytes;
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
    clattn_built_program_finish(&entry->built);
    free(entry->options);
    entry->options = NULL;
}

static const clattn_program_source *source_of(const program_entry *entry)
{
    return &clattn_program_sources[entry->variant.program];
}

static clattn_status build_from_source(clattn_program_store *store, program_entry *entry, clattn_error *error)
{
    CLATTN_TRY(clattn_build_from_source(&store->target, source_of(entry), entry->options, &entry->built, error));
    store->stats.num_built++;
    return CLATTN_OK;
}

/* After a file was written, for which others may have to go, or could not be written. */
static void finish_save(clattn_program_store *store, const char *key, bool saved)
{
    clattn_cache_eviction eviction;
    if (saved) {
        store->stats.num_disk_saved++;
        if (clattn_cache_evict(store->cache_dir, store->cache_max_bytes, key, &eviction)) {
            store->stats.num_disk_evicted += eviction.num_evicted;
            store->stats.disk_bytes = eviction.num_bytes;
        }
        return;
    }
    store->can_save = false;
    clattn_log_write(store->target.log, CLATTN_LOG_WARNING, "program cache %s cannot be written, going on without it",
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
    void *binary = clattn_build_read_binary(&store->target, entry->built.program, &num_bytes);
    const uint64_t file_bytes = clattn_cache_file_bytes(key, num_bytes);
    if (binary != NULL && file_bytes <= store->cache_max_bytes) {
        finish_save(store, key, clattn_program_cache_save(store->cache_dir, key, binary, num_bytes));
    } else if (binary != NULL) {
        store->stats.num_disk_too_large++;
        clattn_log_write(store->target.log, CLATTN_LOG_INFO,
                         "program cache: the %llu bytes of %s are more than it may hold, not saved (%s)",
                         (unsigned long long)file_bytes, source_of(entry)->name, entry->options);
    }
    free(binary);
}

/* False = build from source: no cache, no file, or a file that is of no use and has been removed. */
static bool load_entry(clattn_program_store *store, program_entry *entry, const char *key)
{
    const clattn_program_source *source = source_of(entry);
    void *binary = NULL;
    size_t num_bytes = 0;
    const clattn_cache_result found = clattn_program_cache_load(store->cache_dir, key, &binary, &num_bytes);
    if (found == CLATTN_CACHE_MISS)
        return false;
    entry->is_loaded = found == CLATTN_CACHE_HIT && clattn_build_from_binary(&store->target, source, entry->options,
                                                                             binary, num_bytes, &entry->built);
    free(binary);
    if (entry->is_loaded) {
        store->stats.num_disk_hits++;
        clattn_log_write(store->target.log, CLATTN_LOG_DEBUG, "loaded %s from the program cache (%s)", source->name,
                         entry->options);
        return true;
    }
    store->stats.num_disk_rejected++;
    clattn_program_cache_remove(store->cache_dir, key);
    clattn_log_write(store->target.log, CLATTN_LOG_INFO, "program cache: the file of %s was %s and is replaced (%s)",
                     source->name, found == CLATTN_CACHE_HIT ? "refused by the driver" : "damaged or foreign",
                     entry->options);
    return false;
}

/* From the disk cache or from source. */
static clattn_status load_or_build(clattn_program_store *store, program_entry *entry, clattn_error *error)
{
    if (store->cache_dir == NULL)
        return build_from_source(store, entry, error);
    char *key = clattn_program_key_text(store->facts, &entry->variant, entry->options);
    CLATTN_REQUIRE(error, key != NULL, CLATTN_OUT_OF_MEMORY, "no memory for the cache key of program %s",
                   source_of(entry)->name);
    clattn_status status = CLATTN_OK;
    if (!load_entry(store, entry, key)) {
        status = build_from_source(store, entry, error);
        if (status == CLATTN_OK && store->can_save)
            save_entry(store, entry, key);
    }
    free(key);
    return status;
}

/* Builds an entry and tries it; one that does not even build has failed its trial. */
static clattn_status try_entry(clattn_program_store *store, program_entry *entry, clattn_error *error)
{
    const clattn_status status = load_or_build(store, entry, error);
    if (status != CLATTN_BUILD_FAILED) {
        CLATTN_TRY(status);
        return store->trial.run(store->trial.user, &entry->variant, entry->built.kernel, &entry->verdict, error);
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
static clattn_status try_with_note(clattn_program_store *store, program_entry *entry, const char *verdict_key,
                                   clattn_error *error)
{
    clattn_trial_note note;
    clattn_status status = CLATTN_OK;
    const clattn_note_result taken = clattn_trial_note_take(store->cache_dir, verdict_key, &note);
    if (taken == CLATTN_NOTE_ABANDONED)
        entry->verdict = (clattn_verdict){.kind = CLATTN_VERDICT_CRASHED,
                                          .reason = "a process that built or tried it did not survive that"};
    else
        status = try_entry(store, entry, error);
    if (status == CLATTN_OK && is_lasting(&entry->verdict) && store->can_save)
        finish_save(store, verdict_key, clattn_verdict_save(store->cache_dir, verdict_key, &entry->verdict));
    if (taken != CLATTN_NOTE_NONE)
        clattn_trial_note_release(&note);
    return status;
}

/* Finds the verdict on an entry on disk, or by a trial. What is verified has its kernel afterwards. */
static clattn_status judge_entry(clattn_program_store *store, program_entry *entry, clattn_error *error)
{
    if (store->cache_dir == NULL)
        return try_entry(store, entry, error);
    char *key = clattn_program_key_text(store->facts, &entry->variant, entry->options);
    char *verdict_key = key != NULL ? clattn_verdict_key(key) : NULL;
    free(key);
    CLATTN_REQUIRE(error, verdict_key != NULL, CLATTN_OUT_OF_MEMORY, "no memory for the verdict on program %s",
                   source_of(entry)->name);
    clattn_status status = CLATTN_OK;
    if (!clattn_verdict_load(store->cache_dir, verdict_key, &entry->verdict))
        status = try_with_note(store, entry, verdict_key, error);
    else if (entry->verdict.kind == CLATTN_VERDICT_VERIFIED)
        status = load_or_build(store, entry, error);
    free(verdict_key);
    return status;
}

/* The sentence of a call that needs a rejected variant. */
static clattn_status refuse(const program_entry *entry, clattn_error *error)
{
    return clattn_error_set(error, CLATTN_KERNEL_REJECTED, "program %s is %s on this device: %s",
                            source_of(entry)->name, clattn_verdict_kind_name(entry->verdict.kind),
                            entry->verdict.reason);
}

/* Makes an entry that has to prove itself. One that fails stays in the store without a kernel. */
static clattn_status make_proven_entry(clattn_program_store *store, program_entry *entry, clattn_error *error)
{
    CLATTN_TRY(judge_entry(store, entry, error));
    const clattn_program_source *source = source_of(entry);
    if (entry->verdict.kind == CLATTN_VERDICT_VERIFIED) {
        clattn_log_write(store->target.log, CLATTN_LOG_DEBUG,
                         "program %s is verified, worst error %.3f of the allowed (%s)", source->name,
                         entry->verdict.worst_error, entry->options);
        return CLATTN_OK;
    }
    clattn_built_program_finish(&entry->built);
    clattn_log_write(store->target.log, CLATTN_LOG_WARNING, "program %s is %s on this device: %s; %s%s (%s)",
                     source->name, clattn_verdict_kind_name(entry->verdict.kind), entry->verdict.reason,
                     source->replacement != NULL ? source->replacement : "calls that need it are refused",
                     source->replacement != NULL ? " takes its place" : "", entry->options);
    return refuse(entry, error);
}

/* Fills an entry that has its variant; on failure the caller finishes it. */
static clattn_status make_entry(clattn_program_store *store, program_entry *entry, clattn_error *error)
{
    entry->options = clattn_variant_options(&entry->variant);
    CLATTN_REQUIRE(error, entry->options != NULL, CLATTN_OUT_OF_MEMORY, "no memory for the build options of program %s",
                   source_of(entry)->name);
    return store->trial.run != NULL ? make_proven_entry(store, entry, error) : load_or_build(store, entry, error);
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
    created->target = (clattn_build_target){.cl = params->cl, .device = params->device, .log = params->log};
    created->facts = params->facts;
    created->trial = params->trial;
    created->cache_dir = cache_dir;
    created->can_save = cache_dir != NULL;
    created->cache_max_bytes = params->cache_max_bytes > 0 ? params->cache_max_bytes : CLATTN_CACHE_DEFAULT_MAX_BYTES;
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
        *kernel = found->built.kernel;
        return found->built.kernel != NULL ? CLATTN_OK : refuse(found, error);
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
    store->stats.num_programs += entry.built.kernel != NULL;
    *kernel = entry.built.kernel;
    return status;
}

clattn_status clattn_program_store_visit(const clattn_program_store *store, clattn_program_visitor visit, void *user,
                                         clattn_error *error)
{
    for (size_t i = 0; i < store->num_entries; i++) {
        const program_entry *entry = &store->entries[i];
        if (entry->built.kernel == NULL)
            continue;
        clattn_program_info info = {
            .program = source_of(entry)->name,
            .kernel = source_of(entry)->kernel,
            .options = entry->options,
            .is_loaded = entry->is_loaded,
        };
        CLATTN_TRY(clattn_build_read_needs(&store->target, entry->built.kernel, &info, error));
        visit(user, &info);
    }
    return CLATTN_OK;
}

const char *clattn_program_store_cache_dir(const clattn_program_store *store)
{
    return store->cache_dir;
}

void clattn_program_store_stats(const clattn_program_store *store, clattn_cache_stats *stats)
{
    *stats = store->stats;
}
