/* SPDX-License-Identifier: Apache-2.0 */
/* Sequences without a device: handles, batch arrays, copy on write, all or nothing. */
#include "sequence_model.h"

#include "support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* How many allocations succeed before one fails; negative = all. Set for one call at a time. */
static int allocations_left = -1;

void *__wrap_malloc(size_t num_bytes);
void *__wrap_calloc(size_t count, size_t num_bytes);
void *__wrap_realloc(void *memory, size_t num_bytes);
void *__real_malloc(size_t num_bytes);
void *__real_calloc(size_t count, size_t num_bytes);
void *__real_realloc(void *memory, size_t num_bytes);

static bool may_allocate(void)
{
    if (allocations_left == 0)
        return false;
    if (allocations_left > 0)
        allocations_left--;
    return true;
}

void *__wrap_malloc(size_t num_bytes)
{
    return may_allocate() ? __real_malloc(num_bytes) : NULL;
}

void *__wrap_calloc(size_t count, size_t num_bytes)
{
    return may_allocate() ? __real_calloc(count, num_bytes) : NULL;
}

void *__wrap_realloc(void *memory, size_t num_bytes)
{
    return may_allocate() ? __real_realloc(memory, num_bytes) : NULL;
}

static void batch_arrays_of_a_hand_computed_step(void **state)
{
    model *tested = model_create(8, 4, 3);
    const int32_t places[] = {2, 0, 1};
    const int32_t lengths[] = {3, 0, 8};
    const int32_t num_new_tokens[] = {2, 1, 0};
    (void)state;
    for (int32_t i = 0; i < 3; i++) {
        add_sequence(tested, places[i]);
        extend_one(tested, places[i], lengths[i]);
    }
    /* Pages 0 | none | 1 2 so far; the step adds 3 | 4 | none. */
    const clattn_extension *batch = extend(tested, 3, places, num_new_tokens);
    assert_int_equal(batch->num_seqs, 3);
    assert_int_equal(batch->total_tokens, 3);
    assert_int_equal(batch->pages_per_seq, 2);
    assert_memory_equal(batch->query_start_loc, ((const int32_t[]){0, 2, 3, 3}), 4 * sizeof(int32_t));
    assert_memory_equal(batch->context_lens, ((const int32_t[]){5, 1, 8}), 3 * sizeof(int32_t));
    assert_memory_equal(batch->block_tables, ((const int32_t[]){0, 3, 4, -1, 1, 2}), 6 * sizeof(int32_t));
    assert_memory_equal(batch->slot_mapping, ((const int64_t[]){3, 12, 16}), 3 * sizeof(int64_t));
    check_model(tested);
    model_destroy(tested);
}

static void empty_batch_has_one_page_per_seq_and_no_tokens(void **state)
{
    model *tested = model_create(1, 1, 1);
    const clattn_extension *batch = NULL;
    (void)state;
    assert_int_equal(clattn_sequences_prepare(&tested->sequences, 0, NULL, NULL, &batch, &tested->error), CLATTN_OK);
    clattn_sequences_commit(&tested->sequences);
    assert_int_equal(batch->num_seqs, 0);
    assert_int_equal(batch->total_tokens, 0);
    assert_int_equal(batch->pages_per_seq, 1);
    assert_int_equal(batch->query_start_loc[0], 0);
    model_destroy(tested);
}

static void released_handle_is_refused_everywhere(void **state)
{
    model *tested = model_create(4, 2, 2);
    clattn_sequences *sequences = &tested->sequences;
    const clattn_extension *batch = NULL;
    const int32_t one = 1;
    uint64_t child = 0;
    (void)state;
    add_sequence(tested, 0);
    const uint64_t stale = tested->list[0].handle;
    release_sequence(tested, 0);
    /* Neither the old handle nor the one that the next sequence in this slot will have. */
    assert_int_equal(clattn_sequences_length(sequences, stale), -1);
    assert_int_equal(clattn_sequences_length(sequences, stale + (UINT64_C(1) << 32)), -1);
    add_sequence(tested, 1); /* in the same slot */
    assert_int_not_equal(tested->list[1].handle, stale);
    assert_int_equal(tested->list[1].handle & UINT32_MAX, stale & UINT32_MAX);

    const uint64_t strangers[] = {stale, 0, 2, 3, UINT64_MAX, tested->list[1].handle + (UINT64_C(1) << 32)};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        const uint64_t handle = strangers[i];
        assert_int_equal(clattn_sequences_length(sequences, handle), -1);
        assert_int_equal(clattn_sequences_fork(sequences, handle, &child, &tested->error), CLATTN_INVALID_SEQUENCE);
        assert_int_equal(clattn_sequences_truncate(sequences, handle, 0, &tested->error), CLATTN_INVALID_SEQUENCE);
        assert_int_equal(clattn_sequences_release(sequences, handle, &tested->error), CLATTN_INVALID_SEQUENCE);
        assert_int_equal(clattn_sequences_prepare(sequences, 1, &handle, &one, &batch, &tested->error),
                         CLATTN_INVALID_SEQUENCE);
        assert_non_null(strstr(tested->error.text, "sequences[0]"));
    }
    assert_int_equal(clattn_sequences_length(sequences, tested->list[1].handle), 0);
    extend_one(tested, 1, 1);
    check_model(tested);
    model_destroy(tested);
}

