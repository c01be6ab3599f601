/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory is walked through before anything is read a second time. */
#ifndef BENCH_FOOTPRINT_H
#define BENCH_FOOTPRINT_H

#include <clattn/device.h>

/*
 * What layers in turn, or one launch of the read probe, come to: 1 GiB, so that a last-level cache of 32 MiB keeps a
 * thirtieth of it (of 256 MiB it kept an eighth, and the probe read that much faster than the memory is); at most an
 * eighth of the device's memory.
 */
uint64_t bench_footprint_bytes(const clattn_device_facts *facts);

#endif
