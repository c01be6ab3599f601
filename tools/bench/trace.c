/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a trace line by line. */
#include "bench/trace.h"

#include "common/message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 256
#define MAX_TOKENS 1000000000 /* of a prompt or an answer: their sum is an int32 */

/* Days from 1970-01-01, in the Gregorian calendar: years begin in March, so that the leap day is a year's last. */
static int64_t days_of(int year, int month, int day)
{
    const int64_t shifted_year = year - (month <= 2);
    const int64_t months_since_march = (month + 9) % 12;
    const int64_t leap_days = shifted_year / 4 - shifted_year / 100 + shifted_year / 400;
    return shifted_year * 365 + leap_days + (153 * months_since_march + 2) / 5 + day - 1 - 719468;
}

/* Seconds of a time of day behind midnight of 1970-01-01; *end is where the text of it ends. */
static bool parse_time(const char *text, double *seconds, int *end)
{
    int year = 0;
    int month = 0;
    int day = 0;
    int hour = 0;
    int minute = 0;
    double second = 0.0;
    *end = 0;
    const int count = sscanf(text, "%4d-%2d-%2d %2d:%2d:%10lf%n", &year, &month, &day, &hour, &minute, &second, end);
    if (count != 6 || year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 23 ||
        minute < 0 || minute > 59 || !(second >= 0.0 && second < 61.0))
        return false;
    *seconds = (double)days_of(year, month, day) * 86400.0 + hour * 3600.0 + minute * 60.0 + second;
    return true;
}

static bool parse_line(const char *line, double *seconds, bench_request *request)
{
    int time_end = 0;
    if (!parse_time(line, seconds, &time_end) || line[time_end] != ',')
        return false;
    char *stop = NULL;
    const long prompt = strtol(line + time_end + 1, &stop, 10);
    if (*stop != ',')
        return false;
    const char *generated_text = stop + 1;
    const long generated = strtol(generated_text, &stop, 10);
    if (stop == generated_text || *stop != '\0' || prompt < 1 || prompt > MAX_TOKENS || generated < 1 ||
        generated > MAX_TOKENS)
        return false;
    request->prompt_tokens = (int32_t)prompt;
    request->generated_tokens = (int32_t)generated;
    return true;
}

/* The next line without its end; false at the end of the file. */
static bool next_line(FILE *file, char line[LINE_BYTES])
{
    if (!fgets(line, LINE_BYTES, file))
        return false;
    line[strcspn(line, "\r\n")] = '\0';
    return true;
}

static bool read_requests(bench_trace *trace, FILE *file, int32_t limit)
{
    char line[LINE_BYTES];
    if (!next_line(file, line) || strcmp(line, "TIMESTAMP,ContextTokens,GeneratedTokens") != 0)
        return tool_error("%s:1: should be TIMESTAMP,ContextTokens,GeneratedTokens", trace->path);
    double first_s = 0.0;
    while (trace->num_requests < limit && next_line(file, line)) {
        bench_request *request = &trace->requests[trace->num_requests];
        const int line_number = trace->num_requests + 2;
        double seconds = 0.0;
        if (!parse_line(line, &seconds, request))
            return tool_error("%s:%d: should be a time, prompt tokens and generated tokens, not '%s'", trace->path,
                              line_number, line);
        if (trace->num_requests == 0)
            first_s = seconds;
        request->arrival_s = seconds - first_s;
        if (trace->num_requests > 0 && request->arrival_s < request[-1].arrival_s)
            return tool_error("%s:%d: arrives before the request above it", trace->path, line_number);
        trace->num_requests++;
    }
    return trace->num_requests > 0 || tool_error("%s: has no requests", trace->path);
}

bool bench_trace_read(bench_trace *trace, const char *path, int32_t limit)
{
    *trace = (bench_trace){.path = path, .requests = calloc((size_t)limit, sizeof *trace->requests)};
    FILE *file = fopen(path, "r");
    bool good = false;
    if (!trace->requests)
        (void)tool_error("out of memory");
    else if (!file)
        (void)tool_error("cannot open %s: %s", path, strerror(errno));
    else
        good = read_requests(trace, file, limit);
    if (file)
        fclose(file);
    if (!good)
        bench_trace_finish(trace);
    return good;
}

void bench_trace_finish(bench_trace *trace)
{
    free(trace->requests);
    *trace = (bench_trace){0};
}

int32_t bench_request_kv_tokens(const bench_request *request)
{
    return request->prompt_tokens + request->generated_tokens - 1;
}
