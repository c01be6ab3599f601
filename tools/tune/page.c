/* SPDX-License-Identifier: Apache-2.0 */
/* The page of a search: a section for each task, with its result, pictures and tables. */
#include "tune/page.h"

#include "common/file.h"
#include "common/folder.h"
#include "common/json.h"
#include "common/message.h"
#include "tune/charts.h"
#include "tune/journal.h"
#include "tune/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUM_BEST 10 /* tiles that are listed */

/* All that is needed to write. */
typedef struct page {
    const cJSON *header;
    const cJSON *events;
    const char *folder; /* of pictures */
    FILE *out;
} page;

static const char head_text[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\">\n"
    "<head>\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>cl-tune</title>\n"
    "<style>\n"
    "body { margin: 0 auto; max-width: 70rem; padding: 0 1rem 2rem; font: 1rem/1.45 sans-serif; color: #222; "
    "background: #fff; overflow-wrap: anywhere; }\n"
    "h1 { font-size: 1.5rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; border-top: 1px solid #ccc; "
    "padding-top: 1rem; } h3 { font-size: 1rem; }\n"
    ".charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1rem; }\n"
    ".charts svg { width: 100%; height: auto; }\n"
    ".wide { overflow-x: auto; overflow-wrap: normal; }\n"
    "table { border-collapse: collapse; font-size: .875rem; }\n"
    "th, td { padding: .25rem .6rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }\n"
    "td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }\n"
    "code { font-size: .875em; }\n"
    "</style>\n"
    "</head>\n"
    "<body>\n";

/* A text of a journal may be anything that a driver says. */
static void write_text(const page *written, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", written->out);
            break;
        case '<':
            fputs("&lt;", written->out);
            break;
        case '>':
            fputs("&gt;", written->out);
            break;
        case '"':
            fputs("&quot;", written->out);
            break;
        default:
            fputc(*text, written->out);
        }
    }
}

/* A field of an object: a text, a number, or nothing. */
static void write_field(const page *written, const cJSON *object, const char *key)
{
    const cJSON *field = cJSON_GetObjectItemCaseSensitive(object, key);
    if (cJSON_IsNumber(field))
        fprintf(written->out, "%g", field->valuedouble);
    else
        write_text(written, tool_json_text(object, key));
}

static void write_parameters(const page *written, const cJSON *event)
{
    const cJSON *parameter = NULL;
    const char *separator = "";
    fputs("<code>", written->out);
    cJSON_ArrayForEach(parameter, cJSON_GetObjectItemCaseSensitive(event, "parameters"))
    {
        fputs(separator, written->out);
        write_text(written, parameter->string);
        fprintf(written->out, "=%g", parameter->valuedouble);
        separator = " ";
    }
    fputs("</code>", written->out);
}

static void write_heading(const page *written)
{
    static const char *const fields[] = {"driver",      "version",      "family",   "op",         "model",
                                         "num_q_heads", "num_kv_heads", "head_dim", "head_dim_v", "dtype",
                                         "kv_dtype",    "kv_layout",    "page_size"};
    fputs(head_text, written->out);
    fputs("<h1>", written->out);
    write_field(written, written->header, "device");
    fputs("</h1>\n<div class=\"wide\"><table>\n", written->out);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const cJSON *field = cJSON_GetObjectItemCaseSensitive(written->header, fields[i]);
        if (!field || cJSON_IsNull(field))
            continue;
        fprintf(written->out, "<tr><th>%s</th><td>", fields[i]);
        write_field(written, written->header, fields[i]);
        fputs("</td></tr>\n", written->out);
    }
    fputs("</table></div>\n", written->out);
}

/* The last event of a kind; NULL without one. */
static const cJSON *find_last(const page *written, const char *kind, const char *task)
{
    const cJSON *found = NULL;
    const cJSON *event = NULL;
    cJSON_ArrayForEach(event, written->events)
    {
        if (tune_event_is(event, kind, task))
            found = event;
    }
    return found;
}

