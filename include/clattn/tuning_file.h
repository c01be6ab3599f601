/* SPDX-License-Identifier: Apache-2.0 */
/* Tuning files: what was measured to be fast on a device, one row for each problem and phase. Needs no device. */
#ifndef CLATTN_TUNING_FILE_H
#define CLATTN_TUNING_FILE_H

#include <clattn/device.h>
#include <clattn/dtype.h>
#include <clattn/layout.h>
#include <clattn/tuning.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The number that a file gives as its "schema". A file of a larger one is refused. */
#define CLATTN_TUNING_SCHEMA 1

/** The largest file that is read, bytes. */
#define CLATTN_TUNING_FILE_BYTES (16 << 20)

/** How many sequences a batch has, as far as rows tell batches apart. */
typedef enum clattn_batch_class {
    CLATTN_BATCH_SINGLE = 0, /* one sequence */
    CLATTN_BATCH_SMALL = 1,  /* 2..15 */
    CLATTN_BATCH_LARGE = 2,  /* 16 and more */
    CLATTN_NUM_BATCH_CLASSES = 3
} clattn_batch_class;

/** "single", "small", "large"; "invalid" otherwise. */
CLATTN_API const char *clattn_batch_class_name(clattn_batch_class batch);

/** The class of a batch of so many sequences; that of one for less. */
CLATTN_API clattn_batch_class clattn_batch_class_of(int32_t num_seqs);

/** The value of one tunable. */
typedef struct clattn_tuning_parameter {
    const char *name; /* of a clattn_tunable of the row's family and phase */
    int32_t value;
} clattn_tuning_parameter;

/** One row: a device, a problem, and the tile that was found for it. The texts are never NULL. */
typedef struct clattn_tuning_row {
    const char *device;       /* these four and type as in clattn_device_facts */
    const char *vendor;       /*   */
    const char *driver;       /*   */
    const char *architecture; /*   */
    clattn_device_type type;
    const char *version; /* of clattn, that measured it */
    bool dense;          /* "op": measured over a dense cache, else over pages */
    clattn_phase phase;
    clattn_family family;
    clattn_dtype kv_dtype;
    int32_t head_dim;
    int32_t head_dim_v;
    int32_t group_size; /* num_q_heads / num_kv_heads */
    int32_t num_kv_heads;
    clattn_kv_layout kv_layout;
    int32_t page_size; /* KV tokens per page; dense: seq_len */
    clattn_batch_class batch;
    int32_t num_parameters;
    const clattn_tuning_parameter *parameters; /* [num_parameters]; tunables that are not among them keep the default */
    double time_us;                            /* microseconds that it took, 0 = not said */
    double default_time_us;                    /* microseconds that the default took in the same run, 0 = not said */
    double gain;                               /* default_time_us / time_us, 0 = not said */
    double noise;                              /* relative spread of the times, 0 = not said */
    const char *date;                          /* of the measurement, "" = not said */
} clattn_tuning_row;

/** A row of a file, or why it is none. */
typedef struct clattn_tuning_file_row {
    int32_t index;                /* within "rows", from 0; -1 = the file as a whole */
    const clattn_tuning_row *row; /* NULL = refused */
    const char *refusal;          /* which field, what was expected and what came; "" = not refused */
} clattn_tuning_file_row;

/** Receives one row; what it points to lives during the call. */
typedef void (*clattn_tuning_visitor)(void *user, const clattn_tuning_file_row *row);

/**
 * Reads a tuning file and hands every row to `visit`, in the file's order: what it says, or the sentence why it is
 * refused. A context that is given the file uses the rows that are not refused here.
 *
 * A file is a JSON object of two fields, "schema" (CLATTN_TUNING_SCHEMA) and "rows", an array of objects. A row has the
 * fields of clattn_tuning_row by these names: device, vendor, driver, architecture and version (texts of less than
 * CLATTN_NAME_BYTES, "" where a device has none); type, phase, family, kv_dtype, kv_layout, batch (the names that the
 * library gives them); op ("paged" or "dense"); head_dim, head_dim_v, group_size, num_kv_heads, page_size (whole
 * numbers); parameters, an object of tunables and their values. It may have time_us, default_time_us, gain, noise
 * (numbers, 0 and more) and date (a text). Whatever else it has, or has twice, is an error.
 *
 * Edge      whether a device can run a row's tile is not asked here. Another process may replace the file by renaming
 *           while it is read: it is then the old one or the new one
 * Errors    INVALID_ARGUMENT  path or visit is NULL; the file as a whole is refused, and visited as row -1: it cannot
 *                             be read or is larger than CLATTN_TUNING_FILE_BYTES, is no JSON, of another schema, or has
 *                             other fields
 *           OUT_OF_MEMORY     some rows may have been visited
 * Since     0.1
 */
CLATTN_API clattn_status clattn_tuning_visit_file(const char *path, clattn_tuning_visitor visit, void *user);

#ifdef __cplusplus
}
#endif

#endif
