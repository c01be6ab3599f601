/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sequences hold pages by reference. A page has more than one holder only through a fork; it is written by an extension
 * only in its last, partly filled page, so that is the only one ever copied.
 */
#include "kv_cache/sequences.h"

#include "runtime/size.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int32_t num_pages_for(const clattn_sequences *sequences, int32_t num_tokens)
{
    return (int32_t)clattn_ceil_div(num_tokens, sequences->page_size);
}

clattn_status clattn_sequences_init(clattn_sequences *sequences, int32_t num_pages, int32_t page_size, int32_t max_seqs,
                                    clattn_error *error)
{
    assert(page_size >= 1 && max_seqs >= 1);
    *sequences = (clattn_sequences){.page_size = page_size, .max_seqs = max_seqs};
    CLATTN_TRY(clattn_pages_init(&sequences->pages, num_pages, error));
    sequences->slots = calloc((size_t)max_seqs, sizeof *sequences->slots);
    sequences->free_slots = calloc((size_t)max_seqs, sizeof *sequences->free_slots);
    sequences->num_leaving = calloc((size_t)num_pages, sizeof *sequences->num_leaving);
    CLATTN_REQUIRE(error, sequences->slots && sequences->free_slots && sequences->num_leaving, CLATTN_OUT_OF_MEMORY,
                   "no memory for %" PRId32 " sequences over %" PRId32 " pages", max_seqs, num_pages);
    return CLATTN_OK;
}

static void finish_extension(clattn_extension *extension)
{
    for (size_t i = 0; i < sizeof extension->storage / sizeof extension->storage[0]; i++)
        free(extension->storage[i].data);
}

void clattn_sequences_finish(clattn_sequences *sequences)
{
    for (int32_t i = 0; i < sequences->num_used_slots; i++)
        free(sequences->slots[i].block_table);
    free(sequences->slots);
    free(sequences->free_slots);
    free(sequences->num_leaving);
    finish_extension(&sequences->extensions[0]);
    finish_extension(&sequences->extensions[1]);
    clattn_pages_finish(&sequences->pages);
    *sequences = (clattn_sequences){0};
}

/* NULL if the handle is not that of a living sequence. */
static clattn_sequence_slot *find_slot(const clattn_sequences *sequences, uint64_t handle)
{
    const uint64_t number = handle & UINT32_MAX;
    if (number < 1 || number > (uint64_t)sequences->num_used_slots)
        return NULL;
    clattn_sequence_slot *slot = &sequences->slots[number - 1];
    return slot->alive && slot->generation == handle >> 32 ? slot : NULL;
}

static clattn_status refuse_handle(uint64_t handle, const char *name, clattn_error *error)
{
    return clattn_error_set(error, CLATTN_INVALID_SEQUENCE,
                            "%s is 0x%" PRIx64 ", which is no living sequence of this cache", name, handle);
}

/* Takes a slot; the sequence in it is empty. NULL = none left. */
static clattn_sequence_slot *take_slot(clattn_sequences *sequences)
{
    clattn_sequence_slot *slot = NULL;
    if (sequences->num_free_slots > 0)
        slot = &sequences->slots[sequences->free_slots[--sequences->num_free_slots]];
    else if (sequences->num_used_slots < sequences->max_seqs)
        slot = &sequences->slots[sequences->num_used_slots++];
    if (slot)
        slot->alive = true;
    return slot;
}

static void free_slot(clattn_sequences *sequences, clattn_sequence_slot *slot)
{
    free(slot->block_table);
    slot->block_table = NULL;
    slot->table_capacity = 0;
    slot->length = 0;
    slot->generation++;
    slot->alive = false;
    sequences->free_slots[sequences->num_free_slots++] = (int32_t)(slot - sequences->slots);
}

static uint64_t handle_of(const clattn_sequences *sequences, const clattn_sequence_slot *slot)
{
    return (uint64_t)slot->generation << 32 | ((uint64_t)(slot - sequences->slots) + 1);
}

