/* SPDX-License-Identifier: Apache-2.0 */
/* What can be chosen of each kernel's tile: the table behind clattn_tuning_space(). Without OpenCL. */
#ifndef CLATTN_TUNING_TUNABLES_H
#define CLATTN_TUNING_TUNABLES_H

#include <clattn/tuning_space.h>

typedef struct clattn_tunable_list {
    const clattn_tunable *tunables;
    int32_t num_tunables;
} clattn_tunable_list;

/* The family is one, not CLATTN_FAMILY_DEFAULT. */
clattn_tunable_list clattn_tunables_of(clattn_family family, clattn_phase phase);

/* The tunable of that name; NULL if the kernel has none. */
const clattn_tunable *clattn_tunable_find(clattn_family family, clattn_phase phase, const char *name);

#endif
