/* SPDX-License-Identifier: Apache-2.0 */
/* The help text of cl-bench. */
#ifndef BENCH_HELP_H
#define BENCH_HELP_H

/* To standard output. */
void bench_help_print(void);

#endif
