#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cl-bench measures what its options say, and its figures agree with themselves. No figure of speed is judged.
#
# usage: test_bench_results.sh CL_BENCH
set -eu

bench=$1
# shellcheck source=tests/cli/bench_common.sh
. "$(dirname -- "$0")/bench_common.sh"

# rows JSON KEYS VALUES...: what the results say of these keys, separated by commas, in their order.
rows()
{
    python3 -c '
import json, sys
results = json.load(open(sys.argv[1]))["results"]
rows = [" ".join(str(result[key]) for key in sys.argv[2].split(",")) for result in results]
assert rows == sys.argv[3:], f"the results are {rows}"
' "$@" >"$work/check" 2>&1 || {
        tail -n 1 "$work/check"
        failed "$*"
    }
}

measure "$work/ragged.json" --seqs 2 --q-len 3,1 --context 37,20 --runs 3
grep -q 'of the roofline' "$work/stdout" || failed "no table: cl-bench"
grep -q 'reading its K and V alone, in the same order, runs at [0-9.]* GB/s: [0-9.]* of the roofline' "$work/stdout" ||
    failed "nothing about reading alone: cl-bench"
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

measure "$work/heads.json" --num-q-heads 6 --num-kv-heads 3 --head-dim 24 --dtype float32 --layout nhd,heads_first \
    --soft-cap 5.5 --num-splits 2 --context 93,1 --runs 1
measured "$work/heads.json" ragged_page_attention,ragged_page_attention model=null logits_soft_cap=5.5 num_splits=2 \
    max_splits=2 'q_lens=[1,1]' num_q_heads=6 num_kv_heads=3 head_dim=24 head_dim_v=24
rows "$work/heads.json" layout nhd heads_first

# Four operations on one batch: every one that decodes, with what all of them can do.
every=ragged_page_attention,page_attention,ragged_decode_attention,ragged_attention
measure "$work/every.json" --op "$every" --num-q-heads 6 --num-kv-heads 3 --head-dim 24 --head-dim-v 16 \
    --dtype float16 --kv-dtype float32 --page-size 5 --context 93,20 --runs 1
measured "$work/every.json" "$every" head_dim=24 head_dim_v=16 'kv_dtype="float32"' 'context_lens=[93,20]' runs=1
grep -q 'of roofline  *paged  *ratio' "$work/stdout" || failed "no column of ratios: cl-bench --op $every"
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
measure "$work/layout.json" --op page_attention --num-q-heads 2 --num-kv-heads 1 --head-dim 64 --layout hnd,heads_first \
    --page-size 8 --context 31 --runs 1
measured "$work/layout.json" page_attention,page_attention page_size=8
rows "$work/layout.json" layout hnd heads_first

# Every combination of what is given as a list; a model with two kinds of layers counts twice.
measure "$work/product.json" --model gpt-oss-20b,qwen2.5-0.5b --q-len 2 --context 5 --kv-dtype float32,bfloat16 --runs 1
measured "$work/product.json" "$(printf 'ragged_page_attention,%.0s' 1 2 3 4 5)ragged_page_attention"
rows "$work/product.json" model,layer,sliding_window,kv_dtype \
    'gpt-oss-20b full 0 float32' 'gpt-oss-20b full 0 bfloat16' \
    'gpt-oss-20b sliding 128 float32' 'gpt-oss-20b sliding 128 bfloat16' \
    'qwen2.5-0.5b all 0 float32' 'qwen2.5-0.5b all 0 bfloat16'
[ "$(grep -c '^  gpt-oss-20b/sliding  *-  *bfloat16 ' "$work/stdout")" -eq 1 ] || failed "no line for a combination"
grep -q ' roofline  *paged  *bound ' "$work/stdout" || failed "no column of reading alone"

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

# Held against the tiles that run without a tuning file: for one problem, for several operations, for several problems.
measure "$work/gain.json" --num-q-heads 2 --num-kv-heads 1 --head-dim 8 --context 9 --runs 3 --tuning-file none \
    --against-default
grep -q '[0-9] times as fast as with the tiles' "$work/stdout" || failed "no gain"
measure "$work/gains.json" --op page_attention,ragged_decode_attention --num-q-heads 2 --num-kv-heads 1 --head-dim 8 \
    --context 9 --runs 1 --against-default
grep -q ' spread  *gain$' "$work/stdout" || failed "no gains of operations"
measure "$work/rows.json" --num-q-heads 2 --num-kv-heads 1 --head-dim 8 --context 9 --kv-dtype float32,float16 --runs 1 \
    --against-default
grep -q ' parts  *gain  *extra MB$' "$work/stdout" || failed "no gains of problems"
python3 -c '
import json, sys
*held, alone = (json.load(open(path))["results"] for path in sys.argv[1:])
assert [len(results) for results in held] == [1, 2, 2]
assert all(result["gain_over_default"] > 0 and result["gain_spread"] >= 0 for results in held for result in results)
assert alone[0]["gain_over_default"] is None and alone[0]["gain_spread"] is None
' "$work/gain.json" "$work/gains.json" "$work/rows.json" "$work/alone.json" || failed "the figures of gains"
refused 2 'against-default' "$bench" --overhead --against-default

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

# An operation against itself: as many results as names.
measure "$work/twice.json" --op page_attention,page_attention --num-q-heads 1 --num-kv-heads 1 --head-dim 8 \
    --context 5 --runs 3
measured "$work/twice.json" page_attention,page_attention 'layout="nhd"' runs=3

# More than any buffer holds, found out before anything is allocated.
refused 1 'largest buffer' "$bench" --seqs 60000 --context 2000000 --page-size 2000000

finish
