/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target without a fuzzer: over every file of a corpus, then over random inputs.
 *
 * usage: replay FOLDER [NUM_RANDOM [SEED]]
 */
#include "fuzz.h"

#include "support/random.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE_BYTES = 1 << 16, MAX_RANDOM_BYTES = 512 };

static void run_file(const char *folder, const char *name)
{
    static uint8_t data[MAX_FILE_BYTES];
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    FUZZ_REQUIRE(file != NULL, "%s: %s", path, strerror(errno));
    const size_t num_bytes = fread(data, 1, sizeof data, file);
    fclose(file);
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(data, num_bytes);
}

static int run_corpus(const char *folder)
{
    struct dirent **entries = NULL;
    const int num_entries = scandir(folder, &entries, NULL, alphasort);
    FUZZ_REQUIRE(num_entries >= 0, "%s: %s", folder, strerror(errno));
    int num_files = 0;
    for (int i = 0; i < num_entries; i++) {
        if (entries[i]->d_name[0] != '.') {
            run_file(folder, entries[i]->d_name);
            num_files++;
        }
        free(entries[i]);
    }
    free(entries);
    return num_files;
}

/* Runs of zeros among the bytes, since zero stands for the usual case. */
static void run_random(uint64_t seed)
{
    uint8_t data[MAX_RANDOM_BYTES];
    support_random random = support_random_seeded(seed);
    const int32_t num_bytes = support_random_between(&random, 0, MAX_RANDOM_BYTES);
    const int32_t zeros = support_random_between(&random, 0, 3);
    for (int32_t i = 0; i < num_bytes; i++)
        data[i] = support_random_between(&random, 0, 3) < zeros ? 0 : (uint8_t)support_random_between(&random, 0, 255);
    LLVMFuzzerTestOneInput(data, (size_t)num_bytes);
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: replay FOLDER [NUM_RANDOM [SEED]]\n");
        return EXIT_FAILURE;
    }
    const int64_t num_random = argc > 2 ? strtoll(argv[2], NULL, 10) : 0;
    const uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    const int num_files = run_corpus(argv[1]);
    for (int64_t i = 0; i < num_random; i++) {
        fprintf(stderr, "\rrandom input, seed %" PRIu64, seed + (uint64_t)i);
        run_random(seed + (uint64_t)i);
    }
    fprintf(stderr, "\n");
    printf("%d files, %" PRId64 " random inputs; %s\n", num_files, num_random, fuzz_summary());
    return EXIT_SUCCESS;
}
