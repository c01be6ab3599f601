/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The readers of cache files: an input is a file's bytes, read once as it is and once with a header that is right but
 * for what the input changes of it, for more than the first comparison to be reached. No input may crash them, and a
 * file is a hit only if it is what a save of its key and data would have written.
 */
#include "fuzz.h"

#include "runtime/cache_file.h"
#include "runtime/program_key.h"
#include "runtime/verdict_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HEADER_BYTES = 40, MAX_FILE_BYTES = 1 << 16 };

static struct {
    int64_t num_read;
    int64_t num_hits;
    int64_t num_keys;
    int64_t num_verdicts;
} statistics;

const char *fuzz_summary(void)
{
    static char text[192];
    snprintf(text, sizeof text,
             "%" PRId64 " files read, %" PRId64 " hits, %" PRId64 " of them with a key in order, %" PRId64 " verdicts",
             statistics.num_read, statistics.num_hits, statistics.num_keys, statistics.num_verdicts);
    return text;
}

/* A file in memory. */
static int make_file(const void *data, size_t num_bytes)
{
    const int file = memfd_create("fuzz", MFD_CLOEXEC);
    FUZZ_REQUIRE(file >= 0, "no file in memory");
    FUZZ_REQUIRE(write(file, data, num_bytes) == (ssize_t)num_bytes && lseek(file, 0, SEEK_SET) == 0,
                 "a file of %zu bytes cannot be written", num_bytes);
    return file;
}

/* What a save writes of these contents. */
static size_t save(const clattn_cache_contents *contents, unsigned char *saved)
{
    const int file = make_file("", 0);
    FUZZ_REQUIRE(clattn_cache_file_write(file, contents->key, contents->data, contents->data_bytes) &&
                     lseek(file, 0, SEEK_SET) == 0,
                 "contents that were read cannot be written");
    const ssize_t num_bytes = read(file, saved, MAX_FILE_BYTES);
    close(file);
    return num_bytes > 0 ? (size_t)num_bytes : 0;
}

/* A verdict that is read has a reason that ends, and a kind that has a name. */
static void read_verdict(const clattn_cache_contents *contents)
{
    clattn_verdict verdict;
    if (!clattn_verdict_decode(contents->data, contents->data_bytes, &verdict))
        return;
    statistics.num_verdicts++;
    FUZZ_REQUIRE(memchr(verdict.reason, '\0', sizeof verdict.reason) != NULL &&
                     strcmp(clattn_verdict_kind_name(verdict.kind), "invalid") != 0,
                 "a verdict of kind %d", (int)verdict.kind);
}

static void check_hit(clattn_cache_contents *contents, const void *data, size_t num_bytes)
{
    statistics.num_hits++;
    FUZZ_REQUIRE(contents->key[contents->key_bytes] == '\0' && contents->data_bytes > 0 &&
                     HEADER_BYTES + contents->key_bytes + contents->data_bytes == num_bytes,
                 "a file of %zu bytes gives a key of %zu and data of %zu", num_bytes, contents->key_bytes,
                 contents->data_bytes);
    if (strlen(contents->key) == contents->key_bytes) {
        static unsigned char saved[MAX_FILE_BYTES];
        FUZZ_REQUIRE(save(contents, saved) == num_bytes && memcmp(saved, data, num_bytes) == 0,
                     "a file that no save writes is a hit");
    }
    read_verdict(contents);
    char *program_key = clattn_verdict_key_program(contents->key);
    clattn_program_key key;
    if (clattn_program_key_parse(program_key != NULL ? program_key : contents->key, &key)) {
        statistics.num_keys++;
        const size_t length = strlen(key.version) + strlen(key.platform) + strlen(key.device) + strlen(key.vendor) +
                              strlen(key.driver) + strlen(key.program) + strlen(key.options);
        FUZZ_REQUIRE(length <= contents->key_bytes, "the parts of a key are longer than it is");
    }
}

/* Where the key of a whole file begins, so says a glance at it; a glance may succeed where the whole file is refused.
 */
static void peek(int file, const clattn_cache_contents *contents)
{
    char start[8];
    FUZZ_REQUIRE(lseek(file, 0, SEEK_SET) == 0, "a file in memory cannot be read again");
    const clattn_cache_result result = clattn_cache_file_peek(file, start, sizeof start);
    if (contents->key != NULL && contents->key_bytes >= sizeof start)
        FUZZ_REQUIRE(result == CLATTN_CACHE_HIT && memcmp(start, contents->key, sizeof start) == 0,
                     "a glance at a whole file gives another key");
    else if (contents->key != NULL)
        FUZZ_REQUIRE(result == CLATTN_CACHE_REJECTED, "a glance gives more than the key");
}

