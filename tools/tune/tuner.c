/* SPDX-License-Identifier: Apache-2.0 */
/* See tuner.h. */
#include "tune/tuner.h"

#include "bench/clock.h"
#include "common/message.h"
#include "tune/crashes.h"
#include "tune/database.h"
#include "tune/interrupt.h"
#include "tune/ledger.h"
#include "tune/search.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define HOPELESS_GAIN 0.7
#define NUM_FINALISTS 3
#define FINAL_FACTOR 3 /* rounds of the final match, for one of a trial */
#define SAMPLE_SECONDS 0.02
#define NUM_REVIVALS 3
#define REVIVAL_SECONDS 2
#define BAR_STEPS 1000

/* The search of a task at work. */
typedef struct tuner {
    const tune_session *session;
    const tune_task *task;
    double end;        /* of the task */
    double search_end; /* what is behind it belongs to the final match */
    tune_proof proof;
    tune_trial trial; /* of the next tile */
    tune_ledger ledger;
    tune_crashes crashes;
    cJSON *kernel;
    tune_figures baseline; /* the default against itself */
    int num_trials;        /* that went well, in this process */
    double trials_s;       /* that they took */
    bool failed;           /* the whole search has to end */
} tuner;

const char *tune_verdict_name_at(int index)
{
    static const char *const names[TUNE_NUM_VERDICTS] = {
        [TUNE_UNTRIED] = "untried", [TUNE_KEPT] = "default", [TUNE_TUNED] = "tuned"};
    return index >= 0 && index < TUNE_NUM_VERDICTS ? names[index] : NULL;
}

static double best_gain(const tuner *state)
{
    const tune_entry *best = NULL;
    return tune_ledger_best(&state->ledger, 1, &best) > 0 ? best->figures.gain : 1.0;
}

static int count_tried(const tuner *state)
{
    int count = 0;
    for (int outcome = 0; outcome < TUNE_NUM_OUTCOMES; outcome++)
        count += tune_ledger_count(&state->ledger, (tune_outcome)outcome);
    return count;
}

/* The bar is that of the budget: how many tiles fit into it nobody knows. */
static void draw(const tuner *state, const clattn_tile *tile, const char *news)
{
    const tune_session *session = state->session;
    const double budget_s = session->end - session->begin;
    const double left_s = fmax(0.0, session->end - bench_now());
    const int num_tried = count_tried(state);
    char text[TUNE_TILE_TEXT_BYTES];
    tune_space_print(&state->task->space, tile, text);
    tool_progress_bar((int)(BAR_STEPS * (1.0 - left_s / budget_s)), BAR_STEPS,
                      "%s: %d of %lld tiles, %d failed, best %.2fx, %.0f s left; %s: %s", state->task->name, num_tried,
                      (long long)state->task->num_usable, num_tried - tune_ledger_count(&state->ledger, TUNE_OK),
                      best_gain(state), left_s, text, news);
}

/* A tile that is being tried. */
typedef struct tile_at_work {
    const tuner *state;
    const clattn_tile *tile;
} tile_at_work;

static void draw_waiting(void *user)
{
    const tile_at_work *work = user;
    if (tool_progress_is_live())
        draw(work->state, work->tile, "...");
}

static void draw_result(const tuner *state, const clattn_tile *tile, const tune_child_result *result,
                        const tune_figures *figures)
{
    char news[TUNE_REASON_BYTES + 32];
    if (result->outcome == TUNE_OK)
        snprintf(news, sizeof news, "%.2fx", figures->gain);
    else
        snprintf(news, sizeof news, "%s: %s", tune_outcome_name_at((int)result->outcome), result->reason);
    draw(state, tile, news);
}

