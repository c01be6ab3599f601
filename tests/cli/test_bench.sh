#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cl-bench refuses what it cannot measure and writes results that agree with themselves; cl-demo is within its bound.
# No figure of speed is judged.
#
# usage: test_bench.sh CL_BENCH CL_DEMO TRACE
set -eu

bench=$1
demo=$2
trace=$3
# shellcheck source=tests/cli/tools_common.sh
. "$(dirname -- "$0")/tools_common.sh"

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

# measured JSON OPERATIONS KEY=VALUE...: the file holds one result for each of the operations, separated by commas, all
# with these values, whose figures follow from one another.
measured()
{
    python3 -c '
import json, math, sys

results = json.load(open(sys.argv[1]))["results"]
operations = [result["op"] for result in results]
assert operations == sys.argv[2].split(","), f"the operations are {operations}"

def agree(result, key, value):
    assert math.isclose(result[key], value, rel_tol=1e-9), f"{key} is {result[key]}, not {value}"

def check(result):
    for wanted in sys.argv[3:]:
        key, value = wanted.split("=", 1)
        assert result[key] == json.loads(value), f"{key} is {result[key]}, not {value}"

    for key in ("median_ms", "gflops", "gbytes_per_s", "peak_gflops", "read_gbytes_per_s", "roofline_fraction",
                "plan_ms", "plan_update_ms", "ratio_to_first"):
        assert math.isfinite(result[key]) and result[key] > 0, f"{key} is {result[key]}"
    for key in ("spread", "ratio_spread", "workspace_bytes", "extra_bytes", "num_decode_items", "num_prefill_items"):
        assert math.isfinite(result[key]) and result[key] >= 0, f"{key} is {result[key]}"
    for key in ("device", "driver", "platform", "version", "family"):
        assert isinstance(result[key], str) and result[key], f"{key} is {result[key]}"
    assert result["family"] in ("vector", "simt", "plain"), result["family"]
    assert result["num_decode_items"] + result["num_prefill_items"] > 0

    dense = result["op"] in ("ragged_decode_attention", "ragged_attention")
    assert (result["layout"] is None) == (result["page_size"] is None) == dense
    assert result["seq_len"] == (max(result["context_lens"]) if dense else None)
    statistics = result["op"] == "ragged_attention"
    assert result["out_dtype"] == ("float32" if statistics else result["dtype"])

    # Counted pair by pair, from the definition.
    window = result["sliding_window"] or math.inf
    pairs = keys = tokens = 0
    for q_len, context in zip(result["q_lens"], result["context_lens"]):
        seen = [[t for t in range(context) if p - window < t <= p] for p in range(context - q_len, context)]
        pairs += sum(map(len, seen))
        keys += len(set().union(*seen))
        tokens += q_len
    size = {"float32": 4, "float16": 2, "bfloat16": 2}
    k_width, v_width = result["head_dim"], result["head_dim_v"]
    flops = 2 * (k_width + v_width) * result["num_q_heads"] * pairs
    row = k_width * size[result["dtype"]] + v_width * size[result["out_dtype"]] + (8 if statistics else 0)
    rows = tokens * result["num_q_heads"] * row
    kv = keys * result["num_kv_heads"] * (k_width + v_width) * size[result["kv_dtype"]]

    seconds = result["median_ms"] / 1e3
    agree(result, "flops", flops)
    agree(result, "bytes", rows + kv)
    agree(result, "gflops", flops / seconds / 1e9)
    agree(result, "gbytes_per_s", (rows + kv) / seconds / 1e9)
    floor = max(flops / result["peak_gflops"], (rows + kv) / result["read_gbytes_per_s"]) / 1e9
    agree(result, "roofline_fraction", floor / seconds)
    agree(result, "floor_ms", floor * 1e3)

# The operations of one problem were measured in turns.
problem = ("model", "layer", "num_q_heads", "q_lens", "context_lens", "kv_dtype")
first = {}
layout = None
for result in results:
    check(result)
    layout = result["layout"] or layout # a dense cache has none
    key = json.dumps([result[name] for name in problem] + [layout])
    group = first.setdefault(key, result)
    for name in ("device", "peak_gflops", "read_gbytes_per_s", "runs", "num_layers"):
        assert result[name] == group[name], f"the operations have several {name}"
    if result["runs"] == 1:
        agree(result, "ratio_to_first", result["median_ms"] / group["median_ms"])
for result in first.values():
    assert result["ratio_to_first"] == 1 and result["ratio_spread"] == 0
' "$@" >"$work/check" 2>&1 || {
        tail -n 1 "$work/check"
        failed "$*"
    }
}

