/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of a survey. */
#include "info/report.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

const info_device *info_find_device(const info_survey *survey, const info_file *file)
{
    for (int i = 0; i < survey->num_devices; i++) {
        const clattn_device_facts *facts = &survey->devices[i].facts;
        if (strcmp(file->texts[INFO_DEVICE], facts->name) == 0 &&
            strcmp(file->texts[INFO_VENDOR], facts->vendor) == 0 &&
            strcmp(file->texts[INFO_PLATFORM], facts->platform) == 0 &&
            strcmp(file->texts[INFO_DRIVER], facts->driver) == 0)
            return &survey->devices[i];
    }
    return NULL;
}

/* As "48 KiB", or with one decimal where that says more. */
static void print_bytes(uint64_t num_bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)num_bytes;
    int unit = 0;
    while (value >= 1024.0 && unit < 4) {
        value /= 1024.0;
        unit++;
    }
    const bool whole = value >= 100.0 || (double)(uint64_t)value == value;
    printf("%.*f %s", whole ? 0 : 1, value, units[unit]);
}

static void print_facts(const clattn_device_facts *facts)
{
    printf("  platform     %s\n", facts->platform);
    printf("  vendor       %s\n", facts->vendor);
    printf("  driver       %s\n", facts->driver);
    printf("  type         %s%s%s, %u compute units, float32 vectors of %u\n", clattn_device_type_name(facts->type),
           facts->architecture[0] != '\0' ? " " : "", facts->architecture, facts->num_compute_units,
           facts->float_vector_width);
    printf("  work-groups  at most %u work-items, preferably multiples of %u; local memory of ",
           facts->max_work_group_size, facts->preferred_multiple);
    print_bytes(facts->local_memory_bytes);
    if (facts->narrowest_sub_group > 0)
        printf("; sub-groups from %u work-items", facts->narrowest_sub_group);
    if (facts->max_loop_iterations > 0)
        printf("; loops are ended after %u rounds", facts->max_loop_iterations);
    printf("\n  memory       ");
    print_bytes(facts->global_memory_bytes);
    printf(", in buffers of at most ");
    print_bytes(facts->max_allocation_bytes);
    printf("\n");
}

static void print_tile(const char *phase, const clattn_tuning_tile *tile)
{
    printf("%-7s %-12s %7d %8d %5d %5d %5d %3d %9.1f", phase, clattn_tuning_level_name(tile->level),
           (int)tile->tile.block_q, (int)tile->tile.block_kv, (int)tile->tile.work_group_size, (int)tile->tile.heads,
           (int)tile->tile.lanes, (int)tile->tile.sub_group_size, (double)tile->local_memory_bytes / 1024.0);
}

/* The row of the database that a tile is from. */
static void print_source(const char *phase, const clattn_tuning_tile *tile)
{
    if (tile->row[0] != '\0')
        printf("    %-7s as on %s\n", phase, tile->row);
}

/* What else a model asks of attention, below its name. */
static void print_options(const tool_shape *shape)
{
    char cap[32] = "";
    char window[32] = "";
    if (shape->logits_soft_cap > 0.0f)
        snprintf(cap, sizeof cap, "soft cap %g", (double)shape->logits_soft_cap);
    if (shape->alternate_window > 0)
        snprintf(window, sizeof window, "window %d/%d", (int)shape->sliding_window, (int)shape->alternate_window);
    else if (shape->sliding_window > 0)
        snprintf(window, sizeof window, "window %d", (int)shape->sliding_window);
    char text[80];
    snprintf(text, sizeof text, "%s%s%s%s", cap, shape->sinks ? "sinks" : "",
             (cap[0] != '\0' || shape->sinks) && window[0] != '\0' ? ", " : "", window);
    printf("    %-26s ", text);
}

static void print_row(const info_row *row)
{
    const tool_shape *shape = row->shape;
    const clattn_tuning_answer *answer = &row->answer;
    char heads[40];
    snprintf(heads, sizeof heads, "%d/%d/%d", (int)shape->num_q_heads, (int)shape->num_kv_heads, (int)shape->head_dim);
    printf("  %-16s %-11s ", shape->name, heads);
    if (row->status != CLATTN_OK) {
        printf("refused: %s (%s)\n", answer->refusal, clattn_status_name(row->status));
        return;
    }
    print_tile("decode", &answer->decode);
    printf(" %5d %6d %6d\n", (int)answer->decode_max_rows, (int)answer->target_groups, (int)answer->min_split_tokens);
    print_options(shape);
    print_tile("prefill", &answer->prefill);
    printf("\n");
    print_source("decode", &answer->decode);
    print_source("prefill", &answer->prefill);
}

static void print_device(const info_device *device, const info_options *options)
{
    printf("\ndevice %d: %s\n", (int)device->index, device->facts.name);
    print_facts(&device->facts);
    if (device->num_rows == 0) {
        printf("  cannot be used: %s\n", device->error);
        return;
    }
    printf("  family       %s: %s\n", clattn_family_name(device->family), device->rows[0].answer.family_reason);
    printf("  pages        %s\n\n", clattn_kv_layout_name((clattn_kv_layout)options->layout));
    printf("  %-16s %-11s %-7s %-12s %7s %8s %5s %5s %5s %3s %9s %5s %6s %6s\n", "model", "heads", "phase", "level",
           "block_q", "block_kv", "items", "heads", "lanes", "sub", "local KiB", "rows", "groups", "split");
    for (int i = 0; i < device->num_rows; i++)
        print_row(&device->rows[i]);
}

