/* SPDX-License-Identifier: Apache-2.0 */
/* Which physical pages are free and how many sequences hold each of the others. Without OpenCL: page numbers only. */
#ifndef CLATTN_KV_CACHE_PAGES_H
#define CLATTN_KV_CACHE_PAGES_H

#include "runtime/error.h"

#include <stdint.h>

#define CLATTN_NO_PAGE (-1)

typedef struct clattn_pages {
    int32_t num_pages;
    int32_t num_free;
    int32_t *free_pages;     /* stack of [num_free], the last entry is taken next */
    int32_t *num_references; /* [num_pages], 0 = free */
} clattn_pages;

/* All pages free, taken in ascending order at first. All memory is allocated here. Finish also after a failure. */
clattn_status clattn_pages_init(clattn_pages *pages, int32_t num_pages, clattn_error *error);

void clattn_pages_finish(clattn_pages *pages);

/* A free page with one reference; CLATTN_NO_PAGE if there is none. */
int32_t clattn_pages_take(clattn_pages *pages);

/*
 * The page that the take after `num_takes` further ones will give, if nothing is released before; num_takes <
 * num_free.
 */
int32_t clattn_pages_peek(const clattn_pages *pages, int32_t num_takes);

/* One more holder of a page that is held. */
void clattn_pages_retain(clattn_pages *pages, int32_t page);

/* One holder less; the page is free after the last. */
void clattn_pages_release(clattn_pages *pages, int32_t page);

/* Holders of a page. */
int32_t clattn_pages_count(const clattn_pages *pages, int32_t page);

int32_t clattn_pages_num_free(const clattn_pages *pages);

#endif