/* Room for num_pages entries; the table keeps its entries, also on failure. */
static bool reserve_table(clattn_sequence_slot *slot, int32_t num_pages)
{
    if (num_pages <= slot->table_capacity)
        return true;
    const int32_t doubled = slot->table_capacity > INT32_MAX / 2 ? INT32_MAX : 2 * slot->table_capacity;
    const int32_t capacity = num_pages > doubled ? num_pages : doubled;
    uint64_t num_bytes = 0;
    if (!clattn_size_multiply((uint64_t)capacity, sizeof *slot->block_table, &num_bytes) || num_bytes > SIZE_MAX)
        return false;
    int32_t *table = realloc(slot->block_table, (size_t)num_bytes);
    if (!table)
        return false;
    slot->block_table = table;
    slot->table_capacity = capacity;
    return true;
}

static clattn_status refuse_more_sequences(const clattn_sequences *sequences, clattn_error *error)
{
    return clattn_error_set(error, CLATTN_OUT_OF_PAGES, "all %" PRId32 " sequences (max_seqs) are alive",
                            sequences->max_seqs);
}

clattn_status clattn_sequences_create(clattn_sequences *sequences, uint64_t *handle, clattn_error *error)
{
    const clattn_sequence_slot *slot = take_slot(sequences);
    if (!slot)
        return refuse_more_sequences(sequences, error);
    *handle = handle_of(sequences, slot);
    return CLATTN_OK;
}

clattn_status clattn_sequences_fork(clattn_sequences *sequences, uint64_t parent, uint64_t *child, clattn_error *error)
{
    const clattn_sequence_slot *source = find_slot(sequences, parent);
    if (!source)
        return refuse_handle(parent, "parent", error);
    clattn_sequence_slot *slot = take_slot(sequences);
    if (!slot)
        return refuse_more_sequences(sequences, error);

    const int32_t num_pages = num_pages_for(sequences, source->length);
    if (!reserve_table(slot, num_pages)) {
        free_slot(sequences, slot);
        return clattn_error_set(error, CLATTN_OUT_OF_MEMORY, "no memory for a block table of %" PRId32 " pages",
                                num_pages);
    }
    for (int32_t i = 0; i < num_pages; i++) {
        slot->block_table[i] = source->block_table[i];
        clattn_pages_retain(&sequences->pages, source->block_table[i]);
    }
    slot->length = source->length;
    *child = handle_of(sequences, slot);
    return CLATTN_OK;
}

/* Gives back the pages behind num_tokens, the last one first, so that they are taken again in the table's order. */
static void shorten(clattn_sequences *sequences, clattn_sequence_slot *slot, int32_t num_tokens)
{
    for (int32_t i = num_pages_for(sequences, slot->length); i-- > num_pages_for(sequences, num_tokens);)
        clattn_pages_release(&sequences->pages, slot->block_table[i]);
    slot->length = num_tokens;
}

clattn_status clattn_sequences_truncate(clattn_sequences *sequences, uint64_t handle, int32_t num_tokens,
                                        clattn_error *error)
{
    clattn_sequence_slot *slot = find_slot(sequences, handle);
    if (!slot)
        return refuse_handle(handle, "sequence", error);
    CLATTN_REQUIRE(error, num_tokens >= 0 && num_tokens <= slot->length, CLATTN_INVALID_ARGUMENT,
                   "num_tokens is %" PRId32 ", expected 0 to the sequence's length %" PRId32, num_tokens, slot->length);
    shorten(sequences, slot, num_tokens);
    return CLATTN_OK;
}

clattn_status clattn_sequences_release(clattn_sequences *sequences, uint64_t handle, clattn_error *error)
{
    clattn_sequence_slot *slot = find_slot(sequences, handle);
    if (!slot)
        return refuse_handle(handle, "*sequence", error);
    shorten(sequences, slot, 0);
    free_slot(sequences, slot);
    return CLATTN_OK;
}