/* Tries a tile on a problem of the task's, in a child. */
static tune_child_result try_tile(tuner *state, const bench_problem *problem, const clattn_tile *tile, int runs,
                                  double deadline, tune_figures *figures)
{
    tune_trial trial = state->trial;
    trial.problem = problem;
    trial.tile = *tile;
    if (runs > trial.runs)
        trial.run_limit_s *= (double)runs / trial.runs;
    trial.runs = runs;
    *figures = (tune_figures){.time_s = 0.0};
    tile_at_work work = {state, tile};
    const tune_child_params params = {.function = tune_trial_run,
                                      .user = &trial,
                                      .answer = figures,
                                      .answer_bytes = sizeof *figures,
                                      .start_limit_s = trial.build_limit_s,
                                      .deadline = deadline,
                                      .wait = draw_waiting,
                                      .wait_user = &work};
    const double start = bench_now();
    const tune_child_result result = tune_child_run(&params);
    if (result.outcome == TUNE_OK) {
        state->num_trials++;
        state->trials_s += bench_now() - start;
    }
    if (result.lost)
        state->failed =
            !tool_error("%s: %s, and the driver does not let go of the process", state->task->name, result.reason);
    return result;
}

static double mean_trial_s(const tuner *state)
{
    return state->trials_s / fmax(1.0, state->num_trials);
}

/* What the final match may take. */
static double final_s(const tuner *state)
{
    const double round_s = 2.0 * fmax(SAMPLE_SECONDS, state->baseline.default_s);
    return 1.5 *
           ((1 + TUNE_NUM_OTHERS) * mean_trial_s(state) + (FINAL_FACTOR - 1) * state->session->options->runs * round_s);
}

/* Whether the device still does what it did before something went wrong. A reset may take it some seconds. */
static bool is_alive(tuner *state, tune_child_result *result)
{
    for (int i = 0; i < NUM_REVIVALS; i++) {
        tune_figures figures;
        if (i > 0)
            nanosleep(&(struct timespec){.tv_sec = REVIVAL_SECONDS}, NULL);
        *result = try_tile(state, &state->task->problem, &state->task->space.default_tile, 1, state->end, &figures);
        if (result->outcome == TUNE_OK || result->outcome == TUNE_STOPPED || state->failed)
            return !state->failed;
    }
    return false;
}

/* Remembers a tile that took the driver down, unless the device itself is what failed. */
static bool blame(tuner *state, const clattn_tile *tile, const tune_child_result *result)
{
    tune_child_result revival;
    if (!is_alive(state, &revival)) {
        return state->failed || tool_error("%s: %s; since then the default fails as well: %s", state->task->name,
                                           result->reason, revival.reason);
    }
    cJSON *parameters = tune_task_parameters(state->task, tile);
    const bool good = parameters ? tune_crashes_add(&state->crashes, parameters, result->reason, result->limit_s)
                                 : tool_error("out of memory");
    cJSON_Delete(parameters);
    return good;
}

/* Keeps what came of a tile: in the ledger, in the journal, and on the screen. */
static bool keep(tuner *state, int64_t point, const clattn_tile *tile, const tune_child_result *result,
                 const tune_figures *figures)
{
    if (!tune_ledger_set(&state->ledger, point, result->outcome, figures) ||
        !tune_journal_append(state->session->journal,
                             tune_ledger_event(state->task, TUNE_EVENT_TRIAL, tile, result, figures)))
        return false;
    draw_result(state, tile, result, figures);
    return true;
}

/* What an earlier search remembers of a tile. */
static bool is_known_to_crash(const tuner *state, const clattn_tile *tile, tune_child_result *result)
{
    const tune_options *options = state->session->options;
    cJSON *parameters = tune_task_parameters(state->task, tile);
    const char *reason =
        tune_crashes_find(&state->crashes, parameters, fmax(options->build_limit_s, options->run_limit_s));
    *result = (tune_child_result){.outcome = TUNE_CRASHED};
    if (reason)
        snprintf(result->reason, sizeof result->reason, "%s (in an earlier search)", reason);
    cJSON_Delete(parameters);
    return reason != NULL;
}

/* Whether there is time for another tile, and a wish. */
static bool may_go_on(const tuner *state)
{
    const int32_t most = state->session->options->max_candidates;
    return !state->failed && tune_interrupt_signal() == 0 && bench_now() + mean_trial_s(state) <= state->search_end &&
           (most == 0 || count_tried(state) <= most);
}

