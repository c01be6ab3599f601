/* SPDX-License-Identifier: Apache-2.0 */
/* What became of a kernel that had to prove itself: clattn_context_params.verify_kernels. */
#ifndef CLATTN_VERDICT_H
#define CLATTN_VERDICT_H

#include <clattn/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The outcome of a trial. Only a verified kernel is ever used for a caller's data. */
typedef enum clattn_verdict_kind {
    CLATTN_VERDICT_VERIFIED = 0, /* its results are the reference's, up to rounding */
    CLATTN_VERDICT_REJECTED = 1, /* they are not, or it could not be built or run */
    CLATTN_VERDICT_CRASHED = 2,  /* the process that built or tried it did not live to tell */
    CLATTN_NUM_VERDICT_KINDS = 3
} clattn_verdict_kind;

/** "verified", "rejected", "crashed"; "invalid" otherwise. */
CLATTN_API const char *clattn_verdict_kind_name(clattn_verdict_kind kind);

#define CLATTN_REASON_BYTES 256

typedef struct clattn_verdict {
    clattn_verdict_kind kind;
    double worst_error;               /* the largest error as a fraction of what rounding explains; 0 = none measured */
    char reason[CLATTN_REASON_BYTES]; /* what was wrong; "" if verified */
} clattn_verdict;

#ifdef __cplusplus
}
#endif

#endif
