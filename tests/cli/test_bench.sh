#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cl-bench refuses what it cannot measure and writes results that agree with themselves; cl-demo is within its bound.
# No figure of speed is judged.
#
# usage: test_bench.sh CL_BENCH CL_DEMO
set -eu

bench=$1
demo=$2
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
trap 'exit 1' HUP INT TERM

num_failed=0

failed()
{
    printf 'FAILED: %s\n' "$*"
    sed 's/^/    stderr: /' "$work/stderr"
    num_failed=$((num_failed + 1))
}

# run PROGRAM ARGUMENT...: output in $work/stdout and $work/stderr, exit code in $code.
run()
{
    code=0
    "$@" >"$work/stdout" 2>"$work/stderr" || code=$?
}

# refused CODE SENTENCE PROGRAM ARGUMENT...: the program ends with CODE, prints nothing and says SENTENCE.
refused()
{
    expected_code=$1 sentence=$2
    shift 2
    run "$@"
    [ "$code" -eq "$expected_code" ] || failed "exit code $code instead of $expected_code: $*"
    [ ! -s "$work/stdout" ] || failed "output in spite of an error: $*"
    grep -q -- "$sentence" "$work/stderr" || failed "no sentence '$sentence': $*"
}

# measured JSON KEY=VALUE...: the file holds one result with these values, whose figures follow from one another.
measured()
{
    python3 -c '
import json, math, sys

result, = json.load(open(sys.argv[1]))["results"]
for wanted in sys.argv[2:]:
    key, value = wanted.split("=", 1)
    assert result[key] == json.loads(value), f"{key} is {result[key]}, not {value}"

for key in ("median_ms", "gflops", "gbytes_per_s", "peak_gflops", "read_gbytes_per_s", "roofline_fraction",
            "plan_ms", "plan_update_ms"):
    assert math.isfinite(result[key]) and result[key] > 0, f"{key} is {result[key]}"
for key in ("spread", "workspace_bytes", "num_decode_items", "num_prefill_items"):
    assert math.isfinite(result[key]) and result[key] >= 0, f"{key} is {result[key]}"
for key in ("device", "driver", "platform", "version", "family"):
    assert isinstance(result[key], str) and result[key], f"{key} is {result[key]}"
assert result["family"] in ("vector", "simt"), result["family"]
assert result["num_decode_items"] + result["num_prefill_items"] > 0

# Counted pair by pair, from the definition.
window = result["sliding_window"] or math.inf
pairs = keys = tokens = 0
for q_len, context in zip(result["q_lens"], result["context_lens"]):
    seen = [[t for t in range(context) if p - window < t <= p] for p in range(context - q_len, context)]
    pairs += sum(map(len, seen))
    keys += len(set().union(*seen))
    tokens += q_len
size = {"float32": 4, "float16": 2, "bfloat16": 2}
flops = 4 * result["head_dim"] * result["num_q_heads"] * pairs
rows = 2 * tokens * result["num_q_heads"] * result["head_dim"] * size[result["dtype"]]
kv = 2 * keys * result["num_kv_heads"] * result["head_dim"] * size[result["kv_dtype"]]

def agree(key, value):
    assert math.isclose(result[key], value, rel_tol=1e-9), f"{key} is {result[key]}, not {value}"

seconds = result["median_ms"] / 1e3
agree("flops", flops)
agree("bytes", rows + kv)
agree("gflops", flops / seconds / 1e9)
agree("gbytes_per_s", (rows + kv) / seconds / 1e9)
floor = max(flops / result["peak_gflops"], (rows + kv) / result["read_gbytes_per_s"]) / 1e9
agree("roofline_fraction", floor / seconds)
' "$@" >"$work/check" 2>&1 || {
        tail -n 1 "$work/check"
        failed "$*"
    }
}

# measure JSON ARGUMENT...: runs cl-bench, which must succeed.
measure()
{
    json=$1
    shift
    run "$bench" --json "$json" "$@"
    [ "$code" -eq 0 ] || failed "exit code $code: cl-bench $*"
}

run "$bench" --help
[ "$code" -eq 0 ] || failed "exit code $code: cl-bench --help"
for word in ragged_page_attention llama-3-8b gpt-oss-20b interquartile --num-splits; do
    grep -q -e "$word" "$work/stdout" || failed "the help does not say $word"
done

