/* SPDX-License-Identifier: Apache-2.0 */
/* From measured times to rates. */
#include "bench/result.h"

#include "bench/statistics.h"

#include <math.h>

bench_result bench_result_of(const bench_call *call)
{
    return (bench_result){
        .problem = call->operands->problem,
        .operation = call->operation,
        .out_dtype = call->out_dtype,
        .seq_len = call->operation->dense ? call->sequences.max_context_len : 0,
        .num_layers = call->operands->num_layers,
        .plan_info = call->plan_info,
        .plan_s = call->plan_s,
        .plan_update_s = call->plan_update_s,
        .idle_share = -1.0,
    };
}

void bench_result_rate(bench_result *result, const bench_call *call, const bench_subject *subject,
                       const bench_subject *paged_read, const bench_measurement *measurement)
{
    result->subject = *subject;
    result->measurement = *measurement;
    result->flops = bench_count_flops(&call->batch);
    result->bytes = bench_count_bytes(&call->batch);
    result->rating = bench_rate(result->flops, result->bytes, subject->median_s, measurement->peak_gflops,
                                measurement->read_gbytes_per_s);
    result->paged_read_gbytes_per_s = (double)bench_count_kv_bytes(&call->batch) / paged_read->median_s * 1e-9;
    result->paged_read_spread = paged_read->spread;
    result->paged_fraction = bench_rate(result->flops, result->bytes, subject->median_s, measurement->peak_gflops,
                                        result->paged_read_gbytes_per_s)
                                 .fraction;
    result->idle_share = bench_idle_share(clattn_context_device(call->operands->ctx), subject);
}

double bench_idle_share(const clattn_device_facts *facts, const bench_subject *subject)
{
    if (facts->type != CLATTN_DEVICE_CPU)
        return -1.0;
    return fmax(0.0, 1.0 - subject->busy_threads / facts->num_compute_units);
}

double bench_result_tokens_per_s(const bench_result *result)
{
    return (double)(result->replay.prompt_tokens + result->replay.decode_tokens) / result->subject.median_s;
}

double bench_result_decodes_per_s(const bench_result *result)
{
    return (double)result->replay.decode_tokens / result->subject.median_s;
}

uint64_t bench_result_extra_bytes(const bench_result *result)
{
    return result->plan_info.workspace_bytes + result->plan_info.metadata_bytes;
}

bool bench_result_is_noisy(const bench_result *result)
{
    return bench_is_noisy(result->subject.spread) || bench_is_noisy(result->measurement.peak_spread) ||
           bench_is_noisy(result->measurement.read_spread) || bench_is_noisy(result->paged_read_spread);
}
