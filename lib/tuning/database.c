/* SPDX-License-Identifier: Apache-2.0 */
/* Rows by level and nearness; see database.h. */
#include "tuning/database.h"

#include "runtime/layout.h"
#include "tuning/builtin.h"
#include "tuning/tunables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The most sequences of a batch of each class. */
static const int32_t most_seqs[CLATTN_NUM_BATCH_CLASSES] = {
    [CLATTN_BATCH_SINGLE] = 1, [CLATTN_BATCH_SMALL] = 15, [CLATTN_BATCH_LARGE] = INT32_MAX};

clattn_batch_class clattn_batch_class_of(int32_t num_seqs)
{
    int batch = 0;
    while (num_seqs > most_seqs[batch])
        batch++;
    return (clattn_batch_class)batch;
}

int32_t clattn_batch_class_most(clattn_batch_class batch)
{
    return most_seqs[batch];
}

/* ---- rows of a device ---- */

/* Rounded up to a power of two, all from 5 on alike: the rows of a decode tile that a group fills. */
static int32_t group_class(int32_t group_size)
{
    return group_size > 4 ? 8 : group_size == 3 ? 4 : group_size;
}

static uint64_t key_of(clattn_family family, clattn_phase phase, int32_t head_dim, int32_t head_dim_v,
                       int32_t group_size, bool token_major)
{
    return (uint64_t)group_class(group_size) << 48 | (uint64_t)family << 40 | (uint64_t)phase << 32 |
           (uint64_t)head_dim << 17 | (uint64_t)head_dim_v << 1 | (uint64_t)token_major;
}

static bool is_same_name(const char *name, const char *other)
{
    return name[0] != '\0' && strcmp(name, other) == 0;
}

/* CLATTN_TUNING_NONE: the row is none for that device. */
static clattn_tuning_level level_of_user_row(const clattn_device_facts *facts, const clattn_tuning_row *row)
{
    if (!is_same_name(row->device, facts->name))
        return CLATTN_TUNING_NONE;
    return strcmp(row->driver, facts->driver) == 0 ? CLATTN_TUNING_USER_DRIVER : CLATTN_TUNING_USER_DEVICE;
}

static clattn_tuning_level level_of_builtin_row(const clattn_device_facts *facts, const clattn_tuning_row *row)
{
    if (is_same_name(row->device, facts->name))
        return CLATTN_TUNING_DEVICE;
    if (is_same_name(row->architecture, facts->architecture))
        return CLATTN_TUNING_ARCHITECTURE;
    if (is_same_name(row->vendor, facts->vendor) && row->type == facts->type)
        return CLATTN_TUNING_VENDOR;
    return CLATTN_TUNING_NONE;
}

static clattn_tuning_entry entry_of(const clattn_tuning_row *row, clattn_tuning_level level, const char *device)
{
    clattn_tuning_entry entry = {
        .key = key_of(row->family, row->phase, row->head_dim, row->head_dim_v, row->group_size,
                      clattn_layout_is_token_major(row->kv_layout)),
        .level = level,
        .dense = row->dense,
        .phase = row->phase,
        .kv_dtype = row->kv_dtype,
        .head_dim = row->head_dim,
        .head_dim_v = row->head_dim_v,
        .group_size = row->group_size,
        .num_kv_heads = row->num_kv_heads,
        .page_size = row->page_size,
        .batch = row->batch,
        .kv_layout = row->kv_layout,
        .device = device,
    };
    snprintf(entry.version, sizeof entry.version, "%.*s", CLATTN_VERSION_BYTES - 1, row->version);
    for (int32_t i = 0; i < row->num_parameters; i++) {
        const clattn_tuning_parameter *parameter = &row->parameters[i];
        const clattn_tunable *tunable = clattn_tunable_find(row->family, row->phase, parameter->name);
        clattn_tile_set(&entry.tile, tunable, parameter->value);
        entry.given |= 1u << tunable->offset / sizeof(int32_t);
    }
    return entry;
}