static void sequences_over_the_limit_are_refused(void **state)
{
    model *tested = model_create(4, 2, 2);
    uint64_t handle = 0;
    (void)state;
    add_sequence(tested, 0);
    fork_sequence(tested, 0, 1);
    assert_int_equal(clattn_sequences_create(&tested->sequences, &handle, &tested->error), CLATTN_OUT_OF_PAGES);
    assert_non_null(strstr(tested->error.text, "max_seqs"));
    assert_int_equal(clattn_sequences_fork(&tested->sequences, tested->list[0].handle, &handle, &tested->error),
                     CLATTN_OUT_OF_PAGES);
    release_sequence(tested, 0);
    add_sequence(tested, 0);
    check_model(tested);
    model_destroy(tested);
}

static void truncate_accepts_zero_to_the_length_only(void **state)
{
    model *tested = model_create(4, 2, 2);
    (void)state;
    add_sequence(tested, 0);
    extend_one(tested, 0, 7);
    const uint64_t handle = tested->list[0].handle;
    assert_int_equal(clattn_sequences_truncate(&tested->sequences, handle, 8, &tested->error), CLATTN_INVALID_ARGUMENT);
    assert_int_equal(clattn_sequences_truncate(&tested->sequences, handle, -1, &tested->error),
                     CLATTN_INVALID_ARGUMENT);
    assert_int_equal(num_free_pages(tested), 0);
    truncate_sequence(tested, 0, 7);
    assert_int_equal(num_free_pages(tested), 0);
    truncate_sequence(tested, 0, 4);
    assert_int_equal(num_free_pages(tested), 2);
    check_model(tested);
    truncate_sequence(tested, 0, 0);
    assert_int_equal(num_free_pages(tested), 4);
    model_destroy(tested);
}

static void last_holder_of_a_shared_page_writes_in_place(void **state)
{
    model *tested = model_create(8, 4, 3);
    const int32_t places[] = {0, 1, 2};
    const int32_t ones[] = {1, 1, 1};
    (void)state;
    add_sequence(tested, 0);
    extend_one(tested, 0, 6);
    fork_sequence(tested, 0, 1);
    fork_sequence(tested, 0, 2);
    assert_int_equal(num_free_pages(tested), 6);

    const clattn_extension *batch = extend(tested, 3, places, ones);
    assert_int_equal(batch->num_copies, 2);
    assert_int_equal(batch->copies[0].source, 1);
    assert_int_equal(batch->copies[1].source, 1);
    assert_int_equal(batch->block_tables[2 * batch->pages_per_seq + 1], 1);
    assert_int_equal(num_free_pages(tested), 4);
    check_model(tested);
    model_destroy(tested);
}

static void member_outside_the_batch_keeps_the_shared_page(void **state)
{
    model *tested = model_create(8, 4, 3);
    const int32_t places[] = {0, 1};
    const int32_t ones[] = {1, 1};
    (void)state;
    add_sequence(tested, 0);
    extend_one(tested, 0, 6);
    fork_sequence(tested, 0, 1);
    fork_sequence(tested, 0, 2);
    assert_int_equal(extend(tested, 2, places, ones)->num_copies, 2);
    check_model(tested);
    assert_int_equal(extend_one(tested, 2, 1)->num_copies, 0);
    check_model(tested);
    model_destroy(tested);
}

