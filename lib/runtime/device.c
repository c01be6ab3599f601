/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists OpenCL devices, reads their facts and answers requests for one. Devices are counted platform by platform in the
 * loader's order; nothing is kept between calls.
 */
#include "runtime/device.h"
#include "runtime/cl_error.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Codes that OpenCL 1.2's header does not name. */
#define PLATFORM_NOT_FOUND_KHR (-1001)                   /* cl_khr_icd */
#define DEVICE_PREFERRED_WORK_GROUP_SIZE_MULTIPLE 0x1067 /* OpenCL 3.0 */
#define DEVICE_SUB_GROUP_SIZES_INTEL 0x4108              /* cl_intel_required_subgroup_size */
#define DEVICE_COMPUTE_CAPABILITY_MAJOR_NV 0x4000        /* cl_nv_device_attribute_query */
#define DEVICE_COMPUTE_CAPABILITY_MINOR_NV 0x4001

#define MAX_SUB_GROUP_SIZES 16
#define MAX_DIMENSIONS 16 /* of a work-item id; every known device has 3 */
#define LABEL_BYTES (2 * CLATTN_NAME_BYTES + 4)
#define LISTING_BYTES 2048

typedef struct device_list {
    cl_device_id *devices;
    int32_t num_devices;
} device_list;

static void device_list_finish(device_list *list)
{
    free(list->devices);
    *list = (device_list){0};
}

/*
 * A platform that cannot tell its devices must not hide those of the others: it counts as empty, and so does a device
 * that does not answer. But without memory, here or in the driver, nothing is known of what is there.
 */
static clattn_status ignore_silence(clattn_status status, const clattn_error *reason, clattn_error *error)
{
    return status == CLATTN_OUT_OF_MEMORY ? clattn_error_set(error, status, "%s", reason->text) : CLATTN_OK;
}

static clattn_status add_platform(device_list *list, cl_platform_id platform, clattn_error *error)
{
    clattn_error reason;
    cl_uint num_devices = 0;
    cl_int result = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, &num_devices);
    if (result != CL_SUCCESS || num_devices == 0)
        return ignore_silence(clattn_cl_check(&reason, result, "clGetDeviceIDs"), &reason, error);
    const size_t num_after = (size_t)list->num_devices + num_devices;
    cl_device_id *devices = realloc(list->devices, num_after * sizeof *devices);
    CLATTN_REQUIRE(error, devices != NULL, CLATTN_OUT_OF_MEMORY, "no memory for a list of %zu devices", num_after);
    list->devices = devices;
    result = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, num_devices, devices + list->num_devices, NULL);
    if (result != CL_SUCCESS)
        return ignore_silence(clattn_cl_check(&reason, result, "clGetDeviceIDs"), &reason, error);
    list->num_devices = (int32_t)num_after;
    return CLATTN_OK;
}

/* Fills an empty list, to be finished by the caller whatever comes back. */
static clattn_status device_list_fill(device_list *list, clattn_error *error)
{
    cl_uint num_platforms = 0;
    cl_int result = clGetPlatformIDs(0, NULL, &num_platforms);
    if (result == PLATFORM_NOT_FOUND_KHR || (result == CL_SUCCESS && num_platforms == 0))
        return CLATTN_OK;
    CLATTN_TRY(clattn_cl_check(error, result, "clGetPlatformIDs"));
    cl_platform_id *platforms = calloc(num_platforms, sizeof *platforms);
    CLATTN_REQUIRE(error, platforms != NULL, CLATTN_OUT_OF_MEMORY, "no memory for a list of %u platforms",
                   num_platforms);
    clattn_status status = clattn_cl_check(error, clGetPlatformIDs(num_platforms, platforms, NULL), "clGetPlatformIDs");
    for (cl_uint i = 0; i < num_platforms && status == CLATTN_OK; i++)
        status = add_platform(list, platforms[i], error);
    free(platforms);
    return status;
}

