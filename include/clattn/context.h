/* SPDX-License-Identifier: Apache-2.0 */
/* The context: owns programs, the workspace of one-call operations and the last error. */
#ifndef CLATTN_CONTEXT_H
#define CLATTN_CONTEXT_H

#include <clattn/device.h>
#include <clattn/tensor.h>
#include <clattn/tuning.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum clattn_log_level {
    CLATTN_LOG_ERROR = 0,
    CLATTN_LOG_WARNING = 1,
    CLATTN_LOG_INFO = 2,
    CLATTN_LOG_DEBUG = 3
} clattn_log_level;

/** Receives one line without a line end; called in the thread that called clattn. The text lives during the call. */
typedef void (*clattn_log_callback)(void *user, clattn_log_level level, const char *message);

/** What program caches on disk are kept within by default: room for some 1500 programs of PoCL, which are larger than
 * those of GPUs. A model takes two to four of them for each combination of dtypes, device and driver version. */
#define CLATTN_CACHE_DEFAULT_MAX_BYTES (UINT64_C(256) << 20)
#define CLATTN_CACHE_UNLIMITED UINT64_MAX

/** How to make a context; all zero, or NULL instead = the best device present with default caches. */
typedef struct clattn_context_params {
    const char *device;           /* NULL = best; "0", "1", ... = index; else part of "platform / device", any case */
    cl_context cl_context_handle; /* embedding: the caller's context, device and queue, all three or none; */
    cl_device_id cl_device;       /*   they are retained, and `device` must then be NULL; */
    cl_command_queue cl_queue;    /*   an out-of-order queue is refused */
    clattn_family family;         /* 0 = chosen from the device's facts */
    const char *cache_dir;    /* program cache; NULL = $XDG_CACHE_HOME/clattn or ~/.cache/clattn, "" = no disk cache */
    uint64_t cache_max_bytes; /* programs and verdicts on disk; 0 = CLATTN_CACHE_DEFAULT_MAX_BYTES */
    const char *tuning_file;  /* rows to run with; NULL = $XDG_CONFIG_HOME/clattn/tuning.json or
                                 ~/.config/clattn/tuning.json, if there is one; "" = none */
    bool profiling;           /* own queue only: events carry timestamps */
    bool verify_kernels;      /* safe mode: no kernel is used before its results were compared with the host's */
    clattn_log_callback log;  /* NULL = silent */
    void *log_user;           /* first argument of log */
} clattn_context_params;

/**
 * Owns the device's programs, the workspace of one-call operations and the last error.
 * One thread at a time may use a context and the objects made from it; different contexts are independent.
 * Destroyed by clattn_context_destroy(), after everything that was made from it.
 */
typedef struct clattn_context clattn_context;

/**
 * Opens a device.
 *
 * Edge      the environment is read here and nowhere else; a cache directory that cannot be used is
 *           reported once through the log, and the context works without it.
 *           cache_max_bytes: a file that is written makes the least recently used ones go until all fit, whoever wrote
 *           them; a file is used when it is written or loaded. Programs go before verdicts, and the verdict that a
 *           process died with a kernel is never evicted. A program that is larger than the limit is not kept on disk.
 *           Processes may share a directory, also with different limits
 *           tuning_file (its format: <clattn/tuning_file.h>) is read here, whole; what is wrong with it or one of its
 *           rows goes to the log as a WARNING, a line each, and the context works with the other rows.
 *           verify_kernels: the first use of a kernel runs it on a small problem and compares what it wrote with the
 *           host, before any data of the caller's. An attention kernel that fails is replaced by the plain family's,
 *           with a WARNING; where there is no replacement calls are refused with KERNEL_REJECTED, nothing enqueued. The
 *           verdict on its numbers is kept in the cache directory for this device, driver and version of clattn, as is
 *           that a process died while it built or tried a kernel, whatever killed it: that kernel is not touched again.
 *           Deleting the directory forgets all of it. That a kernel could not be built or run is not kept
 * Errors    INVALID_ARGUMENT  ctx is NULL; handles incomplete or mixed with `device`; family out of range;
 *                             handles that do not belong together; profiling asked of a caller's queue
 *           UNSUPPORTED       the caller's queue is out-of-order; the device has no compiler or is not little-endian
 *           NO_DEVICE         no device of that index or name
 *           OUT_OF_MEMORY, OPENCL_ERROR
 *           *ctx is NULL on failure; the sentence goes to params->log at level ERROR
 * Since     0.1
 */
CLATTN_API clattn_status clattn_context_create(const clattn_context_params *params, clattn_context **ctx);

/** Waits for nothing, releases everything and sets *ctx to NULL; NULL and *ctx == NULL are accepted. */
CLATTN_API void clattn_context_destroy(clattn_context **ctx);

/** The sentence of the last failed call on this context; "" if none failed or ctx is NULL. Valid until the next failing
 * call. */
CLATTN_API const char *clattn_context_last_error(const clattn_context *ctx);

/** The facts of the context's device; valid as long as the context. */
CLATTN_API const clattn_device_facts *clattn_context_device(const clattn_context *ctx);

/** The family that the context's calls use unless they override it. */
CLATTN_API clattn_family clattn_context_family(const clattn_context *ctx);

/** The OpenCL context, device and queue in use, not retained for the caller. Work is enqueued on this queue. */
CLATTN_API cl_context clattn_context_cl_context(const clattn_context *ctx);
CLATTN_API cl_device_id clattn_context_cl_device(const clattn_context *ctx);
CLATTN_API cl_command_queue clattn_context_cl_queue(const clattn_context *ctx);

/** Counters of the program cache since the context was created; nothing is read for them. */
typedef struct clattn_cache_stats {
    uint64_t num_programs;       /* programs in memory */
    uint64_t num_built;          /* built from source */
    uint64_t num_disk_hits;      /* loaded from the cache directory */
    uint64_t num_disk_rejected;  /* cache files that were damaged, foreign or refused by the driver */
    uint64_t num_disk_saved;     /* files written to the cache directory, programs and verdicts */
    uint64_t num_disk_evicted;   /* files that went for those, of whichever context */
    uint64_t num_disk_too_large; /* programs not written, because they are larger than cache_max_bytes */
    uint64_t disk_bytes;         /* of programs and verdicts in the directory after the last of those; 0 = none yet */
} clattn_cache_stats;

CLATTN_API void clattn_context_cache_stats(const clattn_context *ctx, clattn_cache_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