static void truncate_into_a_shared_full_page_makes_the_next_write_copy(void **state)
{
    model *tested = model_create(8, 4, 2);
    (void)state;
    add_sequence(tested, 0);
    extend_one(tested, 0, 8);
    fork_sequence(tested, 0, 1);
    truncate_sequence(tested, 1, 5);
    assert_int_equal(extend_one(tested, 1, 0)->num_copies, 0);
    assert_int_equal(extend_one(tested, 1, 2)->num_copies, 1);
    check_model(tested);
    assert_int_equal(extend_one(tested, 1, 1)->num_copies, 0);
    assert_int_equal(extend_one(tested, 0, 1)->num_copies, 0);
    check_model(tested);
    model_destroy(tested);
}

static void truncate_to_a_page_boundary_needs_no_copy(void **state)
{
    model *tested = model_create(8, 4, 2);
    (void)state;
    add_sequence(tested, 0);
    extend_one(tested, 0, 8);
    fork_sequence(tested, 0, 1);
    truncate_sequence(tested, 1, 4);
    assert_int_equal(extend_one(tested, 1, 1)->num_copies, 0);
    check_model(tested);
    model_destroy(tested);
}

static void refused_arguments_are_named(void **state)
{
    model *tested = model_create(4, 2, 3);
    clattn_sequences *sequences = &tested->sequences;
    const clattn_extension *batch = NULL;
    const int32_t ones[] = {1, 1, 1};
    const int32_t negative[] = {0, -1};
    (void)state;
    add_sequence(tested, 0);
    add_sequence(tested, 1);
    const uint64_t handles[] = {tested->list[0].handle, tested->list[1].handle, tested->list[0].handle};
    const struct {
        int32_t num_seqs;
        const uint64_t *handles;
        const int32_t *num_new_tokens;
        const char *word;
    } cases[] = {
        {-1, handles, ones, "num_seqs is -1"},
        {1, NULL, ones, "sequences is NULL"},
        {1, handles, NULL, "num_new_tokens is NULL"},
        {2, handles, negative, "num_new_tokens[1] is -1"},
        {3, handles, ones, "sequences[0] and sequences[2]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(clattn_sequences_prepare(sequences, cases[i].num_seqs, cases[i].handles,
                                                  cases[i].num_new_tokens, &batch, &tested->error),
                         CLATTN_INVALID_ARGUMENT);
        assert_non_null(strstr(tested->error.text, cases[i].word));
        assert_null(batch);
    }
    assert_int_equal(clattn_sequences_prepare(sequences, 2, handles, ones, &batch, &tested->error), CLATTN_OK);
    model_destroy(tested);
}

/* One token below either limit the lengths are legal, and it is the pages that are too few. */
static void lengths_over_the_limit_are_refused(void **state)
{
    model *tested = model_create(4, 2, 2);
    const clattn_extension *batch = NULL;
    const int32_t places[] = {0, 1};
    (void)state;
    add_sequence(tested, 0);
    add_sequence(tested, 1);
    extend_one(tested, 0, 1);
    assert_int_equal(prepare(tested, 1, places, (const int32_t[]){INT32_MAX}, &batch), CLATTN_SIZE_OVERFLOW);
    assert_int_equal(prepare(tested, 1, places, (const int32_t[]){INT32_MAX - 1}, &batch), CLATTN_OUT_OF_PAGES);
    assert_int_equal(prepare(tested, 2, places, (const int32_t[]){1, INT32_MAX}, &batch), CLATTN_SIZE_OVERFLOW);
    assert_int_equal(prepare(tested, 2, places, (const int32_t[]){0, INT32_MAX}, &batch), CLATTN_OUT_OF_PAGES);
    model_destroy(tested);
}

static void out_of_pages_changes_nothing(void **state)
{
    model *tested = model_create(6, 7, 3);
    snapshot *before = malloc(sizeof *before);
    const clattn_extension *refused = NULL;
    const int32_t places[] = {0, 1};
    (void)state;
    add_sequence(tested, 0);
    extend_one(tested, 0, 10);
    fork_sequence(tested, 0, 1);
    /* 4 pages are free; the batch needs 1 for the copy, and 3 or 4 behind the partly filled pages. */
    const clattn_extension *batch = extend_one(tested, 0, 0);
    snapshot_take(tested, batch, before);
    assert_int_equal(prepare(tested, 2, places, (const int32_t[]){4 + 14, 4 + 8}, &refused), CLATTN_OUT_OF_PAGES);
    assert_non_null(strstr(tested->error.text, "need 5 pages (1 of them copies), 4 are free"));
    assert_unchanged(tested, batch, before);
    check_model(tested);
    extend(tested, 2, places, (const int32_t[]){4 + 14, 4 + 7});
    assert_int_equal(num_free_pages(tested), 0);
    check_model(tested);
    free(before);
    model_destroy(tested);
}

