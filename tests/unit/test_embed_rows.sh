#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The script that compiles rows in refuses files whose rows are not one to a line, and those of another schema.
#
# usage: test_embed_rows.sh EMBED_ROWS ROWS_JSON
set -eu

embed_rows=$1 rows=$2
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
trap 'exit 1' HUP INT TERM

"$embed_rows" "$rows" "$work/rows.c"
grep -q 'clattn_num_builtin_rows = [1-9]' "$work/rows.c"

# refused: the file of this test is refused, and nothing is written.
refused()
{
    if "$embed_rows" "$work/wrong.json" "$work/wrong.c" 2>"$work/stderr"; then
        echo "not refused: $1" >&2
        exit 1
    fi
    grep -q 'one row to a line' "$work/stderr"
    [ ! -e "$work/wrong.c" ]
}

tr '\n' ' ' <"$rows" >"$work/wrong.json"
refused 'all rows in one line'
sed 's/"schema": 1/"schema": 2/' "$rows" >"$work/wrong.json"
refused 'another schema'
sed 's/, "type"/,\n"type"/' "$rows" >"$work/wrong.json"
refused 'a row in two lines'