/* Reads a string of any length and keeps what fits. */
static cl_int read_device_string(cl_device_id device, cl_device_info what, char text[CLATTN_NAME_BYTES])
{
    size_t num_bytes = 0;
    cl_int result = clGetDeviceInfo(device, what, 0, NULL, &num_bytes);
    if (result != CL_SUCCESS)
        return result;
    char *whole = calloc(num_bytes + 1, 1);
    if (whole == NULL)
        return CL_OUT_OF_HOST_MEMORY;
    result = clGetDeviceInfo(device, what, num_bytes, whole, NULL);
    if (result == CL_SUCCESS)
        snprintf(text, CLATTN_NAME_BYTES, "%s", whole);
    free(whole);
    return result;
}

static cl_int read_platform_string(cl_platform_id platform, cl_platform_info what, char text[CLATTN_NAME_BYTES])
{
    size_t num_bytes = 0;
    cl_int result = clGetPlatformInfo(platform, what, 0, NULL, &num_bytes);
    if (result != CL_SUCCESS)
        return result;
    char *whole = calloc(num_bytes + 1, 1);
    if (whole == NULL)
        return CL_OUT_OF_HOST_MEMORY;
    result = clGetPlatformInfo(platform, what, num_bytes, whole, NULL);
    if (result == CL_SUCCESS)
        snprintf(text, CLATTN_NAME_BYTES, "%s", whole);
    free(whole);
    return result;
}

static clattn_device_type type_of(cl_device_type type)
{
    if (type & CL_DEVICE_TYPE_GPU)
        return CLATTN_DEVICE_GPU;
    if (type & CL_DEVICE_TYPE_CPU)
        return CLATTN_DEVICE_CPU;
    if (type & CL_DEVICE_TYPE_ACCELERATOR)
        return CLATTN_DEVICE_ACCELERATOR;
    return CLATTN_DEVICE_OTHER;
}

static clattn_status read_names(cl_device_id device, clattn_device_facts *facts, clattn_error *error)
{
    CLATTN_TRY(clattn_cl_check(error, read_device_string(device, CL_DEVICE_NAME, facts->name),
                               "clGetDeviceInfo(CL_DEVICE_NAME)"));
    CLATTN_TRY(clattn_cl_check(error, read_device_string(device, CL_DEVICE_VENDOR, facts->vendor),
                               "clGetDeviceInfo(CL_DEVICE_VENDOR)"));
    CLATTN_TRY(clattn_cl_check(error, read_device_string(device, CL_DRIVER_VERSION, facts->driver),
                               "clGetDeviceInfo(CL_DRIVER_VERSION)"));
    cl_platform_id platform = NULL;
    CLATTN_TRY(clattn_cl_check(error, clGetDeviceInfo(device, CL_DEVICE_PLATFORM, sizeof platform, &platform, NULL),
                               "clGetDeviceInfo(CL_DEVICE_PLATFORM)"));
    char name[CLATTN_NAME_BYTES];
    char version[CLATTN_NAME_BYTES];
    CLATTN_TRY(clattn_cl_check(error, read_platform_string(platform, CL_PLATFORM_NAME, name),
                               "clGetPlatformInfo(CL_PLATFORM_NAME)"));
    CLATTN_TRY(clattn_cl_check(error, read_platform_string(platform, CL_PLATFORM_VERSION, version),
                               "clGetPlatformInfo(CL_PLATFORM_VERSION)"));
    char both[2 * CLATTN_NAME_BYTES] = "";
    snprintf(both, sizeof both, "%s %s", name, version);
    memcpy(facts->platform, both, CLATTN_NAME_BYTES - 1);
    facts->platform[CLATTN_NAME_BYTES - 1] = '\0';
    return CLATTN_OK;
}

