#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cl-tune says what it can do and refuses what it cannot; nothing is tuned.
#
# usage: test_tune_options.sh CL_TUNE VERSION
set -eu

tune=$1
version=$2
# shellcheck source=tests/cli/tune_common.sh
. "$(dirname -- "$0")/tune_common.sh"
output=$work/tuning.json

run "$tune" --help
[ "$code" -eq 0 ] || failed "exit code $code: cl-tune --help"
for word in ragged_page_attention llama-3-8b descent --budget --resume --list-spaces examples 'exit status' \
    FILE.journal; do
    grep -q -e "$word" "$work/stdout" || failed "the help does not say $word"
done
run "$tune" --version
grep -qx "cl-tune, of clattn $version" "$work/stdout" || failed "--version says something else"

run "$tune" --list-spaces
for word in 'vector decode' 'simt prefill' 'block_q  *BLOCK_Q ' 'min_split_tokens  *(host alone)'; do
    grep -q -e "$word" "$work/stdout" || failed "--list-spaces does not say $word"
done
run "$tune" --list-spaces --json
holds 'len(told) == 6 and all(len(tunable["values"]) >= 1 for space in told for tunable in space["tunables"])'

refused 2 "^error: --op should be .*, not 'attention'" "$tune" --op attention
refused 2 "^error: --model should be .*, not 'llama-9'" "$tune" --model llama-9
refused 2 "^error: --model should be .*, not 'all'" "$tune" --model all
refused 2 '^error: --dtype should be' "$tune" --dtype int8
refused 2 '^error: --kv-dtype should be' "$tune" --kv-dtype default
refused 2 '^error: --kv-dtype: a search is of one type' "$tune" --kv-dtype all
refused 2 "^error: --phase should be decode or prefill, not 'merge'" "$tune" --phase decode,merge
refused 2 "^error: --batch should be single, small or large, not 'huge'" "$tune" --batch huge
refused 2 "^error: --strategy should be descent, random or exhaustive, not 'luck'" "$tune" --strategy luck
for time in 0 -1s 5d s nan inf 1e9s 721h 10m5 ''; do
    refused 2 "^error: --budget should be a time such as .*, not '$time'" "$tune" --budget "$time"
done
refused 2 '^error: --build-limit should be a time' "$tune" --build-limit 0s
refused 2 '^error: --run-limit should be a time' "$tune" --run-limit x
refused 2 '^error: --max-candidates should be a whole number from 1' "$tune" --max-candidates 0
refused 2 '^error: --runs should be a whole number from 3' "$tune" --runs 2
refused 2 '^error: --seed should be' "$tune" --seed -1
refused 2 '^error: --output should be FILE, not empty' "$tune" --output ''
refused 2 'exclude each other' "$tune" --model llama-3-8b --head-dim 64
refused 2 'given together' "$tune" --num-q-heads 8 --head-dim 64
refused 2 'not a multiple of --num-kv-heads' "$tune" --num-q-heads 7 --num-kv-heads 2 --head-dim 64
refused 2 'not a multiple of 8' "$tune" --num-q-heads 8 --num-kv-heads 2 --head-dim 60
refused 2 'from 8 to 512' "$tune" --num-q-heads 8 --num-kv-heads 2 --head-dim 520
refused 2 '--layout combined: .*--head-dim-v' "$tune" --head-dim-v 64 --layout combined
refused 2 '--layout: ragged_decode_attention reads a dense cache' "$tune" --op ragged_decode_attention --layout nhd
refused 2 '--page-size: ragged_attention reads a dense cache' "$tune" --op ragged_attention --page-size 16
refused 2 '--phase prefill: page_attention takes one new token' "$tune" --op page_attention --phase prefill
refused 2 'ragged_attention has no soft cap' "$tune" --op ragged_attention --model gemma-2-9b
refused 2 'ragged_attention has no attention sinks' "$tune" --op ragged_attention --model gpt-oss-20b
refused 2 '--resume and --dry-run exclude each other' "$tune" --dry-run --resume
refused 2 '--budget and --list-spaces exclude each other' "$tune" --list-spaces --budget 5s
refused 2 '--device and --list-devices exclude each other' "$tune" --list-devices --device 0
refused 2 'no option' "$tune" decode

# Where rows cannot go is found out before anything is searched, and what is there stays as it is.
: >"$work/file"
refused 1 '^error: cannot' "$tune" --output "$work/file/tuning.json"
refused 1 '^error: cannot' "$tune" --output "$work/missing/tuning.json"
echo '{"schema": 2, "rows": []}' >"$output"
refused 1 'tuning.json has the schema 2, clattn .* knows 1: it is left as it is' "$tune" --output "$output"
grep -qx '{"schema": 2, "rows": \[\]}' "$output" || failed "a file of a later schema was changed"
echo '[]' >"$output"
refused 1 'tuning.json is no tuning file' "$tune" --output "$output"
rm "$output"
refused 1 '^error: neither XDG_CONFIG_HOME nor HOME is set' env -u XDG_CONFIG_HOME -u HOME "$tune"
refused 77 'CLATTN_NO_DEVICE' "$tune" --output "$output" --device 'no device has this name'
[ ! -e "$output" ] || failed "a file was written without a device"

run "$tune" --list-devices
if [ "$code" -eq 77 ]; then
    [ "$num_failed" -eq 0 ] || exit 1
    echo "skipped: no OpenCL device"
    exit 77
fi
grep -q '^  0  .* / ' "$work/stdout" || failed "--list-devices lists none"

# shellcheck disable=SC2086 # several options
run "$tune" $small $heads --output "$output" --dry-run
grep -q '^prefill/single: [0-9]* tiles of [0-9]*$' "$work/stdout" || failed "--dry-run counts no tiles"
grep -q 'left out, as in: .*block_q is 16, expected a multiple' "$work/stdout" || failed "--dry-run has no reason"
# shellcheck disable=SC2086
run "$tune" $small $heads --output "$output" --dry-run --json
holds 'told["tasks"][0]["num_tiles"] + sum(r["num_tiles"] for r in told["tasks"][0]["left_out"]) ==
       told["tasks"][0]["num_points"]'
run "$tune" --output "$output" --dry-run --json --op page_attention --batch small,large,small
holds '[task["task"] for task in told["tasks"]] == ["decode/small", "decode/large"]'
holds 'not rows and not journal'

finish