/* Notes an event of a tile that has no outcome. */
static bool note(const tuner *state, const char *kind, const clattn_tile *tile)
{
    return tune_journal_append(state->session->journal, tune_ledger_event(state->task, kind, tile, NULL, NULL));
}

/* Tries a tile that nothing is known of; false ends the search. */
static bool try_point(tuner *state, int64_t point)
{
    const clattn_tile tile = tune_space_tile(&state->task->space, point);
    tune_child_result result;
    tune_figures figures = {.time_s = 0.0};
    if (!is_known_to_crash(state, &tile, &result)) {
        state->failed = !note(state, TUNE_EVENT_START, &tile);
        if (state->failed)
            return false;
        result =
            try_tile(state, &state->task->problem, &tile, state->session->options->runs, state->search_end, &figures);
        if (result.outcome == TUNE_STOPPED)
            state->failed = !note(state, TUNE_EVENT_STOP, &tile) || state->failed;
        if (result.outcome == TUNE_STOPPED || state->failed)
            return false;
        if (result.outcome == TUNE_CRASHED || result.outcome == TUNE_HUNG)
            state->failed = !blame(state, &tile, &result) || state->failed;
    }
    state->failed = state->failed || !keep(state, point, &tile, &result, &figures);
    return !state->failed;
}

/* A tune_evaluate over a tuner. */
static bool evaluate(void *user, int64_t point, double *score)
{
    tuner *state = user;
    const tune_entry *entry = tune_ledger_find(&state->ledger, point);
    if (!entry) {
        if (!may_go_on(state) || !try_point(state, point))
            return false;
        entry = tune_ledger_find(&state->ledger, point);
    }
    *score = entry->outcome == TUNE_OK ? entry->figures.gain : 0.0;
    return true;
}

static int64_t step(void *user, int64_t point, int dimension, int distance)
{
    const tuner *state = user;
    return tune_space_step(&state->task->space, point, dimension, distance);
}

/* The default against itself: whether it works at all, and how restless the machine is. */
static tune_outcome measure_baseline(tuner *state)
{
    const clattn_tile *tile = &state->task->space.default_tile;
    const int64_t point = tune_space_point(&state->task->space, tile);
    tool_progress("%s: the default tile against itself", state->task->name);
    const tune_child_result result =
        try_tile(state, &state->task->problem, tile, state->session->options->runs, state->end, &state->baseline);
    if (result.outcome == TUNE_OK) {
        tune_figures even = state->baseline;
        even.gain = 1.0; /* by definition: what was measured is noise */
        state->search_end = state->end - final_s(state);
        state->failed = !keep(state, point, tile, &result, &even);
    } else if (result.outcome == TUNE_STOPPED && tune_interrupt_signal() == 0) {
        (void)tool_error("%s: the budget ended before the default tile was measured; --budget should be larger",
                         state->task->name);
    } else if (result.outcome != TUNE_STOPPED && !state->failed) {
        (void)tool_error("%s: the default tile itself: %s: %s", state->task->name,
                         tune_outcome_name_at((int)result.outcome), result.reason);
    }
    return result.outcome;
}

/* What the tuning file has for this task, also with another driver, competes: so that a short search loses nothing. */
static void try_incumbents(tuner *state)
{
    cJSON *rows = tune_database_read(state->session->output);
    cJSON *own = tune_task_row(state->task, &state->task->space.default_tile);
    const cJSON *row = NULL;
    cJSON_ArrayForEach(row, rows)
    {
        if (!own || !tune_database_alike(row, own))
            continue;
        const int64_t point = tune_task_point(state->task, cJSON_GetObjectItemCaseSensitive(row, "parameters"));
        double score = 0.0;
        if (point >= 0 && state->task->usable[point])
            (void)evaluate(state, point, &score);
    }
    cJSON_Delete(own);
    cJSON_Delete(rows);
}

