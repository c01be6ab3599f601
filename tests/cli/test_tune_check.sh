#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cl-tune --check says of each kernel whether it is right; one that is wrong, crashes or hangs, played by fault_layer.c,
# is told and keeps no other from being looked at.
#
# usage: test_tune_check.sh CL_TUNE FAULT_LAYER
set -eu

tune=$1
fault_layer=$2
# shellcheck source=tests/cli/tune_common.sh
. "$(dirname -- "$0")/tune_common.sh"
output=$work/none

# checked CODE ARGUMENT...: a self-test that ends with CODE; the test ends here if there is no device.
checked()
{
    expected_code=$1
    shift
    run "$tune" --check "$@"
    if [ "$code" -eq 77 ]; then
        echo "skipped: no OpenCL device"
        exit 77
    fi
    [ "$code" -eq "$expected_code" ] || failed "exit code $code instead of $expected_code: --check $*"
}

# All kernels of the simplest family in one type, and all of one type's layouts of a cache.
checked 0 --family plain --kv-dtype float16
[ "$(grep -c '^ok  ' "$work/stdout")" -eq "$(wc -l <"$work/stdout")" ] || failed "a kernel is not right"
for line in 'plain  decode  ragged_page_attention   float16  128     combined    all options' \
    'plain  prefill ragged_page_attention   float16  128     combined    window' \
    'plain  prefill ragged_page_attention   float16  192/128 nhd         plain' \
    'plain  decode  page_attention          float16  128     nhd         plain' \
    'plain  decode  ragged_attention        float16  128     dense       plain' \
    '-      -       merge_states            float16  128     -           by lse' \
    '-      -       kv_cache_append         float16  -       heads_first float32 rows'; do
    grep -q "^ok  *$line\$" "$work/stdout" || failed "no line: $line"
done
said "^$(wc -l <"$work/stdout") right\$"

# Heads of one's own, on every family; one that the device cannot run is told as such.
checked 0 --num-q-heads 6 --num-kv-heads 2 --head-dim 40 --kv-dtype float32,bfloat16 --phase decode --json
holds '{(case["family"], case["kv_dtype"]) for case in told if case["phase"]} ==
       {(family, dtype) for family in ("vector", "simt", "plain") for dtype in ("float32", "bfloat16")}'
holds 'all(case["outcome"] in ("ok", "refused") and bool(case["reason"]) == (case["outcome"] == "refused")
           for case in told) and sum(case["op"] == "merge_states" for case in told) == 4'
holds 'all(case["head_dim"] == 40 for case in told if case["phase"])'

# Faults of every kind, each with its line and its reason, among kernels that are right.
faults="SOFT_CAP=1:crash;SINKS=1:wrong;HEAD_DIM=64:hang;HEAD_DIM=96:refuse;SRC_K_DTYPE=1:exit"
OPENCL_LAYERS=$fault_layer CLATTN_FAULTS=$faults checked 1 --family plain --kv-dtype float32 --phase decode \
    --cache-dir "$work/cache" --build-limit 10s
for line in 'crashed .* soft cap: signal [0-9]* (.*) while building and running, having said: the compiler of the' \
    'crashed .* all options: signal' 'wrong .* sinks: row 0, head 0, element 0 is .*nan instead of' \
    'hung .* 64      combined    plain: building and running took more than 10 s' \
    'failed .* 96      combined    plain: .*CLATTN_BUILD_FAILED' \
    'crashed .* kv_cache_append .*: the process ended with exit code 3 while building and running' \
    'ok .* 128     combined    plain$' 'ok .* window$' 'ok .* 256 ' 'ok .* merge_states'; do
    grep -q "^$line" "$work/stdout" || failed "no line: $line"
done
[ "$(grep -c '^ok' "$work/stdout")" -eq 13 ] || failed "other kernels than the faulty ones are not right"
said '^13 right, 1 wrong, 1 failed, 6 crashed, 1 hung$'

# The time ends: what was not looked at is told, and is no success.
checked 1 --family plain --kv-dtype float16 --budget 0.001s
[ ! -s "$work/stdout" ] || failed "a kernel was looked at without time"
said '^0 right, [0-9]* not looked at$'

refused 77 'CLATTN_NO_DEVICE' "$tune" --check --device 'no device has this name'
refused 2 '--strategy and --check exclude each other' "$tune" --check --strategy random
refused 2 '--resume and --check exclude each other' "$tune" --check --resume
refused 2 '--layout and --check exclude each other' "$tune" --check --layout nhd
refused 2 '--warm and --explain exclude each other\|--explain and --warm exclude each other' "$tune" --warm --explain

finish
