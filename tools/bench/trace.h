/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traces of requests to a language model, in the format of the Azure LLM inference traces: a heading and lines of
 * "YYYY-MM-DD HH:MM:SS.fraction,prompt tokens,generated tokens" in order of arrival.
 */
#ifndef BENCH_TRACE_H
#define BENCH_TRACE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct bench_request {
    double arrival_s; /* behind the first request, >= 0 */
    int32_t prompt_tokens;
    int32_t generated_tokens;
} bench_request;

typedef struct bench_trace {
    const char *path; /* borrowed; NULL = no trace */
    int32_t num_requests;
    bench_request *requests;
} bench_trace;

/* Reads the first `limit` requests of a file, or all if there are fewer; false after naming the line that is wrong. */
bool bench_trace_read(bench_trace *trace, const char *path, int32_t limit);

/* Accepts a zeroed object. */
void bench_trace_finish(bench_trace *trace);

/* KV tokens of a request at its end: the last generated token is never fed back. */
int32_t bench_request_kv_tokens(const bench_request *request);

#endif