/* The best that is known: the default, an incumbent, or what the search that is continued has found. */
static int64_t start_point(const tuner *state)
{
    const tune_entry *best = NULL;
    return tune_ledger_best(&state->ledger, 1, &best) > 0
               ? best->point
               : tune_space_point(&state->task->space, &state->task->space.default_tile);
}

static bool search(tuner *state)
{
    const tune_options *options = state->session->options;
    const tune_space *space = &state->task->space;
    try_incumbents(state);
    const tune_landscape landscape = {
        .num_points = space->num_points,
        .num_dimensions = space->num_dimensions,
        .start = start_point(state),
        .usable = state->task->usable,
        .step = step,
        .evaluate = evaluate,
        .user = state,
    };
    return tune_search_run(&landscape, (tune_strategy)options->strategy, (uint64_t)options->seed) && !state->failed &&
           tune_interrupt_signal() == 0;
}

/* Plays a tile against the default; false if the search has to end. `played` is OK if that came to its end. */
static bool play(tuner *state, const bench_problem *problem, const clattn_tile *tile, int runs,
                 tune_child_result *played, tune_figures *figures)
{
    *played = try_tile(state, problem, tile, runs, state->end, figures);
    if (played->outcome == TUNE_STOPPED || state->failed)
        return !state->failed && tune_interrupt_signal() == 0;
    return tune_journal_append(state->session->journal,
                               tune_ledger_event(state->task, TUNE_EVENT_MATCH, tile, played, figures));
}

/* Whether a tile holds its own on the other batches of its class; false = the search has to end. */
static bool play_others(tuner *state, const clattn_tile *tile, bool *holds)
{
    *holds = true;
    for (int i = 0; i < TUNE_NUM_OTHERS && *holds; i++) {
        tune_child_result played;
        tune_figures figures;
        if (!play(state, &state->task->others[i], tile, state->session->options->runs, &played, &figures))
            return false;
        *holds = played.outcome == TUNE_OK && !tune_figures_lose(&figures);
        if (played.outcome == TUNE_OK && !*holds)
            tool_progress("%s: passed over, being slower on other lengths: %.2fx", state->task->name, figures.gain);
    }
    return true;
}

/* One of the best tiles against the default, longer than before; false if the search has to end. */
static bool play_finalist(tuner *state, const tune_entry *finalist, tune_result *result)
{
    const clattn_tile tile = tune_space_tile(&state->task->space, finalist->point);
    tune_child_result played;
    tune_figures figures;
    bool holds = false;
    if (!play(state, &state->task->problem, &tile, FINAL_FACTOR * state->session->options->runs, &played, &figures))
        return false;
    if (played.outcome != TUNE_OK || !tune_figures_win(&figures) ||
        (result->verdict == TUNE_TUNED && figures.gain <= result->figures.gain))
        return true;
    if (!play_others(state, &tile, &holds))
        return false;
    if (holds) {
        result->verdict = TUNE_TUNED;
        result->tile = tile;
        result->figures = figures;
    }
    return true;
}

static bool play_final(tuner *state, tune_result *result)
{
    const tune_entry *best[NUM_FINALISTS];
    const int num_finalists = tune_ledger_best(&state->ledger, NUM_FINALISTS, best);
    result->verdict = TUNE_KEPT;
    result->tile = state->task->space.default_tile;
    result->figures = state->baseline;
    result->figures.time_s = state->baseline.default_s; /* the same tile */
    result->figures.gain = 1.0;
    for (int i = 0; i < num_finalists; i++) {
        tool_progress("%s: final match %d of %d", state->task->name, i + 1, num_finalists);
        if (!play_finalist(state, best[i], result))
            return false;
    }
    return true;
}

/* A row of what was found. The default gets one as well: else the row of a similar task would answer for this one. */
static bool write_row(const tuner *state, const tune_result *result)
{
    char date[32];
    const time_t now = time(NULL);
    struct tm broken;
    strftime(date, sizeof date, "%Y-%m-%d", gmtime_r(&now, &broken));
    cJSON *rows = cJSON_CreateArray();
    cJSON *row = tune_task_row(state->task, &result->tile);
    bool good = (row && tune_ledger_add_figures(row, &result->figures) && cJSON_AddStringToObject(row, "date", date) &&
                 cJSON_AddItemToArray(rows, row)) ||
                tool_error("out of memory");
    good = good && tune_database_merge(state->session->output, rows);
    cJSON_Delete(rows);
    return good;
}