int32_t clattn_sequences_length(const clattn_sequences *sequences, uint64_t handle)
{
    const clattn_sequence_slot *slot = find_slot(sequences, handle);
    return slot ? slot->length : -1;
}

/* Room for num_elements without their old contents, never NULL on success; with slack, since batches grow. */
static void *reserve_array(clattn_step_array *array, uint64_t num_elements, uint64_t element_bytes)
{
    uint64_t num_bytes = 0;
    if (!clattn_size_multiply(num_elements, element_bytes, &num_bytes) || num_bytes > SIZE_MAX / 2)
        return NULL;
    if (array->data && num_bytes <= array->num_bytes)
        return array->data;
    free(array->data);
    array->num_bytes = num_bytes + num_bytes / 2 + element_bytes;
    array->data = malloc((size_t)array->num_bytes);
    if (!array->data)
        array->num_bytes = 0;
    return array->data;
}

/* Checks the arguments, one sequence after the other, and adds up the tokens. */
static clattn_status check_members(clattn_sequences *sequences, int32_t num_seqs, const uint64_t *handles,
                                   const int32_t *num_new_tokens, int64_t *total_tokens, clattn_error *error)
{
    CLATTN_REQUIRE(error, num_seqs >= 0, CLATTN_INVALID_ARGUMENT, "num_seqs is %" PRId32 ", expected 0 or more",
                   num_seqs);
    CLATTN_REQUIRE(error, handles || num_seqs == 0, CLATTN_INVALID_ARGUMENT,
                   "sequences is NULL, expected [%" PRId32 "]", num_seqs);
    CLATTN_REQUIRE(error, num_new_tokens || num_seqs == 0, CLATTN_INVALID_ARGUMENT,
                   "num_new_tokens is NULL, expected [%" PRId32 "]", num_seqs);

    const uint64_t number = ++sequences->num_extensions;
    *total_tokens = 0;
    for (int32_t i = 0; i < num_seqs; i++) {
        clattn_sequence_slot *slot = find_slot(sequences, handles[i]);
        CLATTN_REQUIRE(error, slot, CLATTN_INVALID_SEQUENCE,
                       "sequences[%" PRId32 "] is 0x%" PRIx64 ", which is no living sequence of this cache", i,
                       handles[i]);
        CLATTN_REQUIRE(error, slot->listed_in != number, CLATTN_INVALID_ARGUMENT,
                       "sequences[%" PRId32 "] and sequences[%" PRId32 "] are the same sequence", slot->listed_at, i);
        CLATTN_REQUIRE(error, num_new_tokens[i] >= 0, CLATTN_INVALID_ARGUMENT,
                       "num_new_tokens[%" PRId32 "] is %" PRId32 ", expected 0 or more", i, num_new_tokens[i]);
        CLATTN_REQUIRE(error, num_new_tokens[i] <= INT32_MAX - slot->length, CLATTN_SIZE_OVERFLOW,
                       "sequences[%" PRId32 "] has %" PRId32 " tokens and cannot get %" PRId32 " more (limit 2^31-1)",
                       i, slot->length, num_new_tokens[i]);
        slot->listed_in = number;
        slot->listed_at = i;
        *total_tokens += num_new_tokens[i];
    }
    return CLATTN_OK;
}

/*
 * Whether a member must leave its last page before writing to it: others will still hold it after the earlier members
 * of the batch have left. The last holder writes in place; the copies, enqueued before any append, still read the old
 * data.
 */
static bool must_copy(const clattn_sequences *sequences, const clattn_sequence_slot *slot, int32_t num_new_tokens)
{
    if (num_new_tokens == 0 || slot->length % sequences->page_size == 0)
        return false;
    const int32_t page = slot->block_table[slot->length / sequences->page_size];
    return clattn_pages_count(&sequences->pages, page) - sequences->num_leaving[page] > 1;
}

