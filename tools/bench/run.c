/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of a problem: every operation on the whole batch, on the parts of a batch that mixes phases, and with the
 * tiles that run without a tuning file.
 */
#include "bench/run.h"

#include "bench/paged_read.h"
#include "common/message.h"

#define NUM_PARTS 2
#define NUM_WARMUPS 2 /* the first one builds */
#define MAX_CALLS ((2 + NUM_PARTS) * TOOL_MAX_CHOICES)
#define MAX_SUBJECTS (MAX_CALLS + BENCH_NUM_PAGED_READS * TOOL_MAX_CHOICES)

/* The tiles that run without a tuning file. */
typedef struct default_tiles {
    clattn_tuning_answer answer;
    clattn_tuning tuning;
} default_tiles;

/*
 * The operations on the whole batch; behind them their parts, those of one operation side by side; behind those, if
 * they are asked for, the operations with the default tiles.
 */
typedef struct call_list {
    int num_operations;
    int num_parts;     /* of each operation: 0 or NUM_PARTS */
    int first_default; /* 0 = they are not asked for */
    int count;
    bench_call calls[MAX_CALLS];
    default_tiles defaults[TOOL_MAX_CHOICES];
} call_list;

static bool add_call(call_list *list, const bench_operands *operands, const bench_operation *operation,
                     bench_phases phases, const clattn_tuning *tuning)
{
    if (!bench_call_init(&list->calls[list->count], operands, operation, phases, tuning))
        return false;
    list->count++;
    return true;
}

static bool find_default_tiles(const bench_operands *operands, const bench_operation *operation,
                               default_tiles *defaults)
{
    clattn_tuning_query_params question = bench_tuning_question(operands->problem, operation);
    question.family = clattn_context_family(operands->ctx);
    if (!tool_check(NULL, clattn_tuning_query(clattn_context_device(operands->ctx), &question, &defaults->answer),
                    "clattn_tuning_query"))
        return false;
    defaults->tuning =
        (clattn_tuning){.decode_tile = &defaults->answer.decode.tile, .prefill_tile = &defaults->answer.prefill.tile};
    return true;
}

static bool add_defaults(call_list *list, const bench_operands *operands, const bench_operations *operations)
{
    list->first_default = list->count;
    for (int i = 0; i < operations->count; i++) {
        if (!find_default_tiles(operands, operations->at[i], &list->defaults[i]) ||
            !add_call(list, operands, operations->at[i], BENCH_ALL_PHASES, &list->defaults[i].tuning))
            return false;
    }
    return true;
}

static bool add_calls(call_list *list, const bench_operands *operands, const bench_options *options)
{
    const bench_operations *operations = &options->operations;
    const bench_workload *lengths = &operands->sequences.lengths;
    const bool mixes =
        bench_workload_count(lengths, BENCH_PREFILLS) > 0 && bench_workload_count(lengths, BENCH_DECODES) > 0;
    list->num_operations = operations->count;
    list->num_parts = mixes ? NUM_PARTS : 0;
    for (int i = 0; i < operations->count; i++) {
        if (!add_call(list, operands, operations->at[i], BENCH_ALL_PHASES, NULL))
            return false;
    }
    for (int i = 0; mixes && i < operations->count; i++) {
        if (!add_call(list, operands, operations->at[i], BENCH_PREFILLS, NULL) ||
            !add_call(list, operands, operations->at[i], BENCH_DECODES, NULL))
            return false;
    }
    return !options->against_default || add_defaults(list, operands, operations);
}

static void finish_calls(call_list *list)
{
    for (int i = 0; i < list->count; i++)
        bench_call_finish(&list->calls[i]);
}

/* The reading alone of each operation on the whole batch. */
typedef bench_paged_read paged_reads[BENCH_NUM_PAGED_READS];

static void finish_paged_reads(paged_reads *reads, int count)
{
    for (int i = 0; i < count; i++)
        bench_paged_reads_finish(reads[i]);
}

static bool make_paged_reads(const bench_probes *probes, call_list *list, paged_reads *reads)
{
    for (int i = 0; i < list->num_operations; i++) {
        if (!bench_paged_reads_init(reads[i], probes, &list->calls[i])) {
            finish_paged_reads(reads, i);
            return false;
        }
    }
    return true;
}

