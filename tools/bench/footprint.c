/* SPDX-License-Identifier: Apache-2.0 */
/* Memory enough to leave the caches; see footprint.h. */
#include "bench/footprint.h"

uint64_t bench_footprint_bytes(const clattn_device_facts *facts)
{
    const uint64_t wanted = (uint64_t)1 << 30;
    const uint64_t most = facts->global_memory_bytes / 8;
    return wanted < most ? wanted : most;
}