static clattn_status add_entry(clattn_tuning_database *database, const clattn_tuning_entry *entry, clattn_error *error)
{
    if (database->num_entries == database->capacity) {
        const size_t capacity = database->capacity > 0 ? 2 * database->capacity : 16;
        clattn_tuning_entry *entries = realloc(database->entries, capacity * sizeof *entries);
        CLATTN_REQUIRE(error, entries != NULL, CLATTN_OUT_OF_MEMORY, "no memory for %zu tuning rows", capacity);
        database->entries = entries;
        database->capacity = capacity;
    }
    database->entries[database->num_entries] = *entry;
    database->entries[database->num_entries].order = (int32_t)database->num_entries;
    database->num_entries++;
    return CLATTN_OK;
}

clattn_status clattn_tuning_database_add(clattn_tuning_database *database, const clattn_tuning_row *row,
                                         clattn_error *error)
{
    const clattn_tuning_level level = level_of_user_row(database->facts, row);
    if (level == CLATTN_TUNING_NONE)
        return CLATTN_OK;
    const clattn_tuning_entry entry = entry_of(row, level, database->facts->name);
    return add_entry(database, &entry, error);
}

clattn_status clattn_tuning_database_add_builtin(clattn_tuning_database *database, clattn_error *error)
{
    for (int32_t i = 0; i < clattn_num_builtin_rows; i++) {
        const clattn_tuning_row *row = &clattn_builtin_rows[i];
        const clattn_tuning_level level = level_of_builtin_row(database->facts, row);
        if (level == CLATTN_TUNING_NONE)
            continue;
        const clattn_tuning_entry entry = entry_of(row, level, row->device);
        CLATTN_TRY(add_entry(database, &entry, error));
    }
    database->has_builtin = true;
    return CLATTN_OK;
}

