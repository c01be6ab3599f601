/* SPDX-License-Identifier: Apache-2.0 */
/* What cl-tune --help prints around the table of options. */
#include "tune/help.h"

static const char usage_text[] =
    "usage: cl-tune [OPTION]...\n"
    "       cl-tune --explain | --check | --warm [OPTION]...\n"
    "       cl-tune --report FILE.html --journal FILE\n"
    "       cl-tune --merge FILE... [--output FILE]\n"
    "       cl-tune --export-rows FILE|- [--output FILE]\n"
    "       cl-tune --list-devices | --list-spaces | --version\n"
    "\n"
    "Looks for the tiles with which a device runs attention fastest, and puts them into the tuning file that clattn's\n"
    "contexts read. For each phase and class of batches: the default tile is checked and timed against itself, then\n"
    "tiles are tried as the strategy says until the budget ends, and the best three play a longer match against the\n"
    "default. A tile gets into the file only if it wins by more than the noise; else the default does.\n"
    "\n";

static const char method_text[] =
    "\n"
    "A tile is tried in a process of its own, which may crash, hang or run out of memory without harm to the search:\n"
    "that is noted, with the reason, and the next tile follows. First its results on a small batch of odd lengths,\n"
    "whose unused slots are NaN, are compared with float64; a wrong tile is not timed. Then tile and default are\n"
    "timed in turn. The gain is the median over the rounds of the default's time divided by the tile's in that round,\n"
    "the noise its interquartile range over the median. A tile that is hopeless after three rounds is given up. What\n"
    "does not fit the device is left out without being compiled.\n"
    "\n"
    "The batches: decode of 1 sequence of 16384 tokens, 5 of 1000 to 9000 and 20 of 100 to 4000; prefill of 1 "
    "sequence\n"
    "of 1024 tokens, 3 of 200 to 900 and 16 of 256. A tile that wins the match is held against the default on two "
    "other\n"
    "batches of its class, such as 8 sequences of 4096 and 3 of 12000, and passed over if it is slower there.\n"
    "\n"
    "Beside the tuning file FILE lie FILE.journal, FILE.crashes and FILE.lock. The journal gets a line before and\n"
    "after each tile, so that a search that ended anyhow loses one tile at most and --resume continues it.\n"
    "FILE.crashes remembers the tiles that took the driver down: they are not tried again with that driver and\n"
    "version of clattn. Other programs may write to the tuning file meanwhile; a journal belongs to one search at a\n"
    "time.\n"
    "\n"
    "--explain calls each of these batches, with the tiles that contexts choose, and holds the time against the\n"
    "device's own rates of multiply-adds and of reading, measured in the same rounds. predicted: the larger of flops\n"
    "over the one and bytes over the other.\n"
    "--check runs every kernel on a small batch of odd lengths, each in a process of its own, and prints a line for\n"
    "each: ok, wrong, failed, out_of_memory, crashed, hung, or refused if the device cannot run it.\n"
    "--warm makes the smallest calls that need every program, and says how many were built and how many were there.\n"
    "--merge keeps of two rows for the same device, driver and problem the one that comes last.\n"
    "\n"
    "examples\n"
    "  cl-tune --check\n"
    "  cl-tune --model llama-3-8b --kv-dtype float16 --budget 10m\n"
    "  cl-tune --phase decode --batch small,large --strategy random --max-candidates 50 --output tuning.json\n"
    "  cl-tune --resume --report search.html\n"
    "  cl-tune --explain --model llama-3-8b --kv-dtype float16\n"
    "  cl-tune --num-q-heads 24 --num-kv-heads 8 --head-dim 64 --dry-run\n"
    "\n"
    "exit status: 0 every row has been found, or every kernel was right; 1 something failed or was refused, a kernel\n"
    "was wrong, or the budget was too small; 2 wrong usage, 77 no OpenCL device, 128 + N ended by signal N (130:\n"
    "Ctrl-C); --resume continues after all of them\n";

void tune_help_print(const tool_option *table)
{
    fputs(usage_text, stdout);
    tool_options_print(table, stdout);
    fputs(method_text, stdout);
}
