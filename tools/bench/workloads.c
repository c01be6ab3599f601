/* SPDX-License-Identifier: Apache-2.0 */
/* Named batches, and batches from the command line. */
#include "bench/workloads.h"

#include "common/message.h"
#include "common/options.h"

#include <math.h>
#include <stdlib.h>

#define DEFAULT_Q_LENS "1"
#define DEFAULT_CONTEXT_LENS "1024"

#define NUM_MIXED_DECODES 32
#define MIXED_PREFILL_TOKENS 1024
#define NUM_RAGGED_SEQS 64
#define RAGGED_STRIDE 29 /* coprime to their number: scatters lengths that are made in order */

typedef struct named_workload {
    const char *name;
    const char *text;
    int32_t num_seqs;
    int32_t q_len;
    int32_t context_len;
    void (*fill)(bench_workload *workload); /* NULL = every sequence has the two lengths above */
} named_workload;

/* The number `index` of `count` numbers that grow from `least` to `most` by one factor. */
static int32_t geometric(int32_t least, int32_t most, int32_t index, int32_t count)
{
    return (int32_t)lround(least * pow((double)most / least, (double)index / (count - 1)));
}

static void fill_mixed(bench_workload *workload)
{
    const int32_t prefill = NUM_MIXED_DECODES / 2; /* its place: in the middle */
    for (int32_t seq = 0; seq < workload->num_seqs; seq++) {
        workload->q_lens[seq] = 1;
        workload->context_lens[seq] = geometric(512, 8192, seq - (seq > prefill), NUM_MIXED_DECODES);
    }
    workload->q_lens[prefill] = MIXED_PREFILL_TOKENS;
    workload->context_lens[prefill] = MIXED_PREFILL_TOKENS;
}

static void fill_ragged(bench_workload *workload)
{
    for (int32_t seq = 0; seq < workload->num_seqs; seq++) {
        workload->q_lens[seq] = 1;
        workload->context_lens[seq] = geometric(16, 8192, seq * RAGGED_STRIDE % NUM_RAGGED_SEQS, NUM_RAGGED_SEQS);
    }
}

static const named_workload workloads[] = {
    {"prefill-512", "512 tokens of one sequence", 1, 512, 512, NULL},
    {"prefill-1024", "1024 tokens of one sequence", 1, 1024, 1024, NULL},
    {"prefill-4096", "4096 tokens of one sequence", 1, 4096, 4096, NULL},
    {"chunked-prefill", "256 new tokens behind 4096", 1, 256, 4096 + 256, NULL},
    {"decode-1x16384", "1 sequence, 16384 tokens of context", 1, 1, 16384, NULL},
    {"decode-8x4096", "8 sequences, 4096 tokens of context each", 8, 1, 4096, NULL},
    {"decode-64x1024", "64 sequences, 1024 tokens of context each", 64, 1, 1024, NULL},
    {"mixed", "a prefill of 1024 tokens among 32 decodes of 512 to 8192", NUM_MIXED_DECODES + 1, 0, 0, fill_mixed},
    {"ragged", "64 decodes of 16 to 8192 tokens in no order", NUM_RAGGED_SEQS, 0, 0, fill_ragged},
};

#define NUM_WORKLOADS ((int)(sizeof workloads / sizeof *workloads))

const char *bench_workload_name_at(int index)
{
    return index < NUM_WORKLOADS ? workloads[index].name : NULL;
}

const char *bench_workload_text_at(int index)
{
    return index < NUM_WORKLOADS ? workloads[index].text : NULL;
}

void bench_workload_finish(bench_workload *workload)
{
    free(workload->q_lens);
    free(workload->context_lens);
    *workload = (bench_workload){0};
}

/* Room for num_seqs sequences. */
static bool reserve(bench_workload *workload, const char *name, int32_t num_seqs)
{
    *workload = (bench_workload){
        .name = name,
        .num_seqs = num_seqs,
        .q_lens = calloc((size_t)num_seqs + 1, sizeof *workload->q_lens), /* + 1: never nothing */
        .context_lens = calloc((size_t)num_seqs + 1, sizeof *workload->context_lens),
    };
    if (workload->q_lens && workload->context_lens)
        return true;
    bench_workload_finish(workload);
    return tool_error("out of memory");
}

