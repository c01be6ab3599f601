/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts for gnuplot over the events of a journal. */
#include "tune/charts.h"

#include "common/file.h"
#include "common/folder.h"
#include "common/gnuplot.h"
#include "common/json.h"
#include "common/message.h"
#include "tune/journal.h"
#include "tune/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Small enough that its texts can be read on a phone. */
#define TERMINAL "svg size 480,320 dynamic font 'sans-serif,13' noenhanced background 'white' name 'chart'"
#define PICTURE_NAME "chart.svg"

#define NUM_PLACES 7 /* points of one value stand beside each other, in so many places */
#define PLACE_WIDTH 0.08

#define MIN_MICROSECONDS 0.1
#define MAX_MICROSECONDS 1e9

/* What a script is made of. */
typedef struct picture {
    const tune_history *history;
    const cJSON *values; /* of a parameter */
} picture;

static bool is_timed(const tune_history *history, const cJSON *event)
{
    return tune_event_is(event, TUNE_EVENT_TRIAL, history->task) && tool_json_number(event, "gain") > 0.0;
}

/* The trial with the largest gain; NULL without one. */
static const cJSON *best_of(const tune_history *history)
{
    const cJSON *best = NULL;
    const cJSON *event = NULL;
    cJSON_ArrayForEach(event, history->events)
    {
        if (is_timed(history, event) && (!best || tool_json_number(event, "gain") > tool_json_number(best, "gain")))
            best = event;
    }
    return best;
}

/* The place of a value among those of the parameter; -1 if it is none of them. */
static int index_of(const cJSON *values, double value)
{
    int index = 0;
    const cJSON *known = NULL;
    cJSON_ArrayForEach(known, values)
    {
        if (known->valuedouble == value)
            return index;
        index++;
    }
    return -1;
}

/* A point for each trial, the best one in a block of its own. */
static void write_times(const picture *drawn, const cJSON *best, bool of_best, FILE *script)
{
    const cJSON *event = NULL;
    int count = 0;
    fprintf(script, "$%s << END\n", of_best ? "best" : "tiles");
    cJSON_ArrayForEach(event, drawn->history->events)
    {
        if (!is_timed(drawn->history, event) || (event == best) != of_best)
            continue;
        const cJSON *parameters = cJSON_GetObjectItemCaseSensitive(event, "parameters");
        const int index = index_of(drawn->values, tool_json_number(parameters, drawn->values->string));
        const int place = of_best ? 0 : count++ % NUM_PLACES - NUM_PLACES / 2;
        if (index >= 0)
            fprintf(script, "%.3f %.6g\n", index + place * PLACE_WIDTH, tool_json_number(event, "time_us"));
    }
    fputs("END\n", script);
}

/* 1, 2 and 5 of every decade: powers of ten alone leave many a picture without a number. */
static void write_time_tics(FILE *script)
{
    const char *separator = "set ytics (";
    for (double decade = MIN_MICROSECONDS; decade <= MAX_MICROSECONDS; decade *= 10.0) {
        fprintf(script, "%s%g, %g, %g", separator, decade, 2.0 * decade, 5.0 * decade);
        separator = ", ";
    }
    fputs(")\n", script);
}

/* A tool_gnuplot_writer over a picture. */
static void draw_parameter(const void *user, FILE *script)
{
    const picture *drawn = user;
    const cJSON *best = best_of(drawn->history);
    write_times(drawn, best, false, script);
    write_times(drawn, best, true, script);
    fputs("set xlabel ", script);
    tool_gnuplot_quote(drawn->values->string, script);
    fputs("\nset ylabel 'microseconds'\nset logscale y\nset grid ytics\nset key off\n", script);
    write_time_tics(script);
    fputs("set xtics (", script);
    int index = 0;
    const cJSON *value = NULL;
    cJSON_ArrayForEach(value, drawn->values)
    {
        fprintf(script, "%s'%g' %d", index > 0 ? ", " : "", value->valuedouble, index);
        index++;
    }
    fprintf(script,
            ")\nset xrange [-0.5:%d.5]\n"
            "plot $tiles using 1:2 with points pointtype 7 pointsize 0.4 linecolor '#4878a8', "
            "$best using 1:2 with points pointtype 7 pointsize 0.8 linecolor '#c03020'\n",
            index - 1);
}

/* The gain and the time of the search in which it was found; the time between two processes does not count. */
static void write_gains(const tune_history *history, FILE *script)
{
    double elapsed = 0.0;
    double last = 0.0;
    double best = 0.0;
    const cJSON *event = NULL;
    fputs("$gains << END\n", script);
    cJSON_ArrayForEach(event, history->events)
    {
        const double now = tool_json_number(event, "time");
        if (last > 0.0 && now > last && !tune_event_is(event, TUNE_EVENT_RESUME, NULL))
            elapsed += now - last;
        last = now;
        if (!is_timed(history, event))
            continue;
        const double gain = tool_json_number(event, "gain");
        best = gain > best ? gain : best;
        fprintf(script, "%.1f %.6g %.6g\n", elapsed, gain, best);
    }
    fputs("END\n", script);
}

/* A tool_gnuplot_writer over a picture. */
static void draw_time(const void *user, FILE *script)
{
    const picture *drawn = user;
    write_gains(drawn->history, script);
    fputs("set xlabel 'seconds of the search'\n"
          "set ylabel 'times as fast as the default'\n"
          "set grid\n"
          "set key outside bottom center horizontal\n"
          "set yrange [0:*]\nset offsets graph 0, graph 0, graph 0.05, graph 0\n"
          "plot $gains using 1:2 with points pointtype 7 pointsize 0.4 linecolor '#4878a8' title 'a tile', "
          "$gains using 1:3 with steps linewidth 2 linecolor '#c03020' title 'the best so far'\n",
          script);
}

/* The picture without what stands before it in a file of its own. */
static char *draw(tool_gnuplot_writer writer, const picture *drawn, const char *folder)
{
    char path[TOOL_PATH_BYTES + sizeof PICTURE_NAME];
    snprintf(path, sizeof path, "%s/" PICTURE_NAME, folder);
    if (!tool_gnuplot_draw(path, TERMINAL, writer, drawn))
        return NULL;
    char *text = tool_file_read(path);
    char *svg = text ? strstr(text, "<svg") : NULL;
    if (!svg) {
        (void)tool_error("gnuplot drew nothing: %s", text ? "no SVG" : strerror(errno));
        free(text);
        return NULL;
    }
    memmove(text, svg, strlen(svg) + 1);
    return text;
}

char *tune_chart_of_parameter(const tune_history *history, const cJSON *values, const char *folder)
{
    const picture drawn = {.history = history, .values = values};
    return draw(draw_parameter, &drawn, folder);
}

char *tune_chart_of_time(const tune_history *history, const char *folder)
{
    const picture drawn = {.history = history};
    return draw(draw_time, &drawn, folder);
}
