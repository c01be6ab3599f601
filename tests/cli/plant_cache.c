/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes cache files of a device that is not there, for tests of programs that list them: two programs, the verdicts on
 * them and on one that crashed.
 *
 * usage: plant_cache FOLDER
 */
#include "runtime/program_cache.h"
#include "runtime/program_key.h"
#include "runtime/verdict_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const clattn_device_facts facts = {
    .name = "planted device", .vendor = "planted vendor", .driver = "9.8.7", .platform = "planted platform"};

/* Saves a program, the verdict on it, or both. */
static bool plant(const char *directory, clattn_program_id program, bool is_saved, const clattn_verdict *verdict)
{
    clattn_variant variant = {.program = program};
    clattn_variant_define(&variant, "HEAD_DIM", 64);
    char *options = clattn_variant_options(&variant);
    char *key = options != NULL ? clattn_program_key_text(&facts, &variant, options) : NULL;
    char *verdict_key = key != NULL ? clattn_verdict_key(key) : NULL;
    const bool good = verdict_key != NULL && clattn_verdict_save(directory, verdict_key, verdict) &&
                      (!is_saved || clattn_program_cache_save(directory, key, "a binary", 8));
    free(verdict_key);
    free(key);
    free(options);
    return good;
}

int main(int argc, char **argv)
{
    static const clattn_verdict verified = {.kind = CLATTN_VERDICT_VERIFIED, .worst_error = 0.25};
    static const clattn_verdict rejected = {
        .kind = CLATTN_VERDICT_REJECTED, .worst_error = (double)INFINITY, .reason = "row 3 is NaN"};
    static const clattn_verdict crashed = {.kind = CLATTN_VERDICT_CRASHED, .reason = "the build did not return"};
    if (argc != 2 || !plant(argv[1], CLATTN_PROGRAM_SIMT_DECODE, true, &verified) ||
        !plant(argv[1], CLATTN_PROGRAM_SIMT_PREFILL, true, &rejected) ||
        !plant(argv[1], CLATTN_PROGRAM_MERGE, false, &crashed)) {
        fprintf(stderr, "nothing planted\n");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
