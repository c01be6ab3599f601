/* SPDX-License-Identifier: Apache-2.0 */
/* The script of a roofline for gnuplot. */
#include "bench/plot.h"

#include "bench/statistics.h"
#include "common/gnuplot.h"
#include "common/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LABELS 40

static const cJSON *results_of(const cJSON *record)
{
    return cJSON_GetObjectItemCaseSensitive(record, "results");
}

/* The median of a rate over the results; 0 for want of memory. */
static double median_of(const cJSON *record, const char *key)
{
    const int count = cJSON_GetArraySize(results_of(record));
    double *samples = calloc((size_t)count + 1, sizeof *samples);
    double median = 0.0;
    int i = 0;
    for (const cJSON *result = results_of(record)->child; samples && result; result = result->next)
        samples[i++] = tool_json_number(result, key);
    if (samples && count > 0)
        median = bench_quartiles_of(samples, (size_t)count).median;
    free(samples);
    return median;
}

/* Whether not all results say the same there. */
static bool varies(const cJSON *record, const char *key)
{
    const cJSON *first = results_of(record)->child;
    for (const cJSON *result = first; result; result = result->next) {
        if (strcmp(tool_json_text(result, key), tool_json_text(first, key)) != 0)
            return true;
    }
    return false;
}

/* What tells a point from the others of its series; nothing among so many that nobody could read it. */
static void write_label(const cJSON *record, const cJSON *result, FILE *script)
{
    static const char *const keys[] = {"model", "layer", "kv_dtype", "layout", "op"};
    const char *separator = "";
    fputc('"', script);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (cJSON_GetArraySize(results_of(record)) > MAX_LABELS || !varies(record, keys[i]) ||
            strcmp(tool_json_text(result, keys[i]), "all") == 0)
            continue;
        fprintf(script, "%s%s", separator, tool_json_text(result, keys[i]));
        separator = " ";
    }
    fputc('"', script);
}

/* The first result with the same workload: a series is all that have one. */
static const cJSON *first_of_series(const cJSON *record, const cJSON *result)
{
    const cJSON *first = results_of(record)->child;
    while (strcmp(tool_json_text(first, "workload"), tool_json_text(result, "workload")) != 0)
        first = first->next;
    return first;
}

/* A data block for each series, $series0 and on; strings stand between double quotes, and names have none. */
static void write_series(const cJSON *record, FILE *script)
{
    int count = 0;
    for (const cJSON *first = results_of(record)->child; first; first = first->next) {
        if (first_of_series(record, first) != first)
            continue;
        fprintf(script, "$series%d << END_OF_SERIES\n", count++);
        for (const cJSON *result = first; result; result = result->next) {
            if (first_of_series(record, result) != first)
                continue;
            fprintf(script, "%.9g %.9g ", tool_json_number(result, "flops") / tool_json_number(result, "bytes"),
                    tool_json_number(result, "gflops"));
            write_label(record, result, script);
            fputc('\n', script);
        }
        fputs("END_OF_SERIES\n", script);
    }
}

/* The least and the greatest x of all series. */
static void write_range(const cJSON *record, FILE *script)
{
    double least = HUGE_VAL;
    double greatest = 0.0;
    for (const cJSON *result = results_of(record)->child; result; result = result->next) {
        least = fmin(least, tool_json_number(result, "flops") / tool_json_number(result, "bytes"));
        greatest = fmax(greatest, tool_json_number(result, "flops") / tool_json_number(result, "bytes"));
    }
    fprintf(script, "x_min = %.9g\nx_max = %.9g\n", least, greatest);
}

/* The roof and the points under it, each series in the colour that the key gives its workload. */
static void write_plot(const cJSON *record, FILE *script)
{
    int index = 0;
    fputs("plot roof(x) with lines linewidth 2 linecolor 'black' title "
          "sprintf('%.1f GFLOP/s, %.1f GB/s measured', peak, bandwidth)",
          script);
    for (const cJSON *first = results_of(record)->child; first; first = first->next) {
        if (first_of_series(record, first) != first)
            continue;
        const char *workload = tool_json_text(first, "workload");
        fprintf(script, ", \\\n     $series%d using 1:2 with points pointtype 7 linecolor %d title ", index, index + 1);
        tool_gnuplot_quote(*workload ? workload : "attention", script);
        fprintf(script, ", \\\n     $series%d using 1:2:3 with labels left offset 0.7,0 font ',9' notitle", index);
        index++;
    }
    fputc('\n', script);
}

/* A tool_gnuplot_writer over a record. */
static void write_script(const void *user, FILE *script)
{
    const cJSON *record = user;
    const cJSON *first = results_of(record)->child;
    fputs("set title ", script);
    tool_gnuplot_quote(tool_json_text(first, "device"), script);
    fprintf(script, "\npeak = %.9g\nbandwidth = %.9g\n", median_of(record, "peak_gflops"),
            median_of(record, "read_gbytes_per_s"));
    write_range(record, script);
    write_series(record, script);
    fputs("roof(x) = bandwidth * x < peak ? bandwidth * x : peak\n"
          "ridge = peak / bandwidth\n"
          "set xrange [(x_min < ridge ? x_min : ridge) / 4 : (x_max > ridge ? x_max : ridge) * 16]\n"
          "set logscale xy\n"
          "set samples 1000\n"
          "set grid\n"
          "set key bottom right\n"
          "set xlabel 'flops per byte'\n"
          "set ylabel 'GFLOP/s'\n",
          script);
    write_plot(record, script);
}

bool bench_plot_write(const cJSON *record, const char *path)
{
    return tool_gnuplot_draw(path, "svg size 1100,700 noenhanced background rgb 'white'", write_script, record);
}
