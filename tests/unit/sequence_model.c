/* SPDX-License-Identifier: Apache-2.0 */
#include "sequence_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

model *model_create(int32_t num_pages, int32_t page_size, int32_t max_seqs)
{
    model *made = calloc(1, sizeof *made);
    assert_non_null(made);
    assert_int_equal(clattn_sequences_init(&made->sequences, num_pages, page_size, max_seqs, &made->error), CLATTN_OK);
    return made;
}

void model_destroy(model *tested)
{
    clattn_sequences_finish(&tested->sequences);
    free(tested);
}

void add_sequence(model *tested, int32_t place)
{
    tested->list[place].length = 0;
    assert_int_equal(clattn_sequences_create(&tested->sequences, &tested->list[place].handle, &tested->error),
                     CLATTN_OK);
}

void fork_sequence(model *tested, int32_t parent, int32_t child)
{
    tested->list[child] = tested->list[parent];
    assert_int_equal(clattn_sequences_fork(&tested->sequences, tested->list[parent].handle, &tested->list[child].handle,
                                           &tested->error),
                     CLATTN_OK);
}

void truncate_sequence(model *tested, int32_t place, int32_t num_tokens)
{
    tested->list[place].length = num_tokens;
    assert_int_equal(
        clattn_sequences_truncate(&tested->sequences, tested->list[place].handle, num_tokens, &tested->error),
        CLATTN_OK);
}

void release_sequence(model *tested, int32_t place)
{
    assert_int_equal(clattn_sequences_release(&tested->sequences, tested->list[place].handle, &tested->error),
                     CLATTN_OK);
    tested->list[place].handle = 0;
}

void finish_extension(model *tested, const clattn_extension *extension, const int32_t *places)
{
    const size_t page_size = (size_t)tested->sequences.page_size;
    for (int32_t i = 0; i < extension->num_copies; i++)
        memcpy(tested->contents + (size_t)extension->copies[i].target * page_size,
               tested->contents + (size_t)extension->copies[i].source * page_size, page_size * sizeof(int32_t));
    clattn_sequences_commit(&tested->sequences);
    for (int32_t i = 0; i < extension->num_seqs; i++) {
        model_sequence *sequence = &tested->list[places[i]];
        for (int32_t t = extension->query_start_loc[i]; t < extension->query_start_loc[i + 1]; t++) {
            tested->contents[extension->slot_mapping[t]] = tested->next_token;
            sequence->tokens[sequence->length++] = tested->next_token++;
        }
    }
}

clattn_status prepare(model *tested, int32_t num_seqs, const int32_t *places, const int32_t *num_new_tokens,
                      const clattn_extension **extension)
{
    uint64_t handles[MAX_SEQS] = {0};
    for (int32_t i = 0; i < num_seqs; i++)
        handles[i] = tested->list[places[i]].handle;
    return clattn_sequences_prepare(&tested->sequences, num_seqs, handles, num_new_tokens, extension, &tested->error);
}

const clattn_extension *extend(model *tested, int32_t num_seqs, const int32_t *places, const int32_t *num_new_tokens)
{
    const clattn_extension *extension = NULL;
    if (prepare(tested, num_seqs, places, num_new_tokens, &extension) != CLATTN_OK)
        fail_msg("prepare: %s", tested->error.text);
    finish_extension(tested, extension, places);
    return extension;
}

const clattn_extension *extend_one(model *tested, int32_t place, int32_t num_new_tokens)
{
    return extend(tested, 1, &place, &num_new_tokens);
}

int32_t num_free_pages(const model *tested)
{
    return clattn_pages_num_free(&tested->sequences.pages);
}

const int32_t *table_of(const model *tested, int32_t place)
{
    return tested->sequences.slots[(tested->list[place].handle & UINT32_MAX) - 1].block_table;
}

void check_model(model *tested)
{
    const int32_t page_size = tested->sequences.page_size;
    const int32_t no_tokens[MAX_SEQS] = {0};
    int32_t counts[MAX_PAGES] = {0};
    int32_t places[MAX_SEQS];
    int32_t num_seqs = 0;
    int32_t num_free = 0;
    for (int32_t i = 0; i < MAX_SEQS; i++) {
        if (tested->list[i].handle)
            places[num_seqs++] = i;
    }
    const clattn_extension *batch = extend(tested, num_seqs, places, no_tokens);
    assert_int_equal(batch->num_copies, 0);
    for (int32_t i = 0; i < num_seqs; i++) {
        const model_sequence *sequence = &tested->list[places[i]];
        const int32_t *row = batch->block_tables + i * batch->pages_per_seq;
        assert_int_equal(batch->context_lens[i], sequence->length);
        assert_int_equal(clattn_sequences_length(&tested->sequences, sequence->handle), sequence->length);
        for (int32_t t = 0; t < sequence->length; t++)
            assert_int_equal(tested->contents[row[t / page_size] * page_size + t % page_size], sequence->tokens[t]);
        for (int32_t k = 0; k < batch->pages_per_seq; k++) {
            if (k * page_size < sequence->length)
                counts[row[k]]++;
            else
                assert_int_equal(row[k], -1);
        }
    }
    for (int32_t page = 0; page < tested->sequences.pages.num_pages; page++) {
        assert_int_equal(clattn_pages_count(&tested->sequences.pages, page), counts[page]);
        num_free += counts[page] == 0;
    }
    assert_int_equal(num_free_pages(tested), num_free);
}

static void copy_entries(void *target, const void *source, size_t num_entries, size_t entry_bytes)
{
    if (num_entries > 0)
        memcpy(target, source, num_entries * entry_bytes);
}

void snapshot_take(const model *tested, const clattn_extension *batch, snapshot *taken)
{
    const clattn_sequences *sequences = &tested->sequences;
    const size_t num_seqs = (size_t)batch->num_seqs;
    memset(taken, 0, sizeof *taken);
    taken->num_free = num_free_pages(tested);
    copy_entries(taken->free_pages, sequences->pages.free_pages, (size_t)taken->num_free, sizeof(int32_t));
    copy_entries(taken->num_references, sequences->pages.num_references, (size_t)sequences->pages.num_pages,
                 sizeof(int32_t));
    for (int32_t i = 0; i < MAX_SEQS; i++) {
        taken->lengths[i] = clattn_sequences_length(sequences, tested->list[i].handle);
        if (taken->lengths[i] <= 0)
            continue;
        const int32_t num_pages = (taken->lengths[i] - 1) / sequences->page_size + 1;
        copy_entries(taken->tables[i], table_of(tested, i), (size_t)num_pages, sizeof(int32_t));
    }
    copy_entries(taken->query_start_loc, batch->query_start_loc, num_seqs + 1, sizeof(int32_t));
    copy_entries(taken->context_lens, batch->context_lens, num_seqs, sizeof(int32_t));
    copy_entries(taken->block_tables, batch->block_tables, num_seqs * (size_t)batch->pages_per_seq, sizeof(int32_t));
    copy_entries(taken->slot_mapping, batch->slot_mapping, (size_t)batch->total_tokens, sizeof(int64_t));
}

void assert_unchanged(const model *tested, const clattn_extension *batch, const snapshot *before)
{
    snapshot *after = malloc(sizeof *after);
    assert_non_null(after);
    snapshot_take(tested, batch, after);
    assert_memory_equal(after, before, sizeof *after);
    free(after);
}