static void prepare_without_commit_changes_nothing(void **state)
{
    model *tested = model_create(8, 4, 2);
    snapshot *before = malloc(sizeof *before);
    const clattn_extension *dropped = NULL;
    const int32_t places[] = {0, 1};
    const int32_t num_new_tokens[] = {3, 9};
    (void)state;
    add_sequence(tested, 0);
    extend_one(tested, 0, 6);
    fork_sequence(tested, 0, 1);
    const clattn_extension *batch = extend_one(tested, 0, 0);
    snapshot_take(tested, batch, before);
    assert_int_equal(prepare(tested, 2, places, num_new_tokens, &dropped), CLATTN_OK);
    assert_unchanged(tested, batch, before);
    extend(tested, 2, places, num_new_tokens);
    check_model(tested);
    free(before);
    model_destroy(tested);
}

/* What an attempt allocated is kept: letting one more succeed each time fails every allocation of an extension once. */
static void failing_allocation_changes_nothing(void **state)
{
    model *tested = model_create(30, 1, 4);
    snapshot *before = malloc(sizeof *before);
    const clattn_extension *extension = NULL;
    const int32_t places[] = {0, 1, 2};
    const int32_t num_new_tokens[] = {9, 3, 1};
    clattn_status status = CLATTN_OUT_OF_MEMORY;
    int num_failures = 0;
    (void)state;
    for (int32_t i = 0; i < 3; i++)
        add_sequence(tested, i);
    const clattn_extension *batch = extend_one(tested, 0, 3);
    snapshot_take(tested, batch, before);
    while (status != CLATTN_OK) {
        allocations_left = num_failures == 0 ? 0 : 1;
        status = prepare(tested, 3, places, num_new_tokens, &extension);
        allocations_left = -1;
        if (status != CLATTN_OK) {
            assert_int_equal(status, CLATTN_OUT_OF_MEMORY);
            num_failures++;
        }
        assert_unchanged(tested, batch, before);
    }
    assert_int_equal(num_failures, 6 + 3); /* the batch's arrays, and one table per sequence */
    finish_extension(tested, extension, places);
    check_model(tested);

    allocations_left = 0;
    status = clattn_sequences_fork(&tested->sequences, tested->list[0].handle, &tested->list[3].handle, &tested->error);
    allocations_left = -1;
    assert_int_equal(status, CLATTN_OUT_OF_MEMORY);
    check_model(tested);
    fork_sequence(tested, 0, 3);
    check_model(tested);
    free(before);
    model_destroy(tested);
}

static void failing_allocation_of_init_can_be_finished(void **state)
{
    (void)state;
    for (int num_allocations = 0; num_allocations <= 5; num_allocations++) {
        clattn_sequences sequences;
        clattn_error error;
        allocations_left = num_allocations;
        const clattn_status status = clattn_sequences_init(&sequences, 3, 2, 2, &error);
        allocations_left = -1;
        assert_int_equal(status, num_allocations < 5 ? CLATTN_OUT_OF_MEMORY : CLATTN_OK);
        clattn_sequences_finish(&sequences);
    }
}

/* Pages that a batch takes, counted the slow way. */
static int32_t expected_pages(const model *tested, int32_t num_seqs, const int32_t *places,
                              const int32_t *num_new_tokens)
{
    const int32_t page_size = tested->sequences.page_size;
    int32_t holders[MAX_PAGES] = {0};
    int32_t num_pages = 0;
    for (int32_t i = 0; i < MAX_SEQS; i++) {
        for (int32_t t = 0; tested->list[i].handle && t < tested->list[i].length; t += page_size)
            holders[table_of(tested, i)[t / page_size]]++;
    }
    for (int32_t i = 0; i < num_seqs; i++) {
        const int32_t length = tested->list[places[i]].length;
        for (int32_t t = length; t < length + num_new_tokens[i]; t++) {
            if (t % page_size == 0)
                num_pages++;
            else if (t == length && holders[table_of(tested, places[i])[t / page_size]]-- > 1)
                num_pages++;
        }
    }
    return num_pages;
}

