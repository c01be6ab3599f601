/* SPDX-License-Identifier: Apache-2.0 */
/* What cl-bench --list prints. */
#ifndef BENCH_LIST_H
#define BENCH_LIST_H

#include <stdio.h>

/* All that options call by name, and the devices that are there. */
void bench_list_print(FILE *file);

#endif
