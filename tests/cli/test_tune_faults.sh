#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A driver with faults, played by fault_layer.c: every tile that one of them hits becomes a row with its reason, the
# search goes on, and what took the driver down is not tried again.
#
# usage: test_tune_faults.sh CL_TUNE FAULT_LAYER
set -eu

tune=$1
OPENCL_LAYERS=$2
export OPENCL_LAYERS
# shellcheck source=tests/cli/tune_common.sh
. "$(dirname -- "$0")/tune_common.sh"
output=$work/tuning.json

# The default tile is 128 x 48 with 16 lanes, and decode has as many for four heads on one: nothing hits what checks it.
CLATTN_FAULTS="BLOCK_Q=16:crash;BLOCK_Q=32:exit;BLOCK_Q=64:wrong;BLOCK_Q=192:memory;BLOCK_Q=256:refuse"
CLATTN_FAULTS="$CLATTN_FAULTS;LANES=8:kill"
export CLATTN_FAULTS
# shellcheck disable=SC2086 # several options
searched 0 --strategy random --max-candidates 30
holds 'all(trial["outcome"] == {16: "crashed", 32: "crashed", 64: "wrong", 192: "out_of_memory", 256: "failed"}.get(
               tile["block_q"], "out_of_memory" if tile["lanes"] == 8 else "ok")
           for trial in trials for tile in [trial["parameters"]])'
holds 'told["results"][0]["num_tried"] == 31 == len(trials)'
holds '{"wrong", "crashed", "out_of_memory", "failed", "ok"} <= set(outcomes)'
holds 'all(bool(trial["reason"]) == (trial["outcome"] != "ok") for trial in trials)'
holds 'any("having said: the compiler of the fault layer gives up" in trial["reason"] for trial in trials)'
holds 'any("exit code 3 while building and checking" in trial["reason"] for trial in trials)'
holds 'any("may be" in trial["reason"] for trial in trials if trial["outcome"] == "wrong")'
holds 'all("killed from outside" in trial["reason"] or "OUT_OF_MEMORY" in trial["reason"] for trial in trials
           if trial["outcome"] == "out_of_memory")'
holds 'len(crashes) == outcomes.count("crashed") and len(rows) == 1'

# They are remembered, even though the driver would be good now; what was merely wrong is looked at again.
CLATTN_FAULTS=
cp "$output.crashes" "$work/crashes"
# shellcheck disable=SC2086
searched 0 --strategy random --max-candidates 8
holds '"crashed" in outcomes and not {"wrong", "failed", "out_of_memory"} & set(outcomes)'
holds 'all("(in an earlier search)" in trial["reason"] for trial in trials if trial["outcome"] == "crashed")'
cmp -s "$output.crashes" "$work/crashes" || failed "what is known was written again"

# A tile that hangs is killed, and remembered for those who do not wait longer.
rm "$output.crashes"
CLATTN_FAULTS="BLOCK_Q=16:hang;BLOCK_Q=32:hang;BLOCK_Q=64:hang;BLOCK_Q=192:hang;BLOCK_Q=256:hang"
searched 0 --build-limit 10s --run-limit 10s --strategy random --max-candidates 3
holds '"hung" in outcomes and all("building and checking took more than 10 s" in trial["reason"] for trial in trials
                                  if trial["outcome"] == "hung")'
holds '[crash["limit_s"] for crash in crashes] == [10] * outcomes.count("hung")'

# The budget ends a search in time, also while a tile hangs that may take longer.
for tile in LANES=4 LANES=8 BLOCK_KV=24 BLOCK_KV=32 BLOCK_KV=64 BLOCK_KV=96; do
    CLATTN_FAULTS="$CLATTN_FAULTS;$tile:hang"
done
rm "$output.crashes" "$output.journal"
begin=$(date +%s)
searched 1 --budget 15s --build-limit 10m
[ $(($(date +%s) - begin)) -lt 25 ] || failed "a budget of 15 s took $(($(date +%s) - begin)) s"
said '^error: prefill/single: the budget leaves no time for a tile besides the default, whose trial took'
holds 'not crashes and journal[-1]["event"] == "stop"'
rm "$output.journal"

# A default three times as slow as it could be is beaten, and what beats it gets into the file.
rm "$output"
CLATTN_FAULTS="BLOCK_Q=128:slow"
searched 0 --max-candidates 4
holds 'told["results"][0]["verdict"] == "tuned" and rows[0]["gain"] > 1.2 > rows[0]["time_us"] / rows[0]["default_time_us"]'
holds 'rows[0]["parameters"]["block_q"] != 128 and rows[0]["parameters"] == told["results"][0]["parameters"]'

# Where all others are as slow it stays, and takes the place of the row that was right yesterday: that one competes.
CLATTN_FAULTS="BLOCK_Q=192:slow;BLOCK_Q=256:slow;BLOCK_Q=64:slow;BLOCK_Q=32:slow;BLOCK_Q=16:slow;LANES=8:slow"
CLATTN_FAULTS="$CLATTN_FAULTS;BLOCK_KV=32:slow;BLOCK_KV=64:slow"
cp "$output" "$work/yesterday"
searched 0 --max-candidates 2
holds 'told["results"][0]["verdict"] == "default" and len(rows) == 1 and rows[0]["gain"] == 1'
holds 'rows[0]["parameters"] == {"block_q": 128, "block_kv": 48, "lanes": 16}'
TILE=$(cat "$work/yesterday") holds 'trials[1]["parameters"] == json.loads(os.environ["TILE"])["rows"][0]["parameters"]'

# A device that fails from then on ends the search, and the tile is not blamed: --resume tries it once more.
rm -f "$output.crashes" "$output"
CLATTN_FAULT_MARK=$work/mark
CLATTN_FAULTS="BLOCK_Q=16:dead;BLOCK_Q=32:dead;BLOCK_Q=64:dead;BLOCK_Q=192:dead;BLOCK_Q=256:dead"
export CLATTN_FAULT_MARK
# shellcheck disable=SC2086
searched 1 --strategy random
said '^error: prefill/single: .*; since then the default fails as well: '
holds '"crashed" not in outcomes and not crashes and not rows'
rm "$work/mark"

# A default that is wrong itself is no measure.
CLATTN_FAULTS="BLOCK_Q=128:wrong"
rm "$output.journal"
# shellcheck disable=SC2086
searched 1 --strategy random
said '^error: prefill/single: the default tile itself: wrong: row 0, head 0, element 0 is .*nan instead of'
holds 'not rows and told["results"][0]["verdict"] == "untried"'

finish
