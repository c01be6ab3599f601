/* SPDX-License-Identifier: Apache-2.0 */
/* A guess: the seconds of some processor. The time left is scaled by what the problems before really took. */
#include "bench/forecast.h"

#include "bench/model.h"
#include "bench/paged_read.h"

#include <math.h>

#define SETUP_SECONDS 1.0   /* filling layers */
#define SAMPLE_SECONDS 0.02 /* at least */
#define PROBE_SECONDS 0.1   /* both, in a round */
#define FLOPS_PER_SECOND 2e11
#define READ_BYTES_PER_SECOND 3e10

double bench_forecast(const bench_options *options, int problem)
{
    const bench_problem *asked = &options->problems[problem];
    if (options->overhead || options->replay.trace.path)
        return 1.0;
    const bench_batch batch = bench_batch_of(asked, asked->workload);
    const double sample = fmax(SAMPLE_SECONDS, (double)bench_count_flops(&batch) / FLOPS_PER_SECOND +
                                                   (double)bench_count_bytes(&batch) / READ_BYTES_PER_SECOND);
    const double paged_read = fmax(SAMPLE_SECONDS, (double)bench_count_kv_bytes(&batch) / READ_BYTES_PER_SECOND);
    const double round = PROBE_SECONDS + options->operations.count * (sample + BENCH_NUM_PAGED_READS * paged_read);
    return SETUP_SECONDS + options->runs * round;
}
