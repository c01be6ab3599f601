/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of a problem: every operation on the whole batch, on the parts of a batch that mixes phases, and with the
 * tiles that run without a tuning file.
 */
#include "bench/run.h"

#include "common/message.h"

#define NUM_PARTS 2
#define NUM_WARMUPS 2 /* the first one builds */
#define MAX_CALLS ((2 + NUM_PARTS) * TOOL_MAX_CHOICES)

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

/* Times the calls in turns and rates what came out. */
static bool time_calls(const bench_operands *operands, call_list *list, int runs, bench_result *results)
{
    bench_probes probes;
    tool_progress("building the probes");
    if (!bench_probes_init(&probes, operands->ctx))
        return false;

    bench_subject subjects[MAX_CALLS] = {0};
    for (int i = 0; i < list->count; i++)
        subjects[i] =
            (bench_subject){.enqueue = bench_call_enqueue, .user = &list->calls[i], .num_warmups = NUM_WARMUPS};
    for (int i = 0; i < list->num_operations; i++) {
        subjects[i].first_part = list->num_operations + i * list->num_parts;
        subjects[i].num_parts = list->num_parts;
        subjects[i].baseline = list->first_default > 0 ? list->first_default + i : 0;
    }
    tool_progress("building the kernels and warming up");
    bench_measurement measurement;
    const bool good = bench_measure(&probes, subjects, list->count, runs, &measurement);
    bench_probes_finish(&probes);
    for (int i = 0; good && i < list->num_operations; i++)
        bench_result_rate(&results[i], &list->calls[i], &subjects[i], &measurement);
    return good;
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

bool bench_run_problem(clattn_context *ctx, const bench_options *options, int index, bench_result *results)
{
    const bench_problem *problem = &options->problems[index];
    if (options->replay.trace.path)
        return bench_replay_measure(ctx, problem, &options->replay, options->runs, results);
    bench_operands operands;
    tool_progress("filling the KV cache on %s", clattn_context_device(ctx)->name);
    if (!bench_operands_init(&operands, ctx, problem, &options->operations))
        return false;
    call_list list = {0};
    bool good = add_calls(&list, &operands, options);
    for (int i = 0; good && i < list.num_operations; i++)
        results[i] = bench_result_of(&list.calls[i]);
    good = good && (options->overhead ? time_overheads(&list, options->runs, results)
                                      : time_calls(&operands, &list, options->runs, results));
    finish_calls(&list);
    bench_operands_finish(&operands);
    return good;
}
