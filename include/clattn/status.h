/* SPDX-License-Identifier: Apache-2.0 */
/* Status codes of every clattn function, and their names. */
#ifndef CLATTN_STATUS_H
#define CLATTN_STATUS_H

#if defined(__GNUC__) || defined(__clang__)
#define CLATTN_API __attribute__((visibility("default")))
#elif defined(_WIN32) && defined(CLATTN_BUILDING_LIBRARY)
#define CLATTN_API __declspec(dllexport)
#else
#define CLATTN_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** X(name, value, message): every status once. Zero is success, failures are negative. */
#define CLATTN_STATUS_LIST(X)                                                                                          \
    X(OK, 0, "success")                                                                                                \
    X(INVALID_ARGUMENT, -1, "an argument is missing, out of range or contradicts another")                             \
    X(INVALID_SHAPE, -2, "a tensor has the wrong rank, shape or strides")                                              \
    X(INVALID_DTYPE, -3, "a tensor has the wrong dtype")                                                               \
    X(INVALID_BATCH, -4, "the lengths or offsets of a batch contradict each other")                                    \
    X(INVALID_PAGE, -5, "a used block table entry or slot is outside the cache")                                       \
    X(INVALID_SEQUENCE, -6, "no such sequence in this cache")                                                          \
    X(INVALID_TUNING, -7, "a tuning override that this device or kernel cannot run")                                   \
    X(BUFFER_TOO_SMALL, -8, "a buffer ends before the tensor laid into it")                                            \
    X(SIZE_OVERFLOW, -9, "a product of sizes overflows")                                                               \
    X(UNSUPPORTED, -10, "an option or size that this operation does not support")                                      \
    X(PLAN_MISMATCH, -11, "the plan was made for another problem")                                                     \
    X(OUT_OF_PAGES, -12, "the KV cache has too few free pages or sequences")                                           \
    X(OUT_OF_MEMORY, -13, "the host ran out of memory")                                                                \
    X(OUT_OF_DEVICE_MEMORY, -14, "the device ran out of memory")                                                       \
    X(NO_DEVICE, -15, "no OpenCL device answers the request")                                                          \
    X(BUILD_FAILED, -16, "the device compiler refused a kernel")                                                       \
    X(OPENCL_ERROR, -17, "an OpenCL call failed")                                                                      \
    X(KERNEL_REJECTED, -18, "a kernel did not prove itself on this device, and no other does its work")

typedef enum clattn_status {
#define CLATTN_STATUS_ENUM(name, value, message) CLATTN_##name = (value),
    CLATTN_STATUS_LIST(CLATTN_STATUS_ENUM)
#undef CLATTN_STATUS_ENUM
        CLATTN_STATUS_FORCE_INT = 0x7fffffff
} clattn_status;

/** The identifier of a status, such as "CLATTN_INVALID_PAGE"; never NULL. */
CLATTN_API const char *clattn_status_name(clattn_status status);

/** What a status means in general, in English; never NULL. clattn_context_last_error() says what happened. */
CLATTN_API const char *clattn_status_message(clattn_status status);

#ifdef __cplusplus
}
#endif

#endif