static int count_events(const page *written, const char *kind, const char *task)
{
    int count = 0;
    const cJSON *event = NULL;
    cJSON_ArrayForEach(event, written->events) count += tune_event_is(event, kind, task);
    return count;
}

static void write_verdict(const page *written, const char *task)
{
    const cJSON *done = find_last(written, TUNE_EVENT_DONE, task);
    const int num_trials = count_events(written, TUNE_EVENT_TRIAL, task);
    fprintf(written->out, "<p>%d tile%s tried. ", num_trials, num_trials == 1 ? "" : "s");
    if (!done) {
        fputs("This task has not ended.</p>\n", written->out);
        return;
    }
    const double gain = tool_json_number(done, "gain");
    if (strcmp(tool_json_text(done, "verdict"), "tuned") == 0)
        fprintf(written->out, "<strong>%.3g times as fast as the default</strong>", gain);
    else
        fputs("<strong>The default stays</strong>", written->out);
    fprintf(written->out, " (noise %.1f %%): %.5g &micro;s, the default %.5g &micro;s, with ",
            tool_json_number(done, "noise") * 100.0, tool_json_number(done, "time_us"),
            tool_json_number(done, "default_time_us"));
    write_parameters(written, done);
    fputs(".</p>\n", written->out);
}

static bool write_chart(const page *written, char *svg)
{
    if (!svg)
        return false;
    fputs("<div>", written->out);
    fputs(svg, written->out);
    fputs("</div>\n", written->out);
    free(svg);
    return true;
}

static bool write_charts(const page *written, const cJSON *space)
{
    const tune_history history = {.task = space->string, .events = written->events};
    fputs("<div class=\"charts\">\n", written->out);
    bool good = write_chart(written, tune_chart_of_time(&history, written->folder));
    const cJSON *values = NULL;
    cJSON_ArrayForEach(values, space)
    {
        if (good && cJSON_GetArraySize(values) > 1)
            good = write_chart(written, tune_chart_of_parameter(&history, values, written->folder));
    }
    fputs("</div>\n", written->out);
    return good;
}

static int compare_gains(const void *a, const void *b)
{
    const double one = tool_json_number(*(const cJSON *const *)a, "gain");
    const double other = tool_json_number(*(const cJSON *const *)b, "gain");
    return (one < other) - (one > other);
}

static void write_best_rows(const page *written, const cJSON *const *timed, int count)
{
    fputs("<h3>The fastest tiles</h3>\n<div class=\"wide\"><table>\n<tr><th class=\"n\">gain</th>"
          "<th class=\"n\">noise</th><th class=\"n\">&micro;s</th><th>tile</th></tr>\n",
          written->out);
    for (int i = 0; i < count; i++) {
        fprintf(written->out, "<tr><td class=\"n\">%.3f</td><td class=\"n\">%.1f %%</td><td class=\"n\">%.5g</td><td>",
                tool_json_number(timed[i], "gain"), tool_json_number(timed[i], "noise") * 100.0,
                tool_json_number(timed[i], "time_us"));
        write_parameters(written, timed[i]);
        fputs("</td></tr>\n", written->out);
    }
    fputs("</table></div>\n", written->out);
}

/* Pictures and the fastest tiles, if some have been timed. */
static bool write_timed(const page *written, const cJSON *space)
{
    const cJSON **timed = calloc((size_t)cJSON_GetArraySize(written->events) + 1, sizeof *timed);
    if (!timed)
        return tool_error("out of memory");
    int count = 0;
    const cJSON *event = NULL;
    cJSON_ArrayForEach(event, written->events)
    {
        if (tune_event_is(event, TUNE_EVENT_TRIAL, space->string) && tool_json_number(event, "gain") > 0.0)
            timed[count++] = event;
    }
    qsort(timed, (size_t)count, sizeof *timed, compare_gains);
    const bool good = count == 0 || write_charts(written, space);
    if (count > 0)
        write_best_rows(written, timed, count < NUM_BEST ? count : NUM_BEST);
    free(timed);
    return good;
}

