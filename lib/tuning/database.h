/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows for a device, and which of them answers for a problem. Rows come from the user's file and from those that are
 * compiled into the library (builtin.h); whether the device can run a row's tile is asked of who looks for one. Plain
 * data: without OpenCL.
 */
#ifndef CLATTN_TUNING_DATABASE_H
#define CLATTN_TUNING_DATABASE_H

#include "tuning/space.h"

#include <clattn/tuning_file.h>

/* The most sequences that a batch of the class has. */
int32_t clattn_batch_class_most(clattn_batch_class batch);

#define CLATTN_VERSION_BYTES 32

/* A row of use to one device, ready to be compared. */
typedef struct clattn_tuning_entry {
    uint64_t key; /* of what must be equal */
    clattn_tuning_level level;
    int32_t order; /* of its being added: the first of equally near ones answers */
    bool dense;
    clattn_phase phase;
    clattn_dtype kv_dtype;
    int32_t head_dim;
    int32_t head_dim_v;
    int32_t group_size;
    int32_t num_kv_heads;
    int32_t page_size;
    clattn_batch_class batch;
    clattn_kv_layout kv_layout;
    uint32_t given; /* bit i: the int32 of that place in the tile has a value here */
    clattn_tile tile;
    const char *device; /* static, or as the facts say it */
    char version[CLATTN_VERSION_BYTES];
} clattn_tuning_entry;

/* The rows of one device. With nothing but its facts it has the built-in rows, and allocates nothing. */
typedef struct clattn_tuning_database {
    const clattn_device_facts *facts; /* outlive the database */
    clattn_tuning_entry *entries;     /* by key, level and order, once they are sorted */
    size_t num_entries;
    size_t capacity;
    bool has_builtin; /* the built-in rows are among them: they need not be looked through for every question */
} clattn_tuning_database;

/* Adds a row of the user's file; one of another device is passed over. */
clattn_status clattn_tuning_database_add(clattn_tuning_database *database, const clattn_tuning_row *row,
                                         clattn_error *error);

/* Adds the built-in rows of the device, its architecture, its vendor and type. */
clattn_status clattn_tuning_database_add_builtin(clattn_tuning_database *database, clattn_error *error);

/* To be done when the last row is added. */
void clattn_tuning_database_sort(clattn_tuning_database *database);

void clattn_tuning_database_finish(clattn_tuning_database *database);

/* What is looked for. */
typedef struct clattn_tuning_search {
    const clattn_tile_request *request;
    clattn_phase phase;
    const clattn_tile *default_tile; /* for the tunables that a row says nothing of */
    /* A row whose tile does not fit is passed over. */
    bool (*fits)(const struct clattn_tuning_search *search, const clattn_tile *tile);
    const void *state; /* of fits() */
} clattn_tuning_search;

/*
 * The row that answers: that of the first level, among those the nearest, among those the first. Family, phase,
 * head_dim, head_dim_v, the size of an element, the group size rounded up to a power of two (all from 5 on alike), and
 * whether the layout is token-major must be equal. How near a row is, from the largest weight down: the operation, the
 * logarithm of the group size, the class of the batch, the class of the page size, the logarithm of the number of kv
 * heads, the type of elements of one size; what the request does not say is near to everything. False: none answers.
 */
bool clattn_tuning_database_find(const clattn_tuning_database *database, const clattn_tuning_search *search,
                                 clattn_tuning_entry *found);

/* `tile` with the values that a row has. */
void clattn_tuning_entry_apply(const clattn_tuning_entry *entry, clattn_tile *tile);

/* Device, version of clattn, and the problem that was measured, cut to fit. */
void clattn_tuning_entry_describe(const clattn_tuning_entry *entry, char text[CLATTN_SENTENCE_BYTES]);

#endif
