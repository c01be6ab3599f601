#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cl-tune --merge and --export-rows: rows of several files in one, what is refused told line by line. Needs no device.
#
# usage: test_tune_exchange.sh CL_TUNE
set -eu

tune=$1
# shellcheck source=tests/cli/tune_common.sh
. "$(dirname -- "$0")/tune_common.sh"
output=$work/merged.json

# make NAME ROWS: a tuning file; ROWS are Python's, each what differs from the usual one.
make()
{
    python3 - "$work/$1" "$2" <<'EOF'
import json, sys
usual = {"device": "GPU of \"quotes\" é", "vendor": "v", "driver": "1", "architecture": "gfx90a", "type": "gpu",
         "version": "0.1.0", "op": "paged", "phase": "decode", "family": "simt", "kv_dtype": "float16", "head_dim": 128,
         "head_dim_v": 128, "group_size": 4, "num_kv_heads": 8, "kv_layout": "nhd", "page_size": 16, "batch": "small",
         "parameters": {"block_kv": 32}, "time_us": 84.2, "gain": 1.2, "noise": 0.01, "date": "2026-01-02"}
json.dump({"schema": 1, "rows": [usual | row for row in eval(sys.argv[2])]}, open(sys.argv[1], "w"))
EOF
}

make a.json '[{}, {"head_dim": 64, "head_dim_v": 64}]'
make b.json '[{"driver": "2"}, {"speed": 9}, {"parameters": {"block_kv": 64}, "date": "2026-02-03"}, {"phase": "sleep"}]'

# The last row for the same device, driver, problem and batch stays; rows that are none are told, the others merged.
run "$tune" --merge "$work/a.json" "$work/b.json" --output "$output"
[ "$code" -eq 1 ] || failed "exit code $code for rows that are refused"
grep -q '/a.json: 2 rows, 0 refused$' "$work/stdout" || failed "a.json is not told"
grep -q '/b.json: 2 rows, 2 refused$' "$work/stdout" || failed "b.json is not told"
said '^error: .*/b.json: row 2: .*speed'
said '^error: .*/b.json: row 4: .*phase.*sleep'
holds '[(row["head_dim"], row["driver"], row["parameters"]["block_kv"]) for row in rows] ==
       [(64, "1", 32), (128, "1", 64), (128, "2", 32)]'
holds '[row["date"] for row in rows] == ["2026-01-02", "2026-02-03", "2026-01-02"] and rows[0]["time_us"] == 84.2 and
       rows[0]["device"] == "GPU of \"quotes\" \u00e9" and "default_time_us" not in rows[0]'

# Once more: nothing changes. A file that is none, or is missing, keeps the others from nothing.
cp "$output" "$work/before"
run "$tune" --merge "$output" --output "$output"
[ "$code" -eq 0 ] || failed "exit code $code: a file merged into itself"
cmp -s "$output" "$work/before" || failed "merging a file into itself changed it"
make c.json '[{"driver": "3"}]'
echo '{"schema": 2, "rows": []}' >"$work/newer.json"
run "$tune" --merge "$work/missing.json" "$work/newer.json" "$work/c.json" --output "$output"
[ "$code" -eq 1 ] || failed "exit code $code for files that are refused"
said '^error: .*/missing.json: '
said '^error: .*/newer.json: .*schema'
holds 'len(rows) == 4'

# Into the file that contexts read.
run "$tune" --merge "$work/a.json"
[ "$code" -eq 0 ] || failed "exit code $code: --merge without --output"
grep -q "^merged into $XDG_CONFIG_HOME/clattn/tuning.json\$" "$work/stdout" || failed "not told where"
run "$tune" --export-rows "$work/exported.json"
[ "$code" -eq 0 ] || failed "exit code $code: --export-rows"
cmp -s "$work/exported.json" "$XDG_CONFIG_HOME/clattn/tuning.json" || failed "other rows were exported"
run "$tune" --export-rows - --output "$output"
[ "$code" -eq 0 ] || failed "exit code $code: --export-rows -"
cmp -s "$work/stdout" "$output" || failed "other rows were exported"
[ "$(wc -l <"$output")" -eq 6 ] || failed "not one row a line"

# A file that was written by hand comes out sorted, one row a line, without what is refused.
run "$tune" --export-rows - --output "$work/b.json"
[ "$code" -eq 1 ] || failed "exit code $code: --export-rows of refused rows"
said '^error: .*/b.json: row 2: '
[ "$(grep -c '"device"' "$work/stdout")" -eq 2 ] || failed "the rows of b.json were not exported"
refused 1 'missing.json' "$tune" --export-rows - --output "$work/missing.json"
refused 1 'cannot write .*/missing/rows.json' "$tune" --export-rows "$work/missing/rows.json" --output "$output"

# A file that cannot take rows is left alone.
refused 1 'newer.json has the schema 2' "$tune" --merge "$work/a.json" --output "$work/newer.json"
[ "$(cat "$work/newer.json")" = '{"schema": 2, "rows": []}' ] || failed "a newer file was touched"

refused 2 "'.*/a.json' is no option" "$tune" --explain "$work/a.json"
refused 2 '--merge should be FILE..., not empty' "$tune" --merge ''
refused 2 '--model and --merge exclude each other' "$tune" --merge "$work/a.json" --model llama-3-8b
refused 2 '--merge and --export-rows exclude each other\|--export-rows and --merge exclude each other' \
    "$tune" --merge "$work/a.json" --export-rows -

finish