/* Tiles that were tried and are of no use. */
static void write_failures(const page *written, const char *task)
{
    bool any = false;
    const cJSON *event = NULL;
    cJSON_ArrayForEach(event, written->events)
    {
        if (!tune_event_is(event, TUNE_EVENT_TRIAL, task) || strcmp(tool_json_text(event, "outcome"), "ok") == 0)
            continue;
        if (!any)
            fputs("<h3>Failed</h3>\n<div class=\"wide\"><table>\n<tr><th>outcome</th><th>tile</th><th>reason</th>"
                  "</tr>\n",
                  written->out);
        any = true;
        fputs("<tr><td>", written->out);
        write_field(written, event, "outcome");
        fputs("</td><td>", written->out);
        write_parameters(written, event);
        fputs("</td><td>", written->out);
        write_field(written, event, "reason");
        fputs("</td></tr>\n", written->out);
    }
    if (any)
        fputs("</table></div>\n", written->out);
}

/* Tiles that were left out without being built; a reason stands for all that differ in numbers only. */
static void write_rejections(const page *written, const char *task)
{
    const cJSON *rejected = find_last(written, TUNE_EVENT_REJECTED, task);
    const cJSON *reasons = cJSON_GetObjectItemCaseSensitive(rejected, "left_out");
    if (cJSON_GetArraySize(reasons) == 0)
        return;
    fputs("<h3>Left out</h3>\n<div class=\"wide\"><table>\n<tr><th class=\"n\">tiles</th><th>for example since</th>"
          "</tr>\n",
          written->out);
    const cJSON *reason = NULL;
    cJSON_ArrayForEach(reason, reasons)
    {
        fprintf(written->out, "<tr><td class=\"n\">%.0f</td><td>", tool_json_number(reason, "num_tiles"));
        write_field(written, reason, "example");
        fputs("</td></tr>\n", written->out);
    }
    fputs("</table></div>\n", written->out);
}

static bool write_tasks(const page *written)
{
    const cJSON *spaces = cJSON_GetObjectItemCaseSensitive(written->header, "tasks");
    const cJSON *space = NULL;
    bool good = true;
    cJSON_ArrayForEach(space, spaces)
    {
        fputs("<h2>", written->out);
        write_text(written, space->string);
        fputs("</h2>\n", written->out);
        write_verdict(written, space->string);
        good = good && write_timed(written, space);
        write_failures(written, space->string);
        write_rejections(written, space->string);
    }
    fputs("</body>\n</html>\n", written->out);
    return good;
}

/* The whole page in memory: nothing is written unless all of it is there. */
static bool write_page(const cJSON *header, const cJSON *events, const char *folder, const char *path)
{
    char *text = NULL;
    size_t num_bytes = 0;
    page written = {.header = header, .events = events, .folder = folder, .out = open_memstream(&text, &num_bytes)};
    if (!written.out)
        return tool_error("out of memory");
    write_heading(&written);
    bool good = write_tasks(&written);
    const bool has_failed = ferror(written.out) != 0;
    if (fclose(written.out) != 0 || has_failed)
        good = tool_error("out of memory");
    good = good && tool_file_replace(path, text);
    free(text);
    return good;
}

bool tune_page_write(const char *journal_path, const char *path)
{
    char folder[TOOL_PATH_BYTES];
    cJSON *events = tune_journal_read(journal_path);
    if (!events)
        return false;
    cJSON *header = cJSON_DetachItemFromArray(events, 0);
    bool good = tool_folder_make("clattn_tune", folder);
    if (good) {
        good = write_page(header, events, folder, path);
        tool_folder_remove(folder);
    }
    cJSON_Delete(header);
    cJSON_Delete(events);
    return good;
}