#define READ(error, device, what, target)                                                                              \
    CLATTN_TRY(clattn_cl_check((error), clGetDeviceInfo((device), what, sizeof(target), &(target), NULL),              \
                               "clGetDeviceInfo(" #what ")"))

static clattn_status read_limits(cl_device_id device, clattn_device_facts *facts, clattn_error *error)
{
    cl_device_type type = 0;
    cl_uint num_compute_units = 0;
    cl_uint float_vector_width = 0;
    cl_ulong local_memory_bytes = 0;
    cl_ulong global_memory_bytes = 0;
    cl_ulong max_allocation_bytes = 0;
    size_t max_work_group_size = 0;
    size_t max_work_items[MAX_DIMENSIONS] = {0};
    READ(error, device, CL_DEVICE_TYPE, type);
    READ(error, device, CL_DEVICE_MAX_COMPUTE_UNITS, num_compute_units);
    READ(error, device, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, float_vector_width);
    READ(error, device, CL_DEVICE_LOCAL_MEM_SIZE, local_memory_bytes);
    READ(error, device, CL_DEVICE_GLOBAL_MEM_SIZE, global_memory_bytes);
    READ(error, device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, max_allocation_bytes);
    READ(error, device, CL_DEVICE_MAX_WORK_GROUP_SIZE, max_work_group_size);
    READ(error, device, CL_DEVICE_MAX_WORK_ITEM_SIZES, max_work_items);
    if (max_work_items[0] > 0 && max_work_items[0] < max_work_group_size)
        max_work_group_size = max_work_items[0];
    facts->type = type_of(type);
    facts->num_compute_units = num_compute_units;
    facts->float_vector_width = float_vector_width > 0 ? float_vector_width : 1;
    facts->local_memory_bytes = local_memory_bytes;
    facts->global_memory_bytes = global_memory_bytes;
    facts->max_allocation_bytes = max_allocation_bytes;
    facts->max_work_group_size = max_work_group_size < UINT32_MAX ? (uint32_t)max_work_group_size : UINT32_MAX;
    return CLATTN_OK;
}

/* Before OpenCL 3.0 only a built kernel knows its multiple: a CPU needs none, and 32 divides what GPUs of that age
 * have. */
static uint32_t preferred_multiple(cl_device_id device, clattn_device_type type)
{
    size_t multiple = 0;
    const cl_int result =
        clGetDeviceInfo(device, DEVICE_PREFERRED_WORK_GROUP_SIZE_MULTIPLE, sizeof multiple, &multiple, NULL);
    if (result == CL_SUCCESS && multiple > 0 && multiple < UINT32_MAX)
        return (uint32_t)multiple;
    return type == CLATTN_DEVICE_CPU ? 1 : 32;
}

/* 0 where the driver does not know the question: it belongs to the extension that lets a kernel ask for a size. */
static uint32_t narrowest_sub_group(cl_device_id device)
{
    size_t sizes[MAX_SUB_GROUP_SIZES] = {0};
    if (clGetDeviceInfo(device, DEVICE_SUB_GROUP_SIZES_INTEL, sizeof sizes, sizes, NULL) != CL_SUCCESS)
        return 0;
    size_t narrowest = 0;
    for (int i = 0; i < MAX_SUB_GROUP_SIZES; i++) {
        if (sizes[i] > 0 && (narrowest == 0 || sizes[i] < narrowest))
            narrowest = sizes[i];
    }
    return narrowest < UINT32_MAX ? (uint32_t)narrowest : 0;
}

/* Where AMD's name of a processor stands in a device's, such as "gfx90a:sramecc+:xnack-"; NULL if it does not. */
static const char *find_amd_processor(const char *name)
{
    for (const char *found = strstr(name, "gfx"); found != NULL; found = strstr(found + 1, "gfx")) {
        if ((found == name || strchr(" (,", found[-1]) != NULL) && strspn(found + 3, "0123456789") > 0)
            return found;
    }
    return NULL;
}

/* Only GPUs are asked for NVIDIA's attributes. */
static void read_architecture(cl_device_id device, clattn_device_facts *facts)
{
    char *architecture = facts->architecture;
    cl_uint major = 0;
    cl_uint minor = 0;
    if (facts->type == CLATTN_DEVICE_CPU) {
        snprintf(architecture, CLATTN_ARCHITECTURE_BYTES, "cpu%u", (unsigned)facts->float_vector_width);
    } else if (facts->type == CLATTN_DEVICE_GPU) {
        const char *processor = find_amd_processor(facts->name);
        if (processor != NULL)
            snprintf(architecture, CLATTN_ARCHITECTURE_BYTES, "gfx%.*s", (int)strspn(processor + 3, "0123456789abcdef"),
                     processor + 3);
        else if (clGetDeviceInfo(device, DEVICE_COMPUTE_CAPABILITY_MAJOR_NV, sizeof major, &major, NULL) ==
                     CL_SUCCESS &&
                 clGetDeviceInfo(device, DEVICE_COMPUTE_CAPABILITY_MINOR_NV, sizeof minor, &minor, NULL) ==
                     CL_SUCCESS &&
                 major > 0)
            snprintf(architecture, CLATTN_ARCHITECTURE_BYTES, "sm_%u%u", (unsigned)major, (unsigned)minor);
    }
}

/*
 * Mesa's llvmpipe, behind rusticl, Clover or zink: LP_MAX_TGSI_LOOP_ITERATIONS of its compiler, which Mesa's drivers
 * for GPUs do not share. The version is not asked: none is known to have lifted it.
 */
static uint32_t max_loop_iterations(const char *name)
{
    return strstr(name, "llvmpipe") != NULL ? 65535 : 0;
}

clattn_status clattn_device_read_facts(cl_device_id device, clattn_device_facts *facts, clattn_error *error)
{
    clattn_device_facts read = {0};
    CLATTN_TRY(read_names(device, &read, error));
    CLATTN_TRY(read_limits(device, &read, error));
    read.preferred_multiple = preferred_multiple(device, read.type);
    read.narrowest_sub_group = narrowest_sub_group(device);
    read_architecture(device, &read);
    read.max_loop_iterations = max_loop_iterations(read.name);
    *facts = read;
    return CLATTN_OK;
}

static int type_rank(clattn_device_type type)
{
    switch (type) {
    case CLATTN_DEVICE_GPU:
        return 3;
    case CLATTN_DEVICE_ACCELERATOR:
        return 2;
    case CLATTN_DEVICE_CPU:
        return 1;
    case CLATTN_DEVICE_OTHER:
    case CLATTN_NUM_DEVICE_TYPES:
        break;
    }
    return 0;
}

static bool is_better(const clattn_device_facts *facts, const clattn_device_facts *best)
{
    if (type_rank(facts->type) != type_rank(best->type))
        return type_rank(facts->type) > type_rank(best->type);
    return facts->num_compute_units > best->num_compute_units;
}

/* -1 without a device that answers. */
static clattn_status find_best(const device_list *list, int32_t *best_index, clattn_error *error)
{
    clattn_device_facts best = {0};
    *best_index = -1;
    for (int32_t i = 0; i < list->num_devices; i++) {
        clattn_device_facts facts;
        clattn_error reason;
        const clattn_status status = clattn_device_read_facts(list->devices[i], &facts, &reason);
        CLATTN_TRY(ignore_silence(status, &reason, error));
        if (status == CLATTN_OK && (*best_index < 0 || is_better(&facts, &best))) {
            *best_index = i;
            best = facts;
        }
    }
    return CLATTN_OK;
}

static bool is_index(const char *request)
{
    const size_t num_digits = strspn(request, "0123456789");
    return num_digits > 0 && request[num_digits] == '\0';
}

/* -1 for an index past the list, however long. */
static int32_t find_index(const device_list *list, const char *request)
{
    int32_t index = 0;
    for (const char *digit = request; *digit != '\0'; digit++) {
        index = index * 10 + (*digit - '0');
        if (index >= list->num_devices)
            return -1;
    }
    return index;
}

/* "platform / device name", as requests are matched and listings show it; empty if the device does not answer. */
static clattn_status write_label(cl_device_id device, char label[LABEL_BYTES], clattn_error *error)
{
    clattn_device_facts facts;
    clattn_error reason;
    label[0] = '\0';
    const clattn_status status = clattn_device_read_facts(device, &facts, &reason);
    if (status == CLATTN_OK)
        snprintf(label, LABEL_BYTES, "%s / %s", facts.platform, facts.name);
    return ignore_silence(status, &reason, error);
}

static bool contains_in_any_case(const char *text, const char *part)
{
    const size_t num_bytes = strlen(part);
    for (; *text != '\0'; text++) {
        if (strncasecmp(text, part, num_bytes) == 0)
            return true;
    }
    return false;
}

/* The first device whose label contains the request, -1 if there is none; an empty request names nothing. */
static clattn_status find_part(const device_list *list, const char *request, int32_t *index, clattn_error *error)
{
    *index = -1;
    if (request[0] == '\0')
        return CLATTN_OK;
    for (int32_t i = 0; i < list->num_devices && *index < 0; i++) {
        char label[LABEL_BYTES];
        CLATTN_TRY(write_label(list->devices[i], label, error));
        if (contains_in_any_case(label, request))
            *index = i;
    }
    return CLATTN_OK;
}

static clattn_status report_missing(const device_list *list, const char *request, clattn_error *error)
{
    if (list->num_devices == 0)
        return clattn_error_set(error, CLATTN_NO_DEVICE, "device: no OpenCL device is present%s%s%s",
                                request != NULL ? ", \"" : "", request != NULL ? request : "",
                                request != NULL ? "\" was asked for" : "");
    if (request == NULL)
        return clattn_error_set(error, CLATTN_NO_DEVICE, "device: none of %d OpenCL devices answers",
                                list->num_devices);
    char listing[LISTING_BYTES] = "";
    size_t num_bytes = 0;
    for (int32_t i = 0; i < list->num_devices && num_bytes < sizeof listing; i++) {
        char label[LABEL_BYTES];
        CLATTN_TRY(write_label(list->devices[i], label, error));
        num_bytes += (size_t)snprintf(listing + num_bytes, sizeof listing - num_bytes, "%s%d = %s", i > 0 ? "; " : "",
                                      i, label[0] != '\0' ? label : "(does not answer)");
    }
    return clattn_error_set(error, CLATTN_NO_DEVICE,
                            "device: \"%s\" is no device's index or part of its name; present: %s", request, listing);
}

static clattn_status find_device(const device_list *list, const char *request, int32_t *index, clattn_error *error)
{
    if (request == NULL)
        return find_best(list, index, error);
    if (!is_index(request))
        return find_part(list, request, index, error);
    *index = find_index(list, request);
    return CLATTN_OK;
}

clattn_status clattn_device_find(const char *request, cl_device_id *device, clattn_error *error)
{
    device_list list = {0};
    clattn_status status = device_list_fill(&list, error);
    int32_t index = -1;
    if (status == CLATTN_OK)
        status = find_device(&list, request, &index, error);
    if (status == CLATTN_OK && index < 0)
        status = report_missing(&list, request, error);
    if (status == CLATTN_OK)
        *device = list.devices[index];
    device_list_finish(&list);
    return status;
}

int32_t clattn_device_count(void)
{
    device_list list = {0};
    clattn_error ignored;
    const int32_t num_devices = device_list_fill(&list, &ignored) == CLATTN_OK ? list.num_devices : 0;
    device_list_finish(&list);
    return num_devices;
}

clattn_status clattn_device_query(int32_t index, clattn_device_facts *facts)
{
    if (facts == NULL)
        return CLATTN_INVALID_ARGUMENT;
    device_list list = {0};
    clattn_error ignored;
    clattn_status status = device_list_fill(&list, &ignored);
    if (status == CLATTN_OK && (index < 0 || index >= list.num_devices))
        status = CLATTN_NO_DEVICE;
    if (status == CLATTN_OK)
        status = clattn_device_read_facts(list.devices[index], facts, &ignored);
    device_list_finish(&list);
    return status;
}
