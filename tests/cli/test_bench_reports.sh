#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What cl-bench writes besides the results of one run: traces, tables, comparisons with old runs, pictures and what a
# call costs the host. No figure of speed is judged.
#
# usage: test_bench_reports.sh CL_BENCH TRACE
set -eu

bench=$1
trace=$2
# shellcheck source=tests/cli/bench_common.sh
. "$(dirname -- "$0")/bench_common.sh"

# overheads JSON OPERATIONS KEY=VALUE...: as measured(), for the results of --overhead.
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

# Several problems: a line for each as it begins, with what is left; on a terminal one bar for all of them.
several='--num-q-heads 1 --num-kv-heads 1 --head-dim 8 --context 5 --runs 2 --kv-dtype float32,float16,bfloat16'
# shellcheck disable=SC2086 # several options
run "$bench" $several
[ "$code" -eq 0 ] || failed "exit code $code: several problems"
[ "$(grep -c '^problem [123] of 3: heads by number lengths by number, K and V .* combined ([0-9]* %' "$work/stderr")" \
    -eq 3 ] || failed "no line for each of several problems"
grep -q '^problem 3 of 3: .* (67 %, [0-9]* s left)$' "$work/stderr" || failed "nothing about the time left"
[ "$(wc -l <"$work/stderr")" -eq 3 ] || failed "more than a line for each of several problems"
grep -q 'measured beside them: FMA peak [0-9.]* to [0-9.]* GFLOP/s, read bandwidth' "$work/stdout" ||
    failed "no rates of the device below a table"
# shellcheck disable=SC2086
python3 -c '
import fcntl, os, pty, struct, sys, termios
columns = 60
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    os.execv(sys.argv[1], sys.argv[1:])
written = b""
try:
    while block := os.read(terminal, 65536):
        written += block
except OSError: # the other end is closed
    pass
assert os.waitpid(child, 0)[1] == 0
bars = [line.split(b"\033")[0] for line in written.split(b"\r") if line.startswith(b"[")]
assert all(len(bar) < columns for bar in bars), "a bar longer than the terminal is wide"
assert bars[0].startswith(b"[" + 30 * b"." + b"] 0 %: problem 1 of 3: "), bars[0]
assert bars[-1].startswith(b"[" + 30 * b"#" + b"] 100 %, 0 s left: problem"), bars[-1]
shares = [int(bar.split(b"] ")[1].split(b" %")[0]) for bar in bars]
assert shares == sorted(shares) and {33, 50, 67} <= set(shares), shares
assert b"\n" not in written[:written.rindex(b"[####")], "a bar that was not redrawn in its place"
' "$bench" $several || failed "the bar of several problems"

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
    assert r["paged_read_gbytes_per_s"] is None and r["paged_read_spread"] is None and r["paged_fraction"] is None
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

# Everything that can be written of one run, and the same run again compared with it.
small='--num-q-heads 1 --num-kv-heads 1 --head-dim 8 --context 5,9 --runs 1 --kv-dtype float32,float16'
# shellcheck disable=SC2086 # several options
measure "$work/old.json" $small --csv "$work/old.csv"
# shellcheck disable=SC2086
measure "$work/new.json" $small --compare "$work/old.json"
grep -q "against $work/old.json" "$work/stdout" || failed "no table of a comparison"
# A run of before there was a paged read.
python3 -c '
import json, sys
record = json.load(open(sys.argv[1]))
for result in record["results"]:
    for key in ("paged_read_gbytes_per_s", "paged_read_spread", "paged_fraction"):
        del result[key]
json.dump(record, open(sys.argv[2], "w"))
' "$work/old.json" "$work/older.json"
# shellcheck disable=SC2086
run "$bench" $small --compare "$work/older.json"
[ "$(grep -c '  \(faster\|same\|slower\)$' "$work/stdout")" -eq 2 ] || failed "no comparison with an older run"
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
    run "$bench" --num-q-heads 1 --num-kv-heads 1 --head-dim 8 --workload prefill-512,decode-1x16384 --runs 1 \
        --kv-dtype float32,float16 --plot "$work/it's a plot.svg"
    [ "$code" -eq 0 ] || failed "exit code $code: cl-bench --plot"
    python3 -c '
import sys, xml.etree.ElementTree as tree
words = " ".join(tree.parse(sys.argv[1]).getroot().itertext()).split()
assert {"GFLOP/s", "flops"} <= set(words)
# A series for each workload, and of the points only what tells them apart.
assert words.count("prefill-512") == words.count("decode-1x16384") == 1, words
assert words.count("float32") == words.count("float16") == 2 and "combined" not in words, words
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

run "$bench" --num-q-heads 1 --num-kv-heads 1 --head-dim 8 --context 5 --runs 1 --json "$work/missing/result.json"
[ "$code" -eq 1 ] || failed "exit code $code for a result that could not be written"
grep -q 'cannot open' "$work/stderr" || failed "no sentence about a result that could not be written"

finish