static bool write_done(const tuner *state, const tune_result *result)
{
    const tune_child_result good = {.outcome = TUNE_OK};
    cJSON *event = tune_ledger_event(state->task, TUNE_EVENT_DONE, &result->tile, &good, &result->figures);
    if (event && !cJSON_AddStringToObject(event, "verdict", tune_verdict_name_at((int)result->verdict))) {
        cJSON_Delete(event);
        event = NULL;
    }
    return tune_journal_append(state->session->journal, event);
}

/* What the journal says that the task came to; false = it has not ended. */
static bool read_done(const tuner *state, tune_result *result)
{
    const cJSON *event = NULL;
    cJSON_ArrayForEach(event, state->session->journal->events)
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "verdict"));
        const int64_t point = tune_task_point(state->task, cJSON_GetObjectItemCaseSensitive(event, "parameters"));
        if (!tune_event_is(event, TUNE_EVENT_DONE, state->task->name) || !name || point < 0)
            continue;
        const int verdict = tool_name_find(tune_verdict_name_at, name, strlen(name));
        result->verdict = verdict == TUNE_TUNED ? TUNE_TUNED : TUNE_KEPT;
        result->tile = tune_space_tile(&state->task->space, point);
        result->figures = tune_ledger_get_figures(event);
        return true;
    }
    return false;
}

/* From the default to the row. */
static bool run(tuner *state, tune_result *result)
{
    if (!tune_proof_init(&state->proof, &state->task->problem, state->task->operation, state->task->phase,
                         (uint64_t)state->session->options->seed))
        return false;
    const tune_outcome outcome = measure_baseline(state);
    if (outcome != TUNE_OK)
        return !state->failed && tune_interrupt_signal() == 0;
    if (!search(state))
        return false;
    if (count_tried(state) < 2 && state->task->num_usable > 1)
        return tool_error("%s: the budget leaves no time for a tile besides the default, whose trial took %.1f s",
                          state->task->name, mean_trial_s(state)) ||
               true;
    return play_final(state, result) && write_row(state, result) && write_done(state, result);
}

static bool init(tuner *state, const tune_session *session, const tune_task *task, double end)
{
    const tune_options *options = session->options;
    char path[TOOL_PATH_BYTES + 16];
    *state = (tuner){.session = session, .task = task, .end = end};
    state->trial = (tune_trial){
        .device = options->device,
        .family = task->space.target.query.family,
        .cache_dir = session->cache_dir,
        .operation = task->operation,
        .proof = &state->proof,
        .phase = task->phase,
        .default_tile = task->space.default_tile,
        .runs = options->runs,
        .hopeless = HOPELESS_GAIN,
        .build_limit_s = options->build_limit_s,
        .run_limit_s = options->run_limit_s,
    };
    snprintf(path, sizeof path, "%s.crashes", session->output);
    state->kernel = tune_task_kernel(task);
    return (state->kernel || tool_error("out of memory")) && tune_crashes_init(&state->crashes, path, state->kernel) &&
           tune_ledger_read(&state->ledger, task, session->journal->events);
}

bool tune_task_search(const tune_session *session, const tune_task *task, double end, tune_result *result)
{
    tuner state;
    *result = (tune_result){.verdict = TUNE_UNTRIED};
    bool good = init(&state, session, task, end);
    if (good && !read_done(&state, result))
        good = run(&state, result);
    result->num_tried = count_tried(&state);
    for (int outcome = 0; outcome < TUNE_NUM_OUTCOMES; outcome++)
        result->counts[outcome] = tune_ledger_count(&state.ledger, (tune_outcome)outcome);
    tune_proof_finish(&state.proof);
    tune_crashes_finish(&state.crashes);
    tune_ledger_finish(&state.ledger);
    cJSON_Delete(state.kernel);
    return good;
}