static void read_file(const void *data, size_t num_bytes)
{
    const int file = make_file(data, num_bytes);
    clattn_cache_contents contents;
    memset(&contents, 0x5a, sizeof contents);
    const clattn_cache_result result = clattn_cache_file_read(file, &contents);
    peek(file, &contents);
    close(file);
    statistics.num_read++;
    if (result == CLATTN_CACHE_HIT)
        check_hit(&contents, data, num_bytes);
    else
        FUZZ_REQUIRE(contents.key == NULL && contents.data == NULL && contents.key_bytes == 0 &&
                         contents.data_bytes == 0,
                     "a file that is refused leaves contents");
    free(contents.key);
}

/* The key of a program, or of the verdict on one. */
static char *make_key(fuzz_bytes *bytes, bool of_verdict)
{
    clattn_device_facts facts = {.vendor = "a vendor", .driver = "1.2", .platform = "a platform"};
    snprintf(facts.name, sizeof facts.name, "device %d", (int)fuzz_between(bytes, 0, 255));
    clattn_variant variant = {.program = CLATTN_PROGRAM_MERGE};
    clattn_variant_define(&variant, "HEAD_DIM_V", fuzz_extreme_int32(bytes));
    char *options = clattn_variant_options(&variant);
    char *program_key = clattn_program_key_text(&facts, &variant, options);
    FUZZ_REQUIRE(program_key != NULL, "no memory for a key");
    free(options);
    if (!of_verdict)
        return program_key;
    char *key = clattn_verdict_key(program_key);
    FUZZ_REQUIRE(key != NULL, "no memory for a key");
    free(program_key);
    return key;
}

/* Keys as text of the input: what stands before the first zero. */
static char *take_key(fuzz_bytes *bytes)
{
    const size_t most = bytes->num_left < 1 << 12 ? bytes->num_left : 1 << 12;
    char *key = strndup((const char *)bytes->next, most);
    FUZZ_REQUIRE(key != NULL, "no memory for a key");
    bytes->next += strlen(key);
    bytes->num_left -= strlen(key);
    return key;
}

/* The record of a verdict, as verdict_file.c lays it out. */
static size_t make_verdict(fuzz_bytes *bytes, char *data)
{
    const double error = (double)fuzz_float(bytes);
    const int32_t kind = fuzz_between(bytes, -1, CLATTN_NUM_VERDICT_KINDS);
    const size_t num_bytes = sizeof error + sizeof kind + CLATTN_REASON_BYTES + sizeof kind;
    memset(data, fuzz_one_in(bytes, 4) ? 'x' : 0, num_bytes);
    memcpy(data, &error, sizeof error);
    memcpy(data + sizeof error, &kind, sizeof kind);
    return num_bytes - (fuzz_one_in(bytes, 8) ? 1 : 0);
}

/* A whole file; up to two of its bytes are changed, and some at its end are cut off. */
static void read_nearly_whole_file(fuzz_bytes *bytes)
{
    static unsigned char saved[MAX_FILE_BYTES];
    static char data[1 << 12];
    const bool of_verdict = fuzz_one_in(bytes, 2);
    char *key = fuzz_one_in(bytes, 2) ? take_key(bytes) : make_key(bytes, of_verdict);
    clattn_cache_contents contents = {.key = key, .key_bytes = strlen(key), .data = data};
    if (of_verdict) {
        contents.data_bytes = make_verdict(bytes, data);
    } else {
        contents.data_bytes = 1 + (bytes->num_left < sizeof data - 1 ? bytes->num_left : sizeof data - 1);
        memset(data, 0, contents.data_bytes);
        memcpy(data, bytes->next, contents.data_bytes - 1);
    }
    size_t num_bytes = save(&contents, saved);
    free(key);
    for (int32_t i = fuzz_between(bytes, 0, 2); i > 0; i--) {
        const uint64_t place = fuzz_one_in(bytes, 2) ? fuzz_take(bytes, 1) % HEADER_BYTES : fuzz_take(bytes, 2);
        saved[place % num_bytes] ^= (unsigned char)fuzz_take(bytes, 1);
    }
    if (fuzz_one_in(bytes, 8)) { /* sizes that agree with the file's, by their sum */
        const uint64_t key_bytes = (uint64_t)fuzz_extreme(bytes);
        const uint64_t data_bytes = num_bytes - HEADER_BYTES - key_bytes;
        memcpy(saved + 16, &key_bytes, sizeof key_bytes);
        memcpy(saved + 24, &data_bytes, sizeof data_bytes);
    }
    if (fuzz_one_in(bytes, 8))
        num_bytes -= (size_t)fuzz_between(bytes, 1, 9);
    read_file(saved, num_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t num_bytes)
{
    fuzz_bytes bytes = {data, num_bytes};
    if (num_bytes > MAX_FILE_BYTES)
        return 0;
    read_file(data, num_bytes);
    read_nearly_whole_file(&bytes);
    return 0;
}
