/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers for trials: made without a state, rounded to storage types, and their bits. Without OpenCL. */
#ifndef CLATTN_VERIFY_SAMPLE_H
#define CLATTN_VERIFY_SAMPLE_H

#include <clattn/dtype.h>
#include <stdint.h>

/* The largest magnitude of a sample. */
#define CLATTN_SAMPLE_MAX 2.0

/* A multiple of 1/32 that every storage type holds exactly. */
double clattn_sample(uint32_t stream, uint64_t index);

/* The nearest number that a storage type holds, ties to even, for magnitudes from 2^-14 to 65504 and 0. */
double clattn_sample_round(clattn_dtype dtype, double value);

/* The difference between 1 and the next number, which bounds relative rounding. */
double clattn_sample_epsilon(clattn_dtype dtype);

/* The bits of a rounded number or of a NaN, and the number of any bits. 16-bit types use the low half. */
uint32_t clattn_sample_bits(clattn_dtype dtype, double value);
double clattn_sample_of_bits(clattn_dtype dtype, uint32_t bits);

#endif
