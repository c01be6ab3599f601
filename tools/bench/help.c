/* SPDX-License-Identifier: Apache-2.0 */
/* What cl-bench --help prints around the table of options. */
#include "bench/help.h"

static const char usage_text[] =
    "usage: cl-bench [OPTION]...\n"
    "       cl-bench --trace FILE [OPTION]...\n"
    "       cl-bench --overhead [OPTION]...\n"
    "       cl-bench --list\n"
    "\n"
    "Times attention operations on an OpenCL device and holds them against what the same device does in the same\n"
    "run: its rate of float32 multiply-adds and its read bandwidth. Several models, workloads, dtypes of K and V and\n"
    "layouts give a result for each combination. With --overhead: the host time of one call.\n"
    "\n";

static const char method_text[] =
    "\n"
    "Every figure is the median of the rounds. Its spread is the interquartile range divided by the median; over\n"
    "10 % the table says so. A round repeats a short operation until 20 ms are full, each time on the K and V of\n"
    "the next layer; there are as many layers as it takes to reach 1 GiB (512 at most), as in a model whose layers\n"
    "are done in turn. flops: 2 * (head_dim + head_dim_v) per visible (query, key) pair and query head. bytes: K\n"
    "and V rows that some query sees, once per sequence, and queries and results. roofline_fraction: the larger of\n"
    "flops / FMA rate and bytes / read bandwidth, divided by the measured time. The bandwidth is that of reading\n"
    "in a line. paged_read_gbytes_per_s: the rate of a kernel that does nothing but read the K and V rows that the\n"
    "operation's queries see, in the order of its block tables, in the same rounds and on the same layers; the\n"
    "faster of two such kernels. paged_fraction: roofline_fraction with that rate as the bandwidth. ratio: the\n"
    "median over the rounds of an operation's time divided by the first operation's time in that round.\n"
    "A batch that mixes prefill and decode is also measured in parts, its prefills and its decodes alone, in the\n"
    "same rounds; parts: its time divided by the sum of the two. idle: the share of the compute units' time in which\n"
    "no thread of this process ran, on a CPU; a busy machine raises it. extra: device memory of the plan, that is of\n"
    "its work list and the workspace of split rows; a call with a plan takes no other.\n"
    "A trace is replayed in steps of its own time, the same on every machine: each step computes one token for every\n"
    "request that generates and fills the token budget with prompts, in order of arrival and in pieces. A request\n"
    "enters when its pages are free, and gives them back at its end. Tokens per second are those of one layer's\n"
    "attention; extending sequences and updating plans is given apart. Its pages change with every step, so a\n"
    "trace has no paged_fraction.\n"
    "\n"
    "examples\n"
    "  cl-bench --model llama-3-8b --workload prefill-1024,decode-8x4096 --kv-dtype float32,float16\n"
    "  cl-bench --model gemma-2-9b,gpt-oss-20b --workload all --json results.json\n"
    "  cl-bench --workload all --compare results.json --plot roofline.svg\n"
    "  cl-bench --op ragged_page_attention,page_attention --seqs 8 --context 4096 --layout nhd\n"
    "  cl-bench --trace AzureLLMInferenceTrace_code.csv --limit 200 --model llama-3-8b --kv-dtype bfloat16\n"
    "  cl-bench --overhead --op page_attention\n"
    "\n"
    "exit status: 0 measured, 1 something failed, 2 wrong usage, 77 no OpenCL device\n";

void bench_help_print(const tool_option *table)
{
    fputs(usage_text, stdout);
    tool_options_print(table, stdout);
    fputs(method_text, stdout);
}