/* Fills slots, query_start_loc, context_lens and the copies' sources; returns how many pages the batch takes. */
static int64_t measure(clattn_sequences *sequences, clattn_extension *extension, const uint64_t *handles,
                       const int32_t *num_new_tokens)
{
    int64_t num_new_pages = 0;
    extension->pages_per_seq = 1;
    extension->num_copies = 0;
    extension->query_start_loc[0] = 0;
    for (int32_t i = 0; i < extension->num_seqs; i++) {
        const clattn_sequence_slot *slot = find_slot(sequences, handles[i]);
        const int32_t context_len = slot->length + num_new_tokens[i];
        const int32_t num_pages = num_pages_for(sequences, context_len);
        extension->slots[i] = (int32_t)(slot - sequences->slots);
        extension->query_start_loc[i + 1] = extension->query_start_loc[i] + num_new_tokens[i];
        extension->context_lens[i] = context_len;
        if (num_pages > extension->pages_per_seq)
            extension->pages_per_seq = num_pages;
        num_new_pages += num_pages - num_pages_for(sequences, slot->length);
        if (must_copy(sequences, slot, num_new_tokens[i])) {
            const int32_t page = slot->block_table[slot->length / sequences->page_size];
            sequences->num_leaving[page]++;
            extension->copies[extension->num_copies++] = (clattn_page_copy){page, CLATTN_NO_PAGE, i};
            num_new_pages++;
        }
    }
    for (int32_t i = 0; i < extension->num_copies; i++)
        sequences->num_leaving[extension->copies[i].source] = 0;
    return num_new_pages;
}

/* One member's row of block_tables and its slots; num_takes and num_copies count on from the members before it. */
static void fill_member(const clattn_sequences *sequences, clattn_extension *extension, int32_t member,
                        int32_t *num_takes, int32_t *num_copies)
{
    const clattn_sequence_slot *slot = &sequences->slots[extension->slots[member]];
    const int32_t num_old_pages = num_pages_for(sequences, slot->length);
    const int32_t num_pages = num_pages_for(sequences, extension->context_lens[member]);
    const int32_t page_size = sequences->page_size;
    int32_t *row = extension->block_tables + (size_t)member * (size_t)extension->pages_per_seq;

    if (num_old_pages > 0)
        memcpy(row, slot->block_table, (size_t)num_old_pages * sizeof *row);
    if (*num_copies < extension->num_copies && extension->copies[*num_copies].member == member) {
        row[num_old_pages - 1] = clattn_pages_peek(&sequences->pages, (*num_takes)++);
        extension->copies[(*num_copies)++].target = row[num_old_pages - 1];
    }
    for (int32_t i = num_old_pages; i < num_pages; i++)
        row[i] = clattn_pages_peek(&sequences->pages, (*num_takes)++);
    for (int32_t i = num_pages; i < extension->pages_per_seq; i++)
        row[i] = CLATTN_NO_PAGE;

    int64_t *slot_mapping = extension->slot_mapping + extension->query_start_loc[member];
    for (int32_t t = slot->length; t < extension->context_lens[member]; t++)
        *slot_mapping++ = (int64_t)row[t / page_size] * page_size + t % page_size;
}

/* The arrays whose size the measurement gave, and room in every member's table. */
static bool reserve_tables(clattn_sequences *sequences, clattn_extension *extension)
{
    uint64_t num_entries = 0;
    if (!clattn_size_multiply((uint64_t)extension->num_seqs, (uint64_t)extension->pages_per_seq, &num_entries))
        return false;
    extension->block_tables = reserve_array(&extension->storage[4], num_entries, sizeof *extension->block_tables);
    extension->slot_mapping =
        reserve_array(&extension->storage[5], (uint64_t)extension->total_tokens, sizeof *extension->slot_mapping);
    if (!extension->block_tables || !extension->slot_mapping)
        return false;
    for (int32_t i = 0; i < extension->num_seqs; i++) {
        if (!reserve_table(&sequences->slots[extension->slots[i]],
                           num_pages_for(sequences, extension->context_lens[i])))
            return false;
    }
    return true;
}

