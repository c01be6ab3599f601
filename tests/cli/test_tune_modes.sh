#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cl-tune --explain and --warm: the row that answers, by a tuning file and without one, and programs that are built once.
#
# usage: test_tune_modes.sh CL_TUNE
set -eu

tune=$1
# shellcheck source=tests/cli/tune_common.sh
. "$(dirname -- "$0")/tune_common.sh"
output=$work/tuning.json
shape="--family vector --num-q-heads 4 --num-kv-heads 2 --head-dim 64"
XDG_CACHE_HOME=$work/cache_home
export XDG_CACHE_HOME

# told CODE ARGUMENT...: a mode that ends with CODE; the test ends here if there is no device.
told()
{
    expected_code=$1
    shift
    # shellcheck disable=SC2086 # several options
    run "$tune" $shape "$@"
    if [ "$code" -eq 77 ]; then
        echo "skipped: no OpenCL device"
        exit 77
    fi
    [ "$code" -eq "$expected_code" ] || failed "exit code $code instead of $expected_code: $*"
}

# Every phase and batch, with all that is to be known of it.
told 0 --explain --runs 3 --json
holds 'len(told) == 6 and all(case["family"] == "vector" and case["refusal"] is None for case in told)'
holds '[len(case["q_lens"]) for case in told] == [1, 5, 20, 1, 3, 16]'
holds 'all((case["decode"] is None) == (case["q_lens"][0] > 1) == (case["prefill"] is not None) for case in told)'
holds 'all(tile["level"] == "default" and tile["row"] is None and tile["block_kv"] > 0 and tile["lanes"] > 0 and
           "qk_keys" in tile for case in told for tile in [case["decode"] or case["prefill"]])'
holds 'all(0 < case["roofline_fraction"] < 1.5 and case["predicted_ms"] > 0 and
           abs(case["predicted_ms"] / case["median_ms"] / case["roofline_fraction"] - 1) < 1e-6 for case in told)'
holds 'all(abs(case["predicted_ms"] * 1e-3 / max(case["flops"] / case["peak_gflops"],
                                                   case["bytes"] / case["read_gbytes_per_s"]) * 1e9 - 1) < 1e-6
           for case in told)'
holds 'all(any(kernel["program"] == "vector/" + ("decode" if case["decode"] else "prefill") and
               kernel["local_memory_bytes"] >= 0 and kernel["max_work_group_size"] > 0
               for kernel in case["kernels"]) for case in told)'

# A row of a file: the level, the row and the tile are that row's, for its own problem.
told 0 --dry-run --json --phase decode --batch single
python3 - "$work/stdout" "$output" <<'EOF'
import json, sys
told = json.load(open(sys.argv[1]))
default = told["tasks"][0]["default"]
row = {"device": told["device"], "driver": told["driver"], "vendor": "v", "architecture": "", "type": "cpu", "version": "0.1.0", "op": "paged", "phase": "decode",
       "family": "vector", "kv_dtype": "float16", "head_dim": 64, "head_dim_v": 64, "group_size": 2, "num_kv_heads": 2,
       "kv_layout": "combined", "page_size": 16, "batch": "single",
       "parameters": {"block_kv": 32 if default["block_kv"] != 32 else 64}}
json.dump({"schema": 1, "rows": [row]}, open(sys.argv[2], "w"))
EOF
told 0 --explain --runs 3 --json --phase decode --batch single --tuning "$output"
holds 'told[0]["decode"]["level"] == "user_driver" and "clattn 0.1.0" in told[0]["decode"]["row"] and
       told[0]["decode"]["block_kv"] == rows[0]["parameters"]["block_kv"]'
mkdir -p "$XDG_CONFIG_HOME/clattn"
cp "$output" "$XDG_CONFIG_HOME/clattn/tuning.json"
told 0 --explain --runs 3 --json --phase decode --batch single
holds 'told[0]["decode"]["level"] == "user_driver"'
told 0 --explain --runs 3 --phase decode --batch single
for line in '^ragged_page_attention$' '^  batch  .* context 16384$' '^  decode     level user_driver: .*clattn 0.1.0' \
    ' block_kv [0-9]* work_group_size 1 ' '^  kernel     vector/decode, ' '^  predicted  .* ms at best, ' \
    'attention runs at .* of the roofline'; do
    grep -q "$line" "$work/stdout" || failed "no line: $line"
done
told 0 --explain --runs 3 --json --phase decode --batch single --tuning none
holds 'told[0]["decode"]["level"] == "default"'

# Programs are built once: those of both phases, merging and appending.
told 0 --warm --kv-dtype float16,float32 --tuning none --json --cache-dir "$work/cache"
holds '[case["kv_dtype"] for case in told] == ["float16", "float32"]'
holds 'all(case["num_programs"] == case["num_built"] + case["num_there"] >= 4 and case["num_built"] >= 3
           for case in told) and told[0]["num_there"] == 0'
num_files=$(find "$work/cache" -name '*.clattn' | wc -l)
python3 -c 'import json, sys; sys.exit(sum(c["num_built"] for c in json.load(open(sys.argv[1]))) != int(sys.argv[2]))' \
    "$work/stdout" "$num_files" || failed "$num_files files are not the programs that were built"
told 0 --warm --kv-dtype float16,float32 --tuning none --cache-dir "$work/cache"
[ "$(grep -c '^float[0-9]*  *[0-9]* programs: 0 built, [0-9]* there already; in .*/cache$' "$work/stdout")" -eq 2 ] ||
    failed "programs were built twice"
# What was warmed is what a call needs.
told 0 --explain --runs 3 --json --tuning none --cache-dir "$work/cache" --batch single
holds 'len(told) == 2 and all(kernel["is_loaded"] for case in told for kernel in case["kernels"])'

refused 2 '--tuning goes with --explain, --check and --warm only' "$tune" --tuning none
refused 2 '--budget and --explain exclude each other' "$tune" --explain --budget 5s
refused 77 'CLATTN_NO_DEVICE' "$tune" --explain --device 'no device has this name'
refused 77 'CLATTN_NO_DEVICE' "$tune" --warm --device 'no device has this name'

finish