static bench_subject *paged_read_of(const call_list *list, bench_subject *subjects, int operation, int way)
{
    return &subjects[list->count + operation * BENCH_NUM_PAGED_READS + way];
}

static const bench_subject *fastest_paged_read(const call_list *list, bench_subject *subjects, int operation)
{
    const bench_subject *fastest = paged_read_of(list, subjects, operation, 0);
    for (int way = 1; way < BENCH_NUM_PAGED_READS; way++) {
        const bench_subject *other = paged_read_of(list, subjects, operation, way);
        fastest = other->median_s < fastest->median_s ? other : fastest;
    }
    return fastest;
}

/* The calls, and behind them the reading alone of the operations. */
static void make_subjects(call_list *list, paged_reads *reads, bench_subject *subjects)
{
    for (int i = 0; i < list->count; i++)
        subjects[i] =
            (bench_subject){.enqueue = bench_call_enqueue, .user = &list->calls[i], .num_warmups = NUM_WARMUPS};
    for (int i = 0; i < list->num_operations; i++) {
        subjects[i].first_part = list->num_operations + i * list->num_parts;
        subjects[i].num_parts = list->num_parts;
        subjects[i].baseline = list->first_default > 0 ? list->first_default + i : 0;
        for (int way = 0; way < BENCH_NUM_PAGED_READS; way++)
            *paged_read_of(list, subjects, i, way) =
                (bench_subject){.enqueue = bench_paged_read_enqueue, .user = &reads[i][way]};
    }
}

/* Times the calls and their reading in turns and rates what came out. */
static bool time_calls(const bench_probes *probes, call_list *list, int runs, bench_result *results)
{
    paged_reads reads[TOOL_MAX_CHOICES];
    if (!make_paged_reads(probes, list, reads))
        return false;
    bench_subject subjects[MAX_SUBJECTS] = {0};
    make_subjects(list, reads, subjects);
    tool_progress("building the kernels and warming up");
    bench_measurement measurement;
    const bool good =
        bench_measure(probes, subjects, list->count + list->num_operations * BENCH_NUM_PAGED_READS, runs, &measurement);
    for (int i = 0; good && i < list->num_operations; i++)
        bench_result_rate(&results[i], &list->calls[i], &subjects[i], fastest_paged_read(list, subjects, i),
                          &measurement);
    finish_paged_reads(reads, list->num_operations);
    return good;
}

/* The probes are the same for all problems: the first that needs them builds them. */
static bool need_probes(bench_probes *probes, clattn_context *ctx)
{
    if (probes->queue)
        return true;
    tool_progress("building the probes");
    return bench_probes_init(probes, ctx);
}

static bool time_overheads(call_list *list, int runs, bench_result *results)
{
    for (int i = 0; i < list->num_operations; i++) {
        tool_progress("calling %s", results[i].operation->name);
        if (!bench_overhead_measure(&list->calls[i], runs, &results[i].overhead))
            return false;
    }
    return true;
}

bool bench_run_problem(clattn_context *ctx, const bench_options *options, int index, bench_probes *probes,
                       bench_result *results)
{
    const bench_problem *problem = &options->problems[index];
    if (options->replay.trace.path)
        return need_probes(probes, ctx) &&
               bench_replay_measure(probes, ctx, problem, &options->replay, options->runs, results);
    bench_operands operands;
    tool_progress("filling the KV cache on %s", clattn_context_device(ctx)->name);
    if (!bench_operands_init(&operands, ctx, problem, &options->operations))
        return false;
    call_list list = {0};
    bool good = add_calls(&list, &operands, options);
    for (int i = 0; good && i < list.num_operations; i++)
        results[i] = bench_result_of(&list.calls[i]);
    if (good && options->overhead)
        good = time_overheads(&list, options->runs, results);
    else if (good)
        good = need_probes(probes, ctx) && time_calls(probes, &list, options->runs, results);
    finish_calls(&list);
    bench_operands_finish(&operands);
    return good;
}
