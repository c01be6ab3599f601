#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Searches from the beginning to the row in the tuning file: what is written, in which order, and when nothing is.
#
# usage: test_tune_search.sh CL_TUNE CL_INFO
set -eu

tune=$1
info=$2
# shellcheck source=tests/cli/tune_common.sh
. "$(dirname -- "$0")/tune_common.sh"
output=$work/tuning.json

# As many tiles as were asked for, besides the default; the row says what the result says.
searched 0 --max-candidates 3 --strategy random
holds 'len(told["results"]) == 1 and told["results"][0]["task"] == "prefill/single"'
holds 'told["results"][0]["num_tried"] == 4 == len(trials) and outcomes == ["ok"] * 4'
holds 'told["results"][0]["verdict"] in ("default", "tuned")'
holds 'len(rows) == 1 and all(rows[0][key] == told["results"][0][key]
                              for key in ("parameters", "time_us", "default_time_us", "gain", "noise"))'
holds 'rows[0]["op"] == "paged" and rows[0]["batch"] == "single" and rows[0]["head_dim"] == 32'
holds 'told["results"][0]["verdict"] == "tuned" or rows[0]["gain"] == 1'
holds 'told["results"][0]["verdict"] == "default" or rows[0]["gain"] > 1 + max(0.01, rows[0]["noise"])'
holds 'journal[-1]["event"] == "end" and len({str(trial["parameters"]) for trial in trials}) == 4'
said '^prefill/single: the default tile against itself$'
said '^prefill/single: 4 of [0-9]* tiles, 0 failed, best [0-9.]*x, [0-9]* s left; block_q='

# A second search keeps the row of the first one; its own tile competes again, though nothing else has time to.
cp "$output" "$work/before.json"
searched 0 --max-candidates 1 --kv-dtype float32
holds 'len(rows) == 2 and {row["kv_dtype"] for row in rows} == {"float16", "float32"}'
python3 - "$work/before.json" "$output" <<'EOF'
import json, sys
before, after = (json.load(open(path))["rows"] for path in sys.argv[1:])
assert before[0] in after
row = before[0]
row["parameters"]["block_kv"] = 32
old_driver = dict(row, driver="older", parameters={"block_kv": 64}) # of a version with fewer tunables
other_device = dict(row, device="another", parameters={"block_kv": 96})
json.dump({"schema": 1, "rows": [other_device, old_driver, row]}, open(sys.argv[2], "w"))
EOF
searched 0 --max-candidates 2
holds 'sorted(trial["parameters"]["block_kv"] for trial in trials[1:]) == [32, 64] and len(rows) == 3'

# The same operation on a dense cache is another row, and so is decode.
searched 0 --max-candidates 1 --op ragged_decode_attention --phase decode
holds 'len(rows) == 4 and [row["phase"] for row in rows if row["op"] == "dense"] == ["decode"]'

# What was found is what contexts run with from then on.
heads=''
searched 0 --max-candidates 1 --model qwen2.5-0.5b --layout nhd
python3 - "$output" <<'EOF'
import json, sys
rows = json.load(open(sys.argv[1]))["rows"]
row = [row for row in rows if row["head_dim"] == 64][0]
row["parameters"]["block_kv"] = 24
json.dump({"schema": 1, "rows": rows}, open(sys.argv[1], "w"))
EOF
run "$info" --json --model qwen2.5-0.5b --layout nhd --family vector --tuning-file "$output"
holds '[told["devices"][0]["rows"][0]["prefill"][key] for key in ("level", "block_kv")] == ["user_driver", 24]'

# The whole space of a small kernel; plain text; the file that contexts read.
output=$XDG_CONFIG_HOME/clattn/tuning.json
run "$tune" --family plain --num-q-heads 1 --num-kv-heads 1 --head-dim 8 --phase prefill --batch single --runs 3 \
    --strategy exhaustive --max-candidates 2 --budget 5m
[ "$code" -eq 0 ] || failed "exit code $code without --output"
grep -q '^prefill/single  *\(default\|tuned\) .*x .*% .* block_q=' "$work/stdout" || failed "no line of the result"
holds 'len(rows) == 1 and rows[0]["family"] == "plain"'

# Without the time for one tile there is no row, and it is said.
output=$work/none.json
searched 1 --budget 0.01s
said '^error: prefill/single: the budget ended before the default tile was measured; --budget should be larger'
holds 'told["results"][0]["verdict"] == "untried" and not rows'

finish
