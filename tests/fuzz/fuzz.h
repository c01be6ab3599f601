/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What fuzz targets share: the function that libFuzzer and the replay test call with every input, a reader that turns
 * an input into numbers, and how a broken promise is reported.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A target; always 0. What it finds ends the process. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t num_bytes);

/* What the replay test prints behind a run; empty if the target counts nothing. */
const char *fuzz_summary(void);

/* Prints a sentence and aborts, which is what a fuzzer takes for a finding. */
_Noreturn void fuzz_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define FUZZ_REQUIRE(condition, ...)                                                                                   \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            fuzz_fail(__VA_ARGS__);                                                                                    \
    } while (0)

/* An input that is read from its front; behind its end there are zeros. */
typedef struct fuzz_bytes {
    const uint8_t *next;
    size_t num_left;
} fuzz_bytes;

/* The next num_bytes (at most 8) as a number, little-endian. */
uint64_t fuzz_take(fuzz_bytes *bytes, int num_bytes);

/* A number in [low, high], from as few bytes as it needs. */
int32_t fuzz_between(fuzz_bytes *bytes, int32_t low, int32_t high);

/* True for about one in `many` values of a byte; false behind the end. */
bool fuzz_one_in(fuzz_bytes *bytes, int many);

/* A number as boundary cases have it: near zero, a power of two or a limit, or any. */
int64_t fuzz_extreme(fuzz_bytes *bytes);

/* The same cut to 32 bits. */
int32_t fuzz_extreme_int32(fuzz_bytes *bytes);

/* A number that options must cope with, not-a-number and infinity among them. */
float fuzz_float(fuzz_bytes *bytes);

#endif
