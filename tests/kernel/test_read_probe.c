/* SPDX-License-Identifier: Apache-2.0 */
/* cl-bench's read probe, in the forms for CPUs and for GPUs: it reads every word of its chunks once, and no other. */
#include "bench/read_probe.h"
#include "support/device.h"
#include "support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define NUM_UNITS 70000
#define WORDS_PER_UNIT (BENCH_UNIT_BYTES / (int)sizeof(uint32_t))
#define MAX_CHUNKS 1500

static const bench_probe_form forms[] = {
    {16, 1, 1, 1, 2},  {16, 1, 1, 4, 4},  {16, 1, 1, 4, 0},   {8, 1, 1, 4, 4}, {4, 1, 1, 1, 2},
    {1, 64, 64, 4, 0}, {4, 64, 64, 4, 0}, {4, 128, 64, 4, 0}, {1, 6, 2, 1, 0}, {4, 64, 16, 1, 1},
};

/* What is read, and what lies around it. */
typedef struct words {
    uint32_t of[2][NUM_UNITS * WORDS_PER_UNIT];
    cl_mem buffers[2];
} words;

static words *make_words(const support_device *device)
{
    support_random random = support_random_seeded(7);
    words *made = malloc(sizeof *made);
    assert_non_null(made);
    for (int buffer = 0; buffer < 2; buffer++) {
        for (int i = 0; i < NUM_UNITS * WORDS_PER_UNIT; i++)
            made->of[buffer][i] = (uint32_t)support_random_next(&random);
        made->buffers[buffer] = support_buffer_create(device, made->of[buffer], sizeof made->of[buffer]);
    }
    return made;
}

static void free_words(words *made)
{
    clReleaseMemObject(made->buffers[0]);
    clReleaseMemObject(made->buffers[1]);
    free(made);
}

/* Chunks of some size or, for 0, of sizes that differ, anywhere in the two buffers; the sum of their words. */
static uint32_t make_chunks(const words *made, int32_t count, uint32_t size, bench_chunks *chunks)
{
    support_random random = support_random_seeded((uint64_t)count + size);
    uint32_t sum = 0;
    *chunks = (bench_chunks){.count = count, .at = calloc((size_t)count, sizeof *chunks->at)};
    assert_non_null(chunks->at);
    for (int32_t i = 0; i < count; i++) {
        const uint32_t buffer = (uint32_t)support_random_between(&random, 0, 1);
        const uint32_t taken = size > 0 ? size : (uint32_t)support_random_between(&random, 1, 256);
        const uint32_t first = (uint32_t)support_random_between(&random, 0, NUM_UNITS - (int32_t)taken);
        chunks->at[i] = (bench_chunk){first, taken | (buffer ? BENCH_CHUNK_IN_VALUES : 0)};
        chunks->bytes += (uint64_t)taken * BENCH_UNIT_BYTES;
        for (uint32_t word = first * WORDS_PER_UNIT; word < (first + taken) * WORDS_PER_UNIT; word++)
            sum += made->of[buffer][word];
    }
    return sum;
}

static void check_form(const support_device *device, const words *made, const bench_probe_form *form, int32_t count,
                       uint32_t size)
{
    bench_chunks chunks;
    bench_probe probe;
    const uint32_t sum = make_chunks(made, count, size, &chunks);
    assert_true(bench_read_probe_init(&probe, device->ctx, form, &chunks));
    assert_true(bench_read_probe_bind(&probe, made->buffers[0], made->buffers[1]));
    if (!bench_read_probe_check(&probe, device->queue, sum))
        fail_msg("lanes=%d work_group_size=%zu items_per_reader=%zu streams=%d ahead=%d: %d chunks of %u units",
                 form->lanes, form->work_group_size, form->items_per_reader, form->streams, form->ahead, (int)count,
                 (unsigned)size);
    assert_false(bench_read_probe_check(&probe, device->queue, sum + 1));
    bench_probe_finish(&probe);
    bench_chunks_finish(&chunks);
}

static void read_probe_of_every_form_reads_its_chunks(void **state)
{
    static const int32_t counts[] = {1, 5, 1203, MAX_CHUNKS};
    static const uint32_t sizes[] = {0, 1, 3, 255, 256};
    const support_device *device = *state;
    const size_t limit = clattn_context_device(device->ctx)->max_work_group_size;
    words *made = make_words(device);
    for (int form = 0; form < COUNT(forms); form++) {
        if (forms[form].work_group_size > limit)
            continue;
        for (int i = 0; i < COUNT(counts); i++) {
            for (int j = 0; j < COUNT(sizes); j++)
                check_form(device, made, &forms[form], counts[i], sizes[j]);
        }
    }
    free_words(made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(read_probe_of_every_form_reads_its_chunks)};
    return cmocka_run_group_tests_name("read_probe", tests, support_device_setup, support_device_teardown);
}
