#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cl-bench says what it can do and refuses what it cannot; nothing is measured.
#
# usage: test_bench_refusals.sh CL_BENCH TRACE
set -eu

bench=$1
trace=$2
# shellcheck source=tests/cli/bench_common.sh
. "$(dirname -- "$0")/bench_common.sh"

run "$bench" --help
[ "$code" -eq 0 ] || failed "exit code $code: cl-bench --help"
for word in ragged_page_attention llama-3-8b interquartile --num-splits --head-dim-v --overhead --list examples \
    'exit status'; do
    grep -q -e "$word" "$work/stdout" || failed "the help does not say $word"
done

run "$bench" --list
[ "$code" -eq 0 ] || failed "exit code $code: cl-bench --list"
for line in ragged_page_attention page_attention ragged_decode_attention ragged_attention 'llama-3-8b  *32 query heads' \
    'gpt-oss-20b  .* window 128 in every other layer, sinks' 'gemma-2-9b .* soft cap 50' mixed \
    'decode-64x1024' 'float32, float16, bfloat16' 'combined, nhd, hnd, heads_first' 'default, vector'; do
    grep -q -e "^  $line" "$work/stdout" || failed "--list does not say $line"
done
refused 2 '--runs and --list exclude each other' "$bench" --list --runs 3
refused 2 '--overhead and --list exclude each other' "$bench" --list --overhead

refused 2 "^error: --op should be .*, not 'attention'" "$bench" --op attention
refused 2 "^error: --op should be .*, not ''" "$bench" --op page_attention,
refused 2 "^error: --op should be .*, not 'page'" "$bench" --op ragged_page_attention,page
refused 2 'at most 16 names' "$bench" --op "$(printf 'page_attention,%.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)page_attention"
refused 2 "^error: --model should be .*gpt-oss-20b.* or phi-3-mini, not 'llama-9'" "$bench" --model llama-9
refused 2 "^error: --workload should be .*, not 'prefill'" "$bench" --workload mixed,prefill
refused 2 '--workload and --seqs, --q-len, --context exclude each other' "$bench" --workload mixed --seqs 2
refused 2 '--workload and --seqs, --q-len, --context exclude each other' "$bench" --workload mixed --context 2
refused 2 'exclude each other' "$bench" --model llama-3-8b --head-dim 64
refused 2 'given together' "$bench" --num-q-heads 8 --head-dim 64
refused 2 'not a multiple of --num-kv-heads' "$bench" --num-q-heads 7 --num-kv-heads 2 --head-dim 64
refused 2 'not a multiple of 8' "$bench" --num-q-heads 8 --num-kv-heads 2 --head-dim 60
refused 2 'from 8 to 512' "$bench" --num-q-heads 8 --num-kv-heads 2 --head-dim 520
refused 2 'from 8 to 512' "$bench" --head-dim-v 0
refused 2 '--head-dim-v 60 is not a multiple of 8' "$bench" --head-dim-v 60
refused 2 '^error: --dtype' "$bench" --dtype int8
refused 2 '^error: --kv-dtype' "$bench" --kv-dtype default
refused 2 '--page-size' "$bench" --page-size 0
refused 2 '--layout' "$bench" --layout blocks
refused 2 '3 numbers for 2 sequences' "$bench" --seqs 2 --q-len 1,2,3 --context 9
refused 2 '3 numbers for 2 sequences' "$bench" --seqs 2 --context 1,2,3
refused 2 'separated by commas' "$bench" --q-len 1,,2 --context 9
refused 2 'separated by commas' "$bench" --q-len 0
refused 2 'longer than --context 4' "$bench" --q-len 5 --context 4
refused 2 '--window' "$bench" --window -1
refused 2 '--soft-cap' "$bench" --soft-cap nan
refused 2 '--soft-cap' "$bench" --soft-cap 1e-60
refused 2 '--json should be' "$bench" --json ''
refused 2 '--num-splits' "$bench" --num-splits -1
refused 2 '--family' "$bench" --family gpu
refused 2 '--runs' "$bench" --runs 0
refused 2 '--runs' "$bench" --runs 3x
refused 2 'no option' "$bench" ragged_page_attention

# What an operation cannot honour.
refused 2 '--layout combined: page_attention' "$bench" --op page_attention --layout combined
refused 2 '--layout combined: page_attention' "$bench" --op ragged_page_attention,page_attention --layout combined
refused 2 '--layout combined: .*--head-dim-v' "$bench" --head-dim-v 64 --layout combined
refused 2 '--layout: ragged_decode_attention reads a dense cache' "$bench" --op ragged_decode_attention --layout nhd
refused 2 '--page-size: ragged_attention reads a dense cache' "$bench" --op ragged_attention --page-size 16
refused 2 '--q-len 2: page_attention takes one' "$bench" --op page_attention --q-len 2
refused 2 '--q-len 3: ragged_decode_attention takes one' "$bench" --op ragged_decode_attention --q-len 1,3
refused 2 '--q-len 2: ragged_attention takes one' "$bench" --op ragged_page_attention,ragged_attention --q-len 2
refused 2 'ragged_attention has no window' "$bench" --op ragged_attention --window 9
refused 2 'ragged_attention has no window' "$bench" --op ragged_attention --model mistral-7b
refused 2 'ragged_attention has no soft cap' "$bench" --op ragged_attention --model gemma-2-9b
refused 2 'ragged_attention has no attention sinks' "$bench" --op ragged_attention --model gpt-oss-20b
for option in '--context 9' '--model llama-3-8b' '--workload mixed' '--num-q-heads 1' '--head-dim-v 64' '--page-size 1' \
    '--layout nhd' '--seqs 1' '--q-len 1' '--window 0' '--soft-cap 0' '--num-splits 0'; do
    # shellcheck disable=SC2086 # an option and its value
    refused 2 "${option% *} and --overhead exclude each other" "$bench" --overhead $option
done
# Options that have no meaning together.
refused 2 '--limit goes with --trace only' "$bench" --limit 3
refused 2 '--token-budget goes with --trace only' "$bench" --token-budget 64 --workload mixed
for option in '--op page_attention' '--workload mixed' '--seqs 1' '--q-len 1' '--context 9' '--overhead'; do
    # shellcheck disable=SC2086 # an option and its value
    refused 2 "${option% *} and --\(trace\|overhead\) exclude each other\|--trace and --overhead exclude" \
        "$bench" --trace "$trace" $option
done
refused 2 '--token-budget 63 should be at least --max-seqs, 64' "$bench" --trace "$trace" --token-budget 63
refused 2 'cannot open' "$bench" --trace "$work/missing.csv"
refused 2 'test_bench_refusals.sh:1: should be TIMESTAMP' "$bench" --trace "$0"
refused 2 '--json - and --csv - exclude each other' "$bench" --json - --csv -
refused 2 'cannot read' "$bench" --compare "$work/missing.json"
refused 2 'is not JSON' "$bench" --compare "$trace"
echo '{}' >"$work/empty.json"
refused 2 'should be what --json wrote' "$bench" --compare "$work/empty.json"
refused 2 '--plot and --overhead exclude each other' "$bench" --overhead --plot x.svg
refused 2 'overhead' "$bench" --overhead=9
refused 2 'speed' "$bench" --speed
refused 2 'json' "$bench" --json

refused 77 'CLATTN_NO_DEVICE' "$bench" --overhead --device 'no device has this name'
refused 77 'CLATTN_NO_DEVICE' "$bench" --device 'no device has this name'

finish