/* When something was used, to the minute. */
static void print_time(int64_t nanoseconds)
{
    const time_t seconds = (time_t)(nanoseconds / 1000000000);
    struct tm parts;
    char text[32] = "";
    if (gmtime_r(&seconds, &parts))
        strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts);
    printf("%s", text);
}

static void print_group(const info_survey *survey, int first, int end)
{
    const info_file *file = &survey->cache.files[first];
    const info_count count = info_cache_count(&survey->cache, first, end);
    const info_device *device = info_find_device(survey, file);
    printf("  %s, driver %s, clattn %s", file->texts[INFO_DEVICE], file->texts[INFO_DRIVER], file->texts[INFO_VERSION]);
    if (device)
        printf(" (device %d)", (int)device->index);
    printf("\n    %d program%s", count.num_programs, count.num_programs == 1 ? "" : "s");
    for (int kind = 0; kind < CLATTN_NUM_VERDICT_KINDS; kind++) {
        if (count.num_verdicts[kind] > 0)
            printf(", %d %s", count.num_verdicts[kind], clattn_verdict_kind_name((clattn_verdict_kind)kind));
    }
    printf(", ");
    print_bytes(count.num_bytes);
    printf(", last used ");
    print_time(count.last_used);
    printf("\n");
    for (int i = first; i < end; i++) {
        const info_file *verdict = &survey->cache.files[i];
        if (verdict->has_verdict)
            printf("    %-8s  %s%s%s (%s)\n", clattn_verdict_kind_name(verdict->verdict.kind),
                   verdict->texts[INFO_PROGRAM], verdict->verdict.reason[0] != '\0' ? ": " : "",
                   verdict->verdict.reason, verdict->texts[INFO_OPTIONS]);
    }
}

static void print_files(const info_cache *cache)
{
    for (int i = 0; i < cache->num_files; i++) {
        const info_file *file = &cache->files[i];
        printf("  %-9s %9llu  ", clattn_cache_file_state_name(file->state), (unsigned long long)file->num_bytes);
        print_time(file->used_nanoseconds);
        printf("  %s", file->texts[INFO_NAME]);
        if (file->state == CLATTN_CACHE_FILE_VALID)
            printf("  %s%s %s", file->has_verdict ? "verdict on " : "", file->texts[INFO_PROGRAM],
                   file->texts[INFO_OPTIONS]);
        printf("\n");
    }
}

/* How full it is, and since when. */
static void print_usage(const info_count *count)
{
    printf("  programs ");
    print_bytes(count->program_bytes);
    printf(", verdicts ");
    print_bytes(count->verdict_bytes);
    printf("; contexts keep ");
    print_bytes(CLATTN_CACHE_DEFAULT_MAX_BYTES);
    printf(" unless told otherwise\n");
    if (count->last_used == 0)
        return;
    printf("  last used ");
    print_time(count->last_used);
    printf(", the least recent file ");
    print_time(count->first_used);
    printf("\n");
}

/* What was done to the cache, and how whole it is, where that was asked for. */
static void print_maintenance(const info_cache *cache, const info_options *options, const info_count *count)
{
    if (options->cache_clear >= 0) {
        printf("  cleared (%s): %llu file%s, ", clattn_cache_part_name((clattn_cache_part)options->cache_clear),
               (unsigned long long)cache->cleared.num_files, cache->cleared.num_files == 1 ? "" : "s");
        print_bytes(cache->cleared.num_bytes);
        printf("\n");
    }
    if (!options->cache_verify)
        return;
    if (count->num_in_state[CLATTN_CACHE_FILE_DAMAGED] == 0)
        printf("  verified: no file is damaged\n");
    for (int i = 0; i < cache->num_files; i++) {
        if (cache->files[i].state == CLATTN_CACHE_FILE_DAMAGED)
            printf("  verified: %s is damaged\n", cache->files[i].texts[INFO_NAME]);
    }
}

static void print_cache(const info_survey *survey)
{
    const info_cache *cache = &survey->cache;
    printf("\ncache: %s\n", cache->directory ? cache->directory : "none on disk");
    if (!cache->directory)
        return;
    if (cache->error)
        printf("  %s\n", cache->error);
    if (cache->error && cache->num_files == 0)
        return;
    const info_count count = info_cache_count(cache, 0, cache->num_files);
    printf("  %d file%s, ", count.num_files, count.num_files == 1 ? "" : "s");
    print_bytes(count.num_bytes);
    for (int state = 0; state < CLATTN_NUM_CACHE_FILE_STATES; state++)
        printf("%s %d %s", state == 0 ? ":" : ",", count.num_in_state[state],
               clattn_cache_file_state_name((clattn_cache_file_state)state));
    printf("\n");
    print_usage(&count);
    print_maintenance(cache, survey->options, &count);
    for (int first = 0, end; (end = info_cache_group_end(cache, first)) > first; first = end)
        print_group(survey, first, end);
    if (survey->options->files)
        print_files(cache);
}

void info_report_print(const info_survey *survey)
{
    printf("clattn %s\n", clattn_version());
    for (int i = 0; i < survey->num_devices; i++)
        print_device(&survey->devices[i], survey->options);
    if (survey->has_cache)
        print_cache(survey);
}
