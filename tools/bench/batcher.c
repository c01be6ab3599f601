/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a continuous batch. */
#include "bench/batcher.h"

#include "common/message.h"

#include <math.h>
#include <stdlib.h>

static int32_t pages_of(const bench_batcher *batcher, const bench_request *request)
{
    const int32_t tokens = bench_request_kv_tokens(request);
    return tokens / batcher->params.page_size + (tokens % batcher->params.page_size > 0);
}

bool bench_batcher_init(bench_batcher *batcher, const bench_batcher_params *params)
{
    *batcher = (bench_batcher){.params = *params, .free_pages = params->num_pages};
    for (int32_t i = 0; i < params->trace->num_requests; i++) {
        const bench_request *request = &params->trace->requests[i];
        if (pages_of(batcher, request) > params->num_pages)
            return tool_error("request %d of %s takes %d KV tokens, more than the cache holds", (int)i + 1,
                              params->trace->path, (int)bench_request_kv_tokens(request));
    }
    batcher->shares = calloc((size_t)params->max_seqs, sizeof *batcher->shares);
    return batcher->shares || tool_error("out of memory");
}

void bench_batcher_finish(bench_batcher *batcher)
{
    free(batcher->shares);
    *batcher = (bench_batcher){0};
}

/* Requests that ended with the last step give back their places and pages. */
static void retire(bench_batcher *batcher)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < batcher->num_shares; i++) {
        const bench_share *share = &batcher->shares[i];
        if (share->last)
            batcher->free_pages += pages_of(batcher, &batcher->params.trace->requests[share->request]);
        else
            batcher->shares[kept++] = *share;
    }
    batcher->num_shares = kept;
}

/* The step in which a request is there. */
static int64_t arrival_step(const bench_batcher *batcher, const bench_request *request)
{
    return batcher->params.step_s > 0.0 ? (int64_t)ceil(request->arrival_s / batcher->params.step_s) : 0;
}

/* Admits what has arrived and fits, in order. */
static void admit(bench_batcher *batcher)
{
    const bench_trace *trace = batcher->params.trace;
    while (batcher->next_request < trace->num_requests && batcher->num_shares < batcher->params.max_seqs) {
        const bench_request *request = &trace->requests[batcher->next_request];
        const int32_t num_pages = pages_of(batcher, request);
        if (arrival_step(batcher, request) > batcher->step || num_pages > batcher->free_pages)
            break;
        batcher->free_pages -= num_pages;
        batcher->shares[batcher->num_shares++] = (bench_share){.request = batcher->next_request++, .first = true};
    }
    const int32_t used_pages = batcher->params.num_pages - batcher->free_pages;
    batcher->most_pages = used_pages > batcher->most_pages ? used_pages : batcher->most_pages;
    batcher->most_shares = batcher->num_shares > batcher->most_shares ? batcher->num_shares : batcher->most_shares;
}

/* Those that generate compute a token each. Returns what is left of the budget. */
static int32_t share_decodes(bench_batcher *batcher)
{
    int32_t budget = batcher->params.token_budget;
    for (int32_t i = 0; i < batcher->num_shares; i++) {
        bench_share *share = &batcher->shares[i];
        const bench_request *request = &batcher->params.trace->requests[share->request];
        share->new_tokens = share->total_tokens >= request->prompt_tokens;
        budget -= share->new_tokens;
        batcher->decode_tokens += share->new_tokens;
    }
    return budget;
}

static void share_prompts(bench_batcher *batcher, int32_t budget)
{
    for (int32_t i = 0; i < batcher->num_shares; i++) {
        bench_share *share = &batcher->shares[i];
        const int32_t prompt_tokens = batcher->params.trace->requests[share->request].prompt_tokens;
        if (share->new_tokens > 0)
            continue;
        const int32_t rest = prompt_tokens - share->total_tokens;
        share->new_tokens = rest < budget ? rest : budget;
        budget -= share->new_tokens;
        batcher->prompt_tokens += share->new_tokens;
    }
}

bool bench_batcher_next(bench_batcher *batcher)
{
    const bench_trace *trace = batcher->params.trace;
    batcher->step++;
    retire(batcher);
    for (int32_t i = 0; i < batcher->num_shares; i++)
        batcher->shares[i].first = false;
    admit(batcher);
    if (batcher->num_shares == 0) {
        if (batcher->next_request == trace->num_requests)
            return false;
        batcher->step = arrival_step(batcher, &trace->requests[batcher->next_request]);
        admit(batcher);
    }
    share_prompts(batcher, share_decodes(batcher));
    for (int32_t i = 0; i < batcher->num_shares; i++) {
        bench_share *share = &batcher->shares[i];
        share->total_tokens += share->new_tokens;
        share->last = share->total_tokens == bench_request_kv_tokens(&trace->requests[share->request]);
    }
    return true;
}
