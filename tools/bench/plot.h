/* SPDX-License-Identifier: Apache-2.0 */
/* A roofline picture of the results, drawn by gnuplot. */
#ifndef BENCH_PLOT_H
#define BENCH_PLOT_H

#include <cjson/cJSON.h>
#include <stdbool.h>

/*
 * Writes an SVG: flops per byte against GFLOP/s, a point for each result of a record of times, under the roof that the
 * medians of the measured rates make.
 */
bool bench_plot_write(const cJSON *record, const char *path);

#endif