/* The sum, and whether the lengths can be. */
static bool count_tokens(bench_workload *workload)
{
    int64_t total_tokens = 0;
    for (int32_t seq = 0; seq < workload->num_seqs; seq++) {
        total_tokens += workload->q_lens[seq];
        if (workload->q_lens[seq] > workload->context_lens[seq])
            return tool_error("--q-len %d is longer than --context %d, which includes the new tokens",
                              (int)workload->q_lens[seq], (int)workload->context_lens[seq]);
    }
    workload->total_tokens = (int32_t)total_tokens;
    return total_tokens <= INT32_MAX || tool_error("--q-len gives more than %d new tokens in all", INT32_MAX);
}

bool bench_workload_init_named(bench_workload *workload, int index)
{
    const named_workload *named = &workloads[index];
    bool good = reserve(workload, named->name, named->num_seqs);
    for (int32_t seq = 0; good && seq < named->num_seqs; seq++) {
        workload->q_lens[seq] = named->q_len;
        workload->context_lens[seq] = named->context_len;
    }
    if (good && named->fill)
        named->fill(workload);
    good = good && count_tokens(workload);
    if (!good)
        bench_workload_finish(workload);
    return good;
}

bool bench_workload_init_trace(bench_workload *workload)
{
    return reserve(workload, "trace", 0);
}

static int32_t count_numbers(const char *list)
{
    int32_t count = 1;
    for (const char *at = list; *at; at++)
        count += *at == ',';
    return count;
}

/* Fills lengths [num_seqs] from a list of one number or of num_seqs numbers. */
static bool read_list(const char *option, const char *list, int32_t num_seqs, int32_t *lengths)
{
    const int32_t count = count_numbers(list);
    if (count != 1 && count != num_seqs)
        return tool_error("%s has %d numbers for %d sequences", option, (int)count, (int)num_seqs);
    const char *rest = list;
    for (int32_t i = 0; i < count; i++) {
        if (!tool_parse_int(rest, 1, INT32_MAX, &rest, &lengths[i]))
            return tool_error("%s should be whole numbers from 1 to %d separated by commas, not '%s'", option,
                              INT32_MAX, list);
        rest += *rest == ',';
    }
    for (int32_t i = count; i < num_seqs; i++)
        lengths[i] = lengths[0];
    return true;
}

bool bench_workload_init_listed(bench_workload *workload, int32_t num_seqs, const char *q_lens,
                                const char *context_lens)
{
    const char *q_list = q_lens ? q_lens : DEFAULT_Q_LENS;
    const char *context_list = context_lens ? context_lens : DEFAULT_CONTEXT_LENS;
    const int32_t num_q_lens = count_numbers(q_list);
    const int32_t num_context_lens = count_numbers(context_list);
    const int32_t num_listed = num_q_lens > num_context_lens ? num_q_lens : num_context_lens;
    const int32_t count = num_seqs > 0 ? num_seqs : num_listed;
    if (count > BENCH_MAX_SEQS)
        return tool_error("%d sequences are more than %d", (int)count, BENCH_MAX_SEQS);
    if (reserve(workload, NULL, count) && read_list("--q-len", q_list, count, workload->q_lens) &&
        read_list("--context", context_list, count, workload->context_lens) && count_tokens(workload))
        return true;
    bench_workload_finish(workload);
    return false;
}

bool bench_workload_has(const bench_workload *workload, int32_t sequence, bench_phases phases)
{
    const bench_phases phase = workload->q_lens[sequence] > 1 ? BENCH_PREFILLS : BENCH_DECODES;
    return (phases & phase) != 0;
}

int32_t bench_workload_count(const bench_workload *workload, bench_phases phases)
{
    int32_t count = 0;
    for (int32_t seq = 0; seq < workload->num_seqs; seq++)
        count += bench_workload_has(workload, seq, phases);
    return count;
}

bool bench_workload_init_part(bench_workload *part, const bench_workload *whole, bench_phases phases)
{
    if (!reserve(part, whole->name, bench_workload_count(whole, phases)))
        return false;
    int32_t next = 0;
    for (int32_t seq = 0; seq < whole->num_seqs; seq++) {
        if (!bench_workload_has(whole, seq, phases))
            continue;
        part->q_lens[next] = whole->q_lens[seq];
        part->context_lens[next] = whole->context_lens[seq];
        part->total_tokens += whole->q_lens[seq];
        next++;
    }
    return true;
}

int32_t bench_workload_longest(const bench_workload *workload)
{
    int32_t longest = 0;
    for (int32_t seq = 0; seq < workload->num_seqs; seq++)
        longest = workload->context_lens[seq] > longest ? workload->context_lens[seq] : longest;
    return longest;
}