# overheads JSON OPERATIONS KEY=VALUE...: the same for the results of --overhead. No time is judged.
overheads()
{
    python3 -c '
import json, math, sys

results = json.load(open(sys.argv[1]))["results"]
operations = [result["op"] for result in results]
assert operations == sys.argv[2].split(","), f"the operations are {operations}"
for result in results:
    for wanted in sys.argv[3:]:
        key, value = wanted.split("=", 1)
        assert result[key] == json.loads(value), f"{key} is {result[key]}, not {value}"
    assert result["num_kernels"] >= 1 and result["num_arguments"] >= 1
    assert result["call_us"] > 0 and result["bare_us"] > 0
    assert result["call_spread"] >= 0 and result["bare_spread"] >= 0
    assert math.isfinite(result["overhead_us"])
    if result["num_calls"] == 1:
        difference = result["call_us"] - result["bare_us"]
        assert math.isclose(result["overhead_us"], difference, rel_tol=1e-6, abs_tol=1e-6), result["overhead_us"]
    assert result["plan_update_seqs"] == 64 and result["plan_update_us"] > 0 and result["plan_update_spread"] >= 0
    assert result["cold_built"] >= 1 and result["cold_call_ms"] > 0, "the cold call found a cache"
    assert result["warm_disk_hits"] == result["cold_built"], "the warm call found no cache"
    assert result["warm_call_ms"] > 0
    assert "median_ms" not in result and "roofline_fraction" not in result
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
refused 2 'test_bench.sh:1: should be TIMESTAMP' "$bench" --trace "$0"
refused 2 '--json - and --csv - exclude each other' "$bench" --json - --csv -
refused 2 'cannot read' "$bench" --compare "$work/missing.json"
refused 2 'is not JSON' "$bench" --compare "$trace"
echo '{}' >"$work/empty.json"
refused 2 'should be what --json wrote' "$bench" --compare "$work/empty.json"
refused 2 '--plot and --overhead exclude each other' "$bench" --overhead --plot x.svg
refused 2 'overhead' "$bench" --overhead=9
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
measured "$work/ragged.json" ragged_page_attention \
    'model="llama-3-8b"' num_seqs=2 'q_lens=[3,1]' 'context_lens=[37,20]' \
    num_q_heads=32 num_kv_heads=8 head_dim=128 'dtype="float16"' 'kv_dtype="float16"' 'layout="combined"' \
    page_size=16 runs=3 sinks=false flops=2097152 bytes=299008

# With "-" standard output is the JSON and nothing else.
measure - --model gpt-oss-20b --dtype bfloat16 --kv-dtype float32 --layout hnd --page-size 7 --window 9 \
    --seqs 3 --q-len 5 --context 31 --runs 1
cp "$work/stdout" "$work/sinks.json"
grep -q 'of the roofline' "$work/stderr" || failed "no table on stderr: cl-bench --json -"
measured "$work/sinks.json" ragged_page_attention \
    'model="gpt-oss-20b"' sinks=true num_seqs=3 'q_lens=[5,5,5]' 'layout="hnd"' \
    sliding_window=9 'dtype="bfloat16"' 'kv_dtype="float32"' page_size=7 runs=1 spread=0

for layout in nhd heads_first; do
    measure "$work/heads.json" --num-q-heads 6 --num-kv-heads 3 --head-dim 24 --dtype float32 --layout "$layout" \
        --soft-cap 5.5 --num-splits 2 --context 93,1 --runs 1
    measured "$work/heads.json" ragged_page_attention model=null logits_soft_cap=5.5 num_splits=2 max_splits=2 \
        'q_lens=[1,1]' "layout=\"$layout\"" num_q_heads=6 num_kv_heads=3 head_dim=24 head_dim_v=24
done

# Four operations on one batch: every one that decodes, with what all of them can do.
every=ragged_page_attention,page_attention,ragged_decode_attention,ragged_attention
measure "$work/every.json" --op "$every" --num-q-heads 6 --num-kv-heads 3 --head-dim 24 --head-dim-v 16 \
    --dtype float16 --kv-dtype float32 --page-size 5 --context 93,20 --runs 1
measured "$work/every.json" "$every" head_dim=24 head_dim_v=16 'kv_dtype="float32"' 'context_lens=[93,20]' runs=1
grep -q 'ratio' "$work/stdout" || failed "no column of ratios: cl-bench --op $every"
for operation in ragged_page_attention page_attention ragged_decode_attention ragged_attention; do
    grep -q "^  $operation  *[0-9.]* .* [0-9.]* %\$" "$work/stdout" || failed "no line for $operation: cl-bench --op"
done

# With what only three of them can, each alone.
for operation in page_attention ragged_decode_attention; do
    measure "$work/alone.json" --op "$operation" --model gpt-oss-20b --window 9 --soft-cap 5 --num-splits 2 \
        --seqs 2 --context 31 --runs 1
    measured "$work/alone.json" "$operation" sinks=true sliding_window=9 logits_soft_cap=5 num_splits=2
done
measure "$work/wide.json" --op ragged_attention --num-q-heads 1 --num-kv-heads 1 --head-dim 512 --context 7 --runs 2
measured "$work/wide.json" ragged_attention head_dim=512 head_dim_v=512 'dtype="float16"' seq_len=7 runs=2
for layout in hnd heads_first; do
    measure "$work/layout.json" --op page_attention --num-q-heads 2 --num-kv-heads 1 --head-dim 64 --layout "$layout" \
        --page-size 8 --context 31 --runs 1
    measured "$work/layout.json" page_attention "layout=\"$layout\"" page_size=8
done

# Every combination of what is given as a list; a model with two kinds of layers counts twice.
measure "$work/product.json" --model gpt-oss-20b,qwen2.5-0.5b --q-len 2 --context 5 --kv-dtype float32,bfloat16 \
    --layout hnd,nhd --runs 1
measured "$work/product.json" "$(printf 'ragged_page_attention,%.0s' 1 2 3 4 5 6 7 8 9 10 11)ragged_page_attention"
python3 -c '
import json, sys
results = json.load(open(sys.argv[1]))["results"]
rows = [(r["model"], r["layer"], r["sliding_window"], r["kv_dtype"], r["layout"]) for r in results]
layers = [("gpt-oss-20b", "full", 0), ("gpt-oss-20b", "sliding", 128), ("qwen2.5-0.5b", "all", 0)]
assert rows == [layer + (kv, layout) for layer in layers for kv in ("float32", "bfloat16") for layout in ("hnd", "nhd")]
' "$work/product.json" || failed "the combinations of lists"
[ "$(grep -c '^  gpt-oss-20b/sliding  *-  *bfloat16 nhd ' "$work/stdout")" -eq 1 ] || failed "no line for a combination"

# A batch of both phases is held against its parts, in the table of one problem and of several.
measure "$work/parts.json" --num-q-heads 2 --num-kv-heads 1 --head-dim 8 --q-len 3,1,5,1 --context 9,20,5,7 --runs 1
measured "$work/parts.json" ragged_page_attention 'q_lens=[3,1,5,1]' workload=null
grep -q 'its prefills and its decodes' "$work/stdout" || failed "no parts of a mixed batch"
python3 -c '
import json, sys
mixed, whole = (json.load(open(path))["results"][0] for path in sys.argv[1:])
assert mixed["parts_ratio"] > 0 and mixed["parts_spread"] == 0
assert whole["parts_ratio"] is None and whole["parts_spread"] is None
assert mixed["idle_share"] is None or 0 <= mixed["idle_share"] < 1
' "$work/parts.json" "$work/alone.json" || failed "the figures of parts"

# A workload by name is what it says.
measure "$work/named.json" --workload ragged,mixed --num-q-heads 1 --num-kv-heads 1 --head-dim 8 --runs 1
measured "$work/named.json" ragged_page_attention,ragged_page_attention
python3 -c '
import json, sys
ragged, mixed = json.load(open(sys.argv[1]))["results"]
assert ragged["workload"] == "ragged" and ragged["num_seqs"] == 64 and set(ragged["q_lens"]) == {1}
assert min(ragged["context_lens"]) == 16 and max(ragged["context_lens"]) == 8192
assert mixed["workload"] == "mixed" and sorted(mixed["q_lens"]) == [1] * 32 + [1024]
' "$work/named.json" || failed "the named workloads"

# A trace: every token is computed once, whatever the batches, and both kinds of layers see the same steps.
for storage in 'combined --max-seqs 2 --token-budget 16' 'heads_first --window 9'; do
    # shellcheck disable=SC2086 # a layout and options
    measure "$work/trace.json" --trace "$trace" --model gpt-oss-20b --kv-dtype bfloat16 --page-size 8 --kv-tokens 512 \
        --runs 2 --layout $storage
    python3 -c '
import json, math, sys
results = json.load(open(sys.argv[1]))["results"]
window = len(results) == 1
assert [r["layer"] for r in results] == (["all"] if window else ["full", "sliding"])
for r in results:
    assert r["workload"] == "trace" and r["num_requests"] == 7 and r["runs"] == 2
    assert r["prompt_tokens"] == 37 + 5 + 64 + 1 + 20 + 11 + 90
    assert r["decode_tokens"] == 0 + 3 + 8 + 1 + 6 + 2 + 11
    assert r["num_steps"] == results[0]["num_steps"]
    assert 1 <= r["most_seqs"] <= r["max_seqs"] and 13 <= r["most_pages"] <= r["num_pages"] == 64
    seconds = r["median_ms"] / 1e3
    assert math.isclose(r["tokens_per_s"], (r["prompt_tokens"] + r["decode_tokens"]) / seconds, rel_tol=1e-9)
    assert math.isclose(r["decodes_per_s"], r["decode_tokens"] / seconds, rel_tol=1e-9)
    assert math.isclose(r["gflops"], r["flops"] / seconds / 1e9, rel_tol=1e-9)
    assert r["roofline_fraction"] > 0 and r["host_ms"] > 0
    # Pairs of every prompt and answer, however they were cut.
    lengths = [(37, 1), (5, 4), (64, 9), (1, 2), (20, 7), (11, 3), (90, 12)]
    pairs = sum(min(p + 1, r["sliding_window"] or math.inf) for q, g in lengths for p in range(q + g - 1))
    assert r["flops"] == pairs * 64 * 2 * 128, (r["flops"], pairs)
' "$work/trace.json" || failed "the figures of a trace: $storage"
    grep -q 'tokens/s' "$work/stdout" || failed "no table: cl-bench --trace"
done
run "$bench" --trace "$trace" --kv-tokens 96 --runs 1
[ "$code" -eq 1 ] || failed "exit code $code for a request that never fits"
grep -q 'request 7 of .* takes 101 KV tokens, more than the cache holds' "$work/stderr" || failed "no sentence for it"

# An operation against itself: as many results as names.
measure "$work/twice.json" --op page_attention,page_attention --num-q-heads 1 --num-kv-heads 1 --head-dim 8 \
    --context 5 --runs 3
measured "$work/twice.json" page_attention,page_attention 'layout="nhd"' runs=3

# Everything that can be written of one run, and the same run again compared with it.
small='--num-q-heads 1 --num-kv-heads 1 --head-dim 8 --context 5,9 --runs 1 --kv-dtype float32,float16'
# shellcheck disable=SC2086 # several options
measure "$work/old.json" $small --csv "$work/old.csv"
# shellcheck disable=SC2086
measure "$work/new.json" $small --compare "$work/old.json"
grep -q "against $work/old.json" "$work/stdout" || failed "no table of a comparison"
python3 -c '
import csv, json, math, sys
old, new = (json.load(open(path))["results"] for path in sys.argv[1:3])
lines = list(csv.DictReader(open(sys.argv[3])))
assert len(lines) == len(old) == 2
for line, result in zip(lines, old):
    assert list(line) == list(result)
    assert line["kv_dtype"] == result["kv_dtype"] and line["context_lens"] == "5 9" and line["parts_ratio"] == ""
    assert math.isclose(float(line["median_ms"]), result["median_ms"], rel_tol=1e-12)
for before, after in zip(old, new):
    assert after["old_time"] == before["median_ms"] and after["old_noise"] == 0
    assert math.isclose(after["ratio_to_old"], after["median_ms"] / before["median_ms"], rel_tol=1e-9)
    assert after["verdict"] == ("faster" if after["ratio_to_old"] < 1 else "slower")
' "$work/old.json" "$work/new.json" "$work/old.csv" || failed "the comparison with an old run"
# shellcheck disable=SC2086
run "$bench" $small --csv - --compare "$work/old.json"
[ "$code" -eq 0 ] || failed "exit code $code: cl-bench --csv -"
[ "$(wc -l <"$work/stdout")" -eq 3 ] || failed "--csv - does not write a heading and two lines alone"

# A picture is gnuplot's work; without it nothing is measured.
mkdir "$work/no_programs"
PATH="$work/no_programs" run "$bench" --plot "$work/none.svg"
[ "$code" -eq 1 ] || failed "exit code $code without gnuplot"
grep -q -- '--plot needs gnuplot' "$work/stderr" || failed "no sentence about a missing gnuplot"
if command -v gnuplot >/dev/null 2>&1; then
    # shellcheck disable=SC2086
    run "$bench" $small --plot "$work/it's a plot.svg"
    [ "$code" -eq 0 ] || failed "exit code $code: cl-bench --plot"
    python3 -c '
import sys, xml.etree.ElementTree as tree
text = " ".join(tree.parse(sys.argv[1]).getroot().itertext())
assert "GFLOP/s" in text and "flops per byte" in text and "float32" in text and "float16" in text
' "$work/it's a plot.svg" || failed "the picture"
    # shellcheck disable=SC2086
    run "$bench" $small --plot "$work/missing/plot.svg"
    [ "$code" -eq 1 ] || failed "exit code $code for a picture that could not be drawn"
    grep -q 'gnuplot could not draw' "$work/stderr" || failed "no sentence about a picture that could not be drawn"
fi

measure "$work/overhead.json" --overhead --op page_attention,ragged_attention --runs 20
overheads "$work/overhead.json" page_attention,ragged_attention num_calls=20 num_kernels=1 num_q_heads=1 num_kv_heads=1 'context_lens=[1]'
grep -q 'overhead us' "$work/stdout" || failed "no table: cl-bench --overhead"
grep -q 'first call of a process' "$work/stdout" || failed "no first calls: cl-bench --overhead"
mkdir "$work/caches"
TMPDIR="$work/caches" measure - --overhead --runs 1
[ -z "$(ls "$work/caches")" ] || failed "the folder of the first call's caches is left"
cp "$work/stdout" "$work/overhead.json"
overheads "$work/overhead.json" ragged_page_attention num_calls=1 'layout="combined"'

refused 77 'CLATTN_NO_DEVICE' "$bench" --overhead --device 'no device has this name'
refused 77 'CLATTN_NO_DEVICE' "$bench" --device 'no device has this name'
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

finish