static int compare_entries(const void *left, const void *right)
{
    const clattn_tuning_entry *a = left;
    const clattn_tuning_entry *b = right;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    if (a->level != b->level)
        return a->level < b->level ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

void clattn_tuning_database_sort(clattn_tuning_database *database)
{
    if (database->num_entries > 0)
        qsort(database->entries, database->num_entries, sizeof *database->entries, compare_entries);
}

void clattn_tuning_database_finish(clattn_tuning_database *database)
{
    free(database->entries);
    *database = (clattn_tuning_database){.facts = NULL};
}

/* ---- the row that answers ---- */

/* Weights of what differs, in sixteenths of a doubling. */
#define OTHER_OPERATION 64
#define OTHER_ELEMENT 4
#define GROUP_SIZE_WEIGHT 2 /* a doubling: 32 */
#define BATCH_CLASS_WEIGHT 24
#define PAGE_CLASS_WEIGHT 8
#define KV_HEADS_DIVISOR 2 /* a doubling: 8 */

static int32_t distance(int32_t a, int32_t b)
{
    return a > b ? a - b : b - a;
}

/* The logarithm to base 2 of a value from 1 on, rounded down. */
static int32_t floor_log2(int64_t value)
{
    int32_t log = 0;
    while (value >> log > 1)
        log++;
    return log;
}

/* The logarithm of the larger one over the smaller one in sixteenths, straight between powers of two. */
static int32_t log_distance(int32_t a, int32_t b)
{
    const int64_t sixteenths = 16 * (int64_t)(a > b ? a : b) / (a > b ? b : a);
    const int32_t log = floor_log2(sixteenths);
    return 16 * (log - 4) + (int32_t)((sixteenths << 4 >> log) - 16);
}

/* Powers of two, all from 128 on in one class: a dense cache is one large page. */
static int32_t page_class(int32_t page_size)
{
    const int32_t log = floor_log2(page_size);
    return log < 7 ? log : 7;
}

/* A tile that suits elements of one size may be slow with another. */
static bool has_elements_of(const clattn_tuning_entry *entry, clattn_dtype dtype)
{
    return dtype == CLATTN_DTYPE_DEFAULT || clattn_dtype_size(dtype) == clattn_dtype_size(entry->kv_dtype);
}

static int32_t distance_of(const clattn_tuning_entry *entry, const clattn_tile_request *request)
{
    int32_t sum = entry->dense == request->dense ? 0 : OTHER_OPERATION;
    if (request->kv_dtype != CLATTN_DTYPE_DEFAULT && request->kv_dtype != entry->kv_dtype)
        sum += OTHER_ELEMENT;
    sum += GROUP_SIZE_WEIGHT * log_distance(entry->group_size, request->group_size);
    if (request->num_seqs > 0)
        sum += BATCH_CLASS_WEIGHT * distance((int32_t)entry->batch, (int32_t)clattn_batch_class_of(request->num_seqs));
    if (request->page_size > 0)
        sum += PAGE_CLASS_WEIGHT * distance(page_class(entry->page_size), page_class(request->page_size));
    sum += log_distance(entry->num_kv_heads, request->num_kv_heads) / KV_HEADS_DIVISOR;
    return sum;
}

/* The best row so far; its level is NONE where there is none. */
typedef struct best_row {
    clattn_tuning_entry entry;
    int32_t distance;
} best_row;

static void consider(const clattn_tuning_search *search, const clattn_tuning_entry *entry, best_row *best)
{
    const clattn_tuning_level level = best->entry.level;
    if (!has_elements_of(entry, search->request->kv_dtype))
        return;
    const int32_t entry_distance = distance_of(entry, search->request);
    if (level != CLATTN_TUNING_NONE &&
        (level < entry->level || (level == entry->level && best->distance <= entry_distance)))
        return;
    clattn_tile tile = *search->default_tile;
    clattn_tuning_entry_apply(entry, &tile);
    if (!search->fits(search, &tile))
        return;
    best->entry = *entry;
    best->distance = entry_distance;
}

/* The first entry of that key, or where it would be. */
static size_t find_key(const clattn_tuning_database *database, uint64_t key)
{
    size_t low = 0;
    size_t high = database->num_entries;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (database->entries[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void consider_builtin(const clattn_device_facts *facts, const clattn_tuning_search *search, uint64_t key,
                             best_row *best)
{
    for (int32_t i = 0; i < clattn_num_builtin_rows; i++) {
        const clattn_tuning_row *row = &clattn_builtin_rows[i];
        const clattn_tuning_level level = level_of_builtin_row(facts, row);
        if (level == CLATTN_TUNING_NONE)
            continue;
        const clattn_tuning_entry entry = entry_of(row, level, row->device);
        if (entry.key == key)
            consider(search, &entry, best);
    }
}

bool clattn_tuning_database_find(const clattn_tuning_database *database, const clattn_tuning_search *search,
                                 clattn_tuning_entry *found)
{
    const clattn_tile_request *request = search->request;
    const uint64_t key = key_of(request->family, search->phase, request->head_dim, request->head_dim_v,
                                request->group_size, request->token_major);
    best_row best = {.entry = {.level = CLATTN_TUNING_NONE}};
    for (size_t i = find_key(database, key); i < database->num_entries && database->entries[i].key == key; i++) {
        if (best.entry.level != CLATTN_TUNING_NONE && best.entry.level < database->entries[i].level)
            break;
        consider(search, &database->entries[i], &best);
    }
    if (!database->has_builtin)
        consider_builtin(database->facts, search, key, &best);
    *found = best.entry;
    return best.entry.level != CLATTN_TUNING_NONE;
}

void clattn_tuning_entry_apply(const clattn_tuning_entry *entry, clattn_tile *tile)
{
    for (size_t i = 0; i < sizeof *tile / sizeof(int32_t); i++) {
        if (entry->given & 1u << i)
            memcpy((char *)tile + i * sizeof(int32_t), (const char *)&entry->tile + i * sizeof(int32_t),
                   sizeof(int32_t));
    }
}

void clattn_tuning_entry_describe(const clattn_tuning_entry *entry, char text[CLATTN_SENTENCE_BYTES])
{
    snprintf(text, CLATTN_SENTENCE_BYTES, "%.*s, clattn %s: %s %s, %d x %d heads of %d/%d, %s %s of %d, %s batch",
             CLATTN_NAME_BYTES - 1, entry->device, entry->version, clattn_dtype_name(entry->kv_dtype),
             clattn_phase_name(entry->phase), (int)entry->num_kv_heads, (int)entry->group_size, (int)entry->head_dim,
             (int)entry->head_dim_v, clattn_kv_layout_name(entry->kv_layout), entry->dense ? "sequences" : "pages",
             (int)entry->page_size, clattn_batch_class_name(entry->batch));
}