static bool reserve_members(clattn_extension *extension, int32_t num_seqs)
{
    const uint64_t count = (uint64_t)num_seqs;
    extension->num_seqs = num_seqs;
    extension->slots = reserve_array(&extension->storage[0], count, sizeof *extension->slots);
    extension->query_start_loc = reserve_array(&extension->storage[1], count + 1, sizeof *extension->query_start_loc);
    extension->context_lens = reserve_array(&extension->storage[2], count, sizeof *extension->context_lens);
    extension->copies = reserve_array(&extension->storage[3], count, sizeof *extension->copies);
    return extension->slots && extension->query_start_loc && extension->context_lens && extension->copies;
}

clattn_status clattn_sequences_prepare(clattn_sequences *sequences, int32_t num_seqs, const uint64_t *handles,
                                       const int32_t *num_new_tokens, const clattn_extension **result,
                                       clattn_error *error)
{
    /* The last batch's arrays stay as they are, in case this one fails. */
    clattn_extension *extension = &sequences->extensions[1 - sequences->current];
    int64_t total_tokens = 0;
    CLATTN_TRY(check_members(sequences, num_seqs, handles, num_new_tokens, &total_tokens, error));
    CLATTN_REQUIRE(error, total_tokens <= INT32_MAX, CLATTN_SIZE_OVERFLOW,
                   "num_new_tokens add up to %" PRId64 " (limit 2^31-1)", total_tokens);
    CLATTN_REQUIRE(error, reserve_members(extension, num_seqs), CLATTN_OUT_OF_MEMORY,
                   "no memory for a batch of %" PRId32 " sequences", num_seqs);

    const int64_t num_new_pages = measure(sequences, extension, handles, num_new_tokens);
    const int32_t num_free = clattn_pages_num_free(&sequences->pages);
    CLATTN_REQUIRE(error, num_new_pages <= num_free, CLATTN_OUT_OF_PAGES,
                   "%" PRId64 " new tokens in %" PRId32 " sequences need %" PRId64 " pages (%" PRId32
                   " of them copies), %" PRId32 " are free",
                   total_tokens, num_seqs, num_new_pages, extension->num_copies, num_free);
    extension->total_tokens = (int32_t)total_tokens;
    extension->num_new_pages = (int32_t)num_new_pages;
    CLATTN_REQUIRE(error, reserve_tables(sequences, extension), CLATTN_OUT_OF_MEMORY,
                   "no memory for block tables [%" PRId32 ", %" PRId32 "] and %" PRId64 " slots", num_seqs,
                   extension->pages_per_seq, total_tokens);

    int32_t num_takes = 0;
    int32_t num_copies = 0;
    for (int32_t i = 0; i < num_seqs; i++)
        fill_member(sequences, extension, i, &num_takes, &num_copies);
    assert(num_takes == num_new_pages && num_copies == extension->num_copies);
    *result = extension;
    return CLATTN_OK;
}

void clattn_sequences_commit(clattn_sequences *sequences)
{
    const clattn_extension *extension = &sequences->extensions[1 - sequences->current];
    /* Taken before anything is released, so that these are the pages that the preparation looked ahead to. */
    for (int32_t i = 0; i < extension->num_new_pages; i++)
        (void)clattn_pages_take(&sequences->pages);
    for (int32_t i = 0; i < extension->num_copies; i++)
        clattn_pages_release(&sequences->pages, extension->copies[i].source);
    for (int32_t i = 0; i < extension->num_seqs; i++) {
        clattn_sequence_slot *slot = &sequences->slots[extension->slots[i]];
        const int32_t num_pages = num_pages_for(sequences, extension->context_lens[i]);
        const int32_t *row = extension->block_tables + (size_t)i * (size_t)extension->pages_per_seq;
        if (num_pages > 0)
            memcpy(slot->block_table, row, (size_t)num_pages * sizeof *row);
        slot->length = extension->context_lens[i];
    }
    sequences->current = 1 - sequences->current;
}
