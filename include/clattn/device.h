/* SPDX-License-Identifier: Apache-2.0 */
/* What clattn knows about a device, as plain data without OpenCL types. */
#ifndef CLATTN_DEVICE_H
#define CLATTN_DEVICE_H

#include <clattn/status.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum clattn_device_type {
    CLATTN_DEVICE_OTHER = 0,
    CLATTN_DEVICE_CPU = 1,
    CLATTN_DEVICE_GPU = 2,
    CLATTN_DEVICE_ACCELERATOR = 3,
    CLATTN_NUM_DEVICE_TYPES = 4
} clattn_device_type;

/** "other", "cpu", "gpu", "accelerator"; "invalid" otherwise. */
CLATTN_API const char *clattn_device_type_name(clattn_device_type type);

#define CLATTN_NAME_BYTES 128
#define CLATTN_ARCHITECTURE_BYTES 32

/** What clattn knows about a device: plain data, read once from OpenCL. */
typedef struct clattn_device_facts {
    char name[CLATTN_NAME_BYTES];                 /* CL_DEVICE_NAME */
    char vendor[CLATTN_NAME_BYTES];               /* CL_DEVICE_VENDOR */
    char driver[CLATTN_NAME_BYTES];               /* CL_DRIVER_VERSION */
    char platform[CLATTN_NAME_BYTES];             /* CL_PLATFORM_NAME and CL_PLATFORM_VERSION */
    char architecture[CLATTN_ARCHITECTURE_BYTES]; /* as compilers call it: "sm_90", "gfx90a"; "cpu16" = a CPU with 16
                                                     float32 lanes; "" = unknown */
    clattn_device_type type;
    uint32_t num_compute_units;
    uint32_t max_work_group_size; /* work-items, the smaller of the total and the first dimension's limit */
    uint32_t preferred_multiple;  /* preferred work-group size multiple, work-items, >= 1 */
    uint32_t narrowest_sub_group; /* least sub-group size that a kernel can ask for, work-items, 0 = it cannot */
    uint32_t float_vector_width;  /* native float32 lanes of one work-item, >= 1 */
    uint32_t max_loop_iterations; /* after so many, all loops of a work-item together, the driver ends them without an
                                     error and goes on behind them; 0 = it ends none */
    uint64_t local_memory_bytes;  /* per work-group */
    uint64_t global_memory_bytes;
    uint64_t max_allocation_bytes; /* largest single buffer */
} clattn_device_facts;

/** Number of devices on all OpenCL platforms; 0 if there is no platform. Thread-safe. */
CLATTN_API int32_t clattn_device_count(void);

/**
 * The facts of device `index` in the order that clattn_context_params.device counts in. Thread-safe.
 *
 * Errors    INVALID_ARGUMENT  facts is NULL
 *           NO_DEVICE         index outside [0, clattn_device_count())
 *           OPENCL_ERROR      the device does not answer
 *           OUT_OF_MEMORY
 */
CLATTN_API clattn_status clattn_device_query(int32_t index, clattn_device_facts *facts);

#ifdef __cplusplus
}
#endif

#endif
