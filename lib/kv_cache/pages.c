/* SPDX-License-Identifier: Apache-2.0 */
/* The free list is a stack, so that a page given back lately, whose data may still be in a cache, is reused first. */
#include "kv_cache/pages.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

clattn_status clattn_pages_init(clattn_pages *pages, int32_t num_pages, clattn_error *error)
{
    assert(num_pages >= 1);
    *pages = (clattn_pages){.num_pages = num_pages};
    pages->free_pages = calloc((size_t)num_pages, sizeof *pages->free_pages);
    pages->num_references = calloc((size_t)num_pages, sizeof *pages->num_references);
    CLATTN_REQUIRE(error, pages->free_pages && pages->num_references, CLATTN_OUT_OF_MEMORY,
                   "no memory for the free list of %" PRId32 " pages", num_pages);

    for (int32_t i = 0; i < num_pages; i++)
        pages->free_pages[i] = num_pages - 1 - i;
    pages->num_free = num_pages;
    return CLATTN_OK;
}

void clattn_pages_finish(clattn_pages *pages)
{
    free(pages->free_pages);
    free(pages->num_references);
    *pages = (clattn_pages){0};
}

int32_t clattn_pages_take(clattn_pages *pages)
{
    if (pages->num_free == 0)
        return CLATTN_NO_PAGE;
    const int32_t page = pages->free_pages[--pages->num_free];
    assert(pages->num_references[page] == 0);
    pages->num_references[page] = 1;
    return page;
}

int32_t clattn_pages_peek(const clattn_pages *pages, int32_t num_takes)
{
    assert(num_takes >= 0 && num_takes < pages->num_free);
    return pages->free_pages[pages->num_free - 1 - num_takes];
}

void clattn_pages_retain(clattn_pages *pages, int32_t page)
{
    assert(page >= 0 && page < pages->num_pages && pages->num_references[page] > 0);
    pages->num_references[page]++;
}

void clattn_pages_release(clattn_pages *pages, int32_t page)
{
    assert(page >= 0 && page < pages->num_pages && pages->num_references[page] > 0);
    if (--pages->num_references[page] == 0)
        pages->free_pages[pages->num_free++] = page;
}

int32_t clattn_pages_count(const clattn_pages *pages, int32_t page)
{
    assert(page >= 0 && page < pages->num_pages);
    return pages->num_references[page];
}

int32_t clattn_pages_num_free(const clattn_pages *pages)
{
    return pages->num_free;
}