refused 2 'ragged_page_attention' "$bench" --op page_attention
refused 2 'unknown' "$bench" --model-shape llama-9
refused 2 'exclude each other' "$bench" --model-shape llama-3-8b --head-dim 64
refused 2 'given together' "$bench" --num-q-heads 8 --head-dim 64
refused 2 'not a multiple of --num-kv-heads' "$bench" --num-q-heads 7 --num-kv-heads 2 --head-dim 64
refused 2 'not a multiple of 8' "$bench" --num-q-heads 8 --num-kv-heads 2 --head-dim 60
refused 2 'from 8 to 256' "$bench" --num-q-heads 8 --num-kv-heads 2 --head-dim 264
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
refused 2 '--num-splits' "$bench" --num-splits -1
refused 2 '--family' "$bench" --family gpu
refused 2 '--runs' "$bench" --runs 0
refused 2 '--runs' "$bench" --runs 3x
refused 2 'no option' "$bench" ragged_page_attention
refused 2 'speed' "$bench" --speed
refused 2 'json' "$bench" --json
refused 2 'no option' "$demo" now
refused 2 'speed' "$demo" --speed

measure "$work/ragged.json" --seqs 2 --q-len 3,1 --context 37,20 --runs 3
if [ "$code" -ne 0 ] && grep -q CLATTN_NO_DEVICE "$work/stderr"; then
    if [ "$num_failed" -gt 1 ]; then
        exit 1
    fi
    echo "skipped: no OpenCL device"
    exit 77
fi
grep -q 'of the roofline' "$work/stdout" || failed "no table: cl-bench"
measured "$work/ragged.json" 'model_shape="llama-3-8b"' num_seqs=2 'q_lens=[3,1]' 'context_lens=[37,20]' \
    num_q_heads=32 num_kv_heads=8 head_dim=128 'dtype="float16"' 'kv_dtype="float16"' 'layout="combined"' \
    page_size=16 runs=3 sinks=false flops=2097152 bytes=299008

# With "-" standard output is the JSON and nothing else.
measure - --model-shape gpt-oss-20b --dtype bfloat16 --kv-dtype float32 --layout hnd --page-size 7 --window 9 \
    --seqs 3 --q-len 5 --context 31 --runs 1
cp "$work/stdout" "$work/sinks.json"
grep -q 'of the roofline' "$work/stderr" || failed "no table on stderr: cl-bench --json -"
measured "$work/sinks.json" 'model_shape="gpt-oss-20b"' sinks=true num_seqs=3 'q_lens=[5,5,5]' 'layout="hnd"' \
    sliding_window=9 'dtype="bfloat16"' 'kv_dtype="float32"' page_size=7 runs=1 spread=0

for layout in nhd heads_first; do
    measure "$work/heads.json" --num-q-heads 6 --num-kv-heads 3 --head-dim 24 --dtype float32 --layout "$layout" \
        --soft-cap 5.5 --num-splits 2 --context 93,1 --runs 1
    measured "$work/heads.json" model_shape=null logits_soft_cap=5.5 num_splits=2 max_splits=2 \
        'q_lens=[1,1]' "layout=\"$layout\"" num_q_heads=6 num_kv_heads=3 head_dim=24
done

refused 1 'CLATTN_NO_DEVICE' "$bench" --device 'no device has this name'
refused 1 'CLATTN_NO_DEVICE' "$demo" --device 'no device has this name'

run "$bench" --num-q-heads 1 --num-kv-heads 1 --head-dim 8 --context 5 --runs 1 --json "$work/missing/result.json"
[ "$code" -eq 1 ] || failed "exit code $code for a result that could not be written"
grep -q 'cannot open' "$work/stderr" || failed "no sentence about a result that could not be written"

# More than any buffer holds, found out before anything is allocated.
refused 1 'largest buffer' "$bench" --seqs 60000 --context 2000000 --page-size 2000000

run "$demo"
[ "$code" -eq 0 ] || failed "exit code $code: cl-demo"
grep -q 'within bound' "$work/stdout" || failed "no verdict: cl-demo"
grep -q '6 sequences, 241 new tokens: prefill of 37, 200; decode at context 93, 1, 1024, 512' "$work/stdout" ||
    failed "no batch: cl-demo"
grep -q 'of the roofline' "$work/stdout" || failed "no time: cl-demo"

[ "$num_failed" -eq 0 ] || exit 1
exit 0