/* A random part of the living sequences in random order, with few or, now and then, too many tokens. */
static void extend_at_random(model *tested, support_random *random, snapshot *before)
{
    const int32_t no_tokens = 0;
    const clattn_extension *extension = NULL;
    const int32_t most = support_random_between(random, 0, 3) == 0 ? 5 * tested->sequences.page_size : 3;
    int32_t order[MAX_SEQS];
    int32_t places[MAX_SEQS];
    int32_t num_new_tokens[MAX_SEQS];
    int32_t num_seqs = 0;
    support_random_permutation(random, MAX_SEQS, order);
    for (int32_t i = 0; i < MAX_SEQS; i++) {
        if (!tested->list[order[i]].handle || support_random_between(random, 0, 2) == 0)
            continue;
        num_new_tokens[num_seqs] = support_random_between(random, 0, most);
        places[num_seqs++] = order[i];
    }
    if (num_seqs == 0)
        return;
    const clattn_extension *batch = extend(tested, 1, places, &no_tokens);
    const bool fits = expected_pages(tested, num_seqs, places, num_new_tokens) <= num_free_pages(tested);
    snapshot_take(tested, batch, before);
    assert_int_equal(prepare(tested, num_seqs, places, num_new_tokens, &extension),
                     fits ? CLATTN_OK : CLATTN_OUT_OF_PAGES);
    assert_unchanged(tested, batch, before);
    if (fits)
        finish_extension(tested, extension, places);
}

static void act_at_random(model *tested, support_random *random, snapshot *before)
{
    const int32_t place = support_random_between(random, 0, MAX_SEQS - 1);
    const int32_t other = support_random_between(random, 0, MAX_SEQS - 1);
    const int32_t action = support_random_between(random, 0, 9);
    model_sequence *sequence = &tested->list[place];
    if (!sequence->handle && action <= 1)
        add_sequence(tested, place);
    else if (!sequence->handle && tested->list[other].handle)
        fork_sequence(tested, other, place);
    else if (sequence->handle && action <= 1)
        truncate_sequence(tested, place, support_random_between(random, 0, sequence->length));
    else if (sequence->handle && action == 2)
        release_sequence(tested, place);
    else
        extend_at_random(tested, random, before);
}

static void random_operations_agree_with_the_model(void **state)
{
    static const int32_t page_sizes[] = {1, 2, 7, 16};
    snapshot *before = malloc(sizeof *before);
    (void)state;
    for (size_t i = 0; i < sizeof page_sizes / sizeof page_sizes[0]; i++) {
        for (uint64_t seed = 0; seed < 8; seed++) {
            support_random random = support_random_seeded(seed);
            model *tested = model_create(5 + (int32_t)seed * 5, page_sizes[i], MAX_SEQS);
            print_message("page_size=%d seed=%d\n", (int)page_sizes[i], (int)seed);
            for (int step = 0; step < 400; step++) {
                act_at_random(tested, &random, before);
                check_model(tested);
            }
            for (int32_t place = 0; place < MAX_SEQS; place++) {
                if (tested->list[place].handle)
                    release_sequence(tested, place);
            }
            assert_int_equal(num_free_pages(tested), tested->sequences.pages.num_pages);
            model_destroy(tested);
        }
    }
    free(before);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_arrays_of_a_hand_computed_step),
        cmocka_unit_test(empty_batch_has_one_page_per_seq_and_no_tokens),
        cmocka_unit_test(released_handle_is_refused_everywhere),
        cmocka_unit_test(sequences_over_the_limit_are_refused),
        cmocka_unit_test(truncate_accepts_zero_to_the_length_only),
        cmocka_unit_test(last_holder_of_a_shared_page_writes_in_place),
        cmocka_unit_test(member_outside_the_batch_keeps_the_shared_page),
        cmocka_unit_test(truncate_into_a_shared_full_page_makes_the_next_write_copy),
        cmocka_unit_test(truncate_to_a_page_boundary_needs_no_copy),
        cmocka_unit_test(refused_arguments_are_named),
        cmocka_unit_test(lengths_over_the_limit_are_refused),
        cmocka_unit_test(out_of_pages_changes_nothing),
        cmocka_unit_test(prepare_without_commit_changes_nothing),
        cmocka_unit_test(failing_allocation_changes_nothing),
        cmocka_unit_test(failing_allocation_of_init_can_be_finished),
        cmocka_unit_test(random_operations_agree_with_the_model),
    };
    return cmocka_run_group_tests_name("sequences", tests, NULL, NULL);
}
