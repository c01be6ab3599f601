/* SPDX-License-Identifier: Apache-2.0 */
/* What cl-bench --help prints. */
#include "bench/help.h"

#include "bench/operation.h"
#include "bench/options.h"

#include <stdio.h>

static const char usage_text[] =
    "usage: cl-bench [OPTION]...\n"
    "       cl-bench --overhead [--op NAME,...] [--dtype NAME] [--kv-dtype NAME] [--family NAME]\n"
    "                [--device NAME|INDEX] [--runs N] [--json FILE|-]\n"
    "\n"
    "Times attention operations on an OpenCL device and holds them against what the same device does in the same\n"
    "run: its rate of float32 multiply-adds and its read bandwidth. With --overhead: the host time of one call.\n"
    "\n"
    "what to run\n"
    "  --op NAME[,NAME...]  one or several, measured in turns and compared with the first (default\n"
    "                       " BENCH_DEFAULT_OPERATION "); one name twice shows the noise:\n";

static const char problem_text[] =
    "  --num-q-heads N --num-kv-heads N --head-dim N   the same by number, all three\n"
    "  --head-dim-v N       width of V and out, not with combined pages (default: head_dim)\n"
    "  --window N           keys that a query sees, its own included; 0 = all (replaces the model's)\n"
    "  --soft-cap X         cap*tanh(logit/cap); 0 = off (replaces the model's)\n"
    "  --dtype NAME         storage of queries and out: float32, float16 (default), bfloat16; ragged_attention\n"
    "                       writes float32 always\n"
    "  --kv-dtype NAME      storage of K and V (default: as --dtype)\n"
    "  --page-size N        KV tokens per page, of the operations that read pages (default 16)\n"
    "  --layout NAME        of the pages: combined, nhd, hnd, heads_first (default combined; nhd if page_attention is\n"
    "                       measured or V has a width of its own)\n"
    "  --seqs N             sequences (default 1, or as many as the longer list below)\n"
    "  --q-len N[,N...]     new tokens per sequence: one number for all, or one for each (default 1)\n"
    "  --context N[,N...]   KV tokens per sequence, the new ones included (default 1024); the longest is the\n"
    "                       seq_len of a dense cache\n"
    "how to run it\n"
    "  --num-splits N       KV partitions of every row; 0 = automatic (default)\n"
    "  --family NAME        default, vector, simt, plain\n"
    "  --device NAME|INDEX  part of \"platform / device\", or a number (default: the best device)\n"
    "  --runs N             rounds of probe, probe, operations (default 11); with --overhead calls (default 3000)\n"
    "  --overhead           measure a problem of one key and one head instead: microseconds from call to return of\n"
    "                       the operation with a plan, and of the bare clSetKernelArg and clEnqueueNDRangeKernel of\n"
    "                       as many kernels, in pairs on a drained queue; the overhead is the median of the\n"
    "                       difference within a pair\n"
    "what to write\n"
    "  --json FILE|-        also write the results as JSON; with - the table goes to stderr\n"
    "  --help               this text\n";

static const char method_text[] =
    "\n"
    "Every figure is the median of the rounds. Its spread is the interquartile range divided by the median; over\n"
    "10 % the table says so. A round repeats a short operation until 20 ms are full, each time on the K and V of\n"
    "the next layer; there are as many layers as it takes to reach 64 MiB (64 at most), as in a model whose layers\n"
    "are done in turn. flops: 2 * (head_dim + head_dim_v) per visible (query, key) pair and query head. bytes: K\n"
    "and V rows that some query sees, once per sequence, and queries and results. roofline_fraction: the larger of\n"
    "flops / FMA rate and bytes / read bandwidth, divided by the measured time. ratio: the median over the rounds\n"
    "of an operation's time divided by the first operation's time in that round.\n"
    "\n"
    "exit status: 0 measured, 1 something failed, 2 wrong usage\n";

void bench_help_print(void)
{
    fputs(usage_text, stdout);
    for (int id = 0; id < BENCH_NUM_OPERATIONS; id++) {
        const bench_operation *operation = bench_operation_at(id);
        printf("                         %-23s %s%s\n", operation->name, operation->dense ? "dense cache" : "pages",
               operation->decode_only ? ", --q-len 1" : "");
    }
    puts("  --model-shape NAME   heads, window, soft cap and sinks of a model (default " BENCH_DEFAULT_SHAPE "):");
    for (int i = 0; bench_shape_at(i); i++)
        printf("                         %s\n", bench_shape_at(i)->name);
    fputs(problem_text, stdout);
    fputs(method_text, stdout);
}
