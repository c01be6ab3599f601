/* SPDX-License-Identifier: Apache-2.0 */
/* What a scenario works on, and a picture of it: what must be the same after a call that failed. */
#ifndef FAULT_WORLD_H
#define FAULT_WORLD_H

#include "kernel/append_fixture.h"
#include "kernel/merge_fixture.h"
#include "support/attention.h"

#define FAULT_SENTENCE_BYTES 512

enum { FAULT_NUM_SEQUENCES = 3 };

/* The device is there; the rest is NULL, or what the scenario has made of it. */
typedef struct fault_world {
    support_device device;
    bool verify_kernels;      /* of contexts that are made from now on */
    uint64_t cache_max_bytes; /* of those contexts */
    char *directory;          /* an empty one of this world's own */
    support_attention *attention;
    support_attention *larger; /* the batch that a plan is updated to */
    merge_problem *merge;
    append_fixture append; /* its cache is NULL where no rows are appended */
    clattn_plan *plan;
    clattn_kv_cache *cache;
    clattn_sequence sequences[FAULT_NUM_SEQUENCES];
    clattn_kv_batch batch; /* of the last extension that succeeded */
    clattn_context *made;  /* what clattn_context_create() gave */
    clattn_device_facts facts;
    int32_t num_devices;
    int32_t device_index;
    int num_rows;  /* of a tuning file, seen by a visitor */
    int num_files; /* of a cache directory, seen by a visitor */
    clattn_cache_cleared cleared;
    int num_programs; /* of a context, seen by a visitor */
    cl_event event;
    char logged[FAULT_SENTENCE_BYTES]; /* the last line of level ERROR that `made` or its creation logged */
} fault_world;

/* The device of the tests, without a disk cache. */
void fault_world_open(fault_world *world);

/* Releases everything that is there. */
void fault_world_close(fault_world *world);

/* A new context in the place of the old one, on the same queue: it has built no kernel. */
void fault_world_renew_context(fault_world *world, const char *cache_dir);

/* Fails the test unless the call succeeded. */
void fault_require_ok(const fault_world *world, clattn_status status);

/* Everything that a user, or a later call, could see of the world; the results of operations if asked for. */
typedef struct fault_picture {
    uint8_t *bytes;
    size_t num_bytes;
    size_t capacity;
} fault_picture;

fault_picture fault_world_take_picture(fault_world *world, bool with_results);
void fault_picture_destroy(fault_picture *picture);

/* Fails the test at the first difference. */
void fault_picture_expect_same(const fault_picture *expected, const fault_picture *found);

#endif
