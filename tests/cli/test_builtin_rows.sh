#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The rows that are compiled into the library stand in their file as cl-tune writes them: sorted, one a line, none twice.
# What cl-tune has written compiles.
#
# usage: test_builtin_rows.sh CL_TUNE EMBED_ROWS BUILTIN_JSON TEST_JSON
set -eu

tune=$1 embed_rows=$2 builtin=$3 sample=$4
# shellcheck source=tests/cli/tools_common.sh
. "$(dirname -- "$0")/tools_common.sh"

# written FILE: the file as cl-tune writes it, to $work/stdout.
written()
{
    run "$tune" --export-rows - --output "$1"
    [ "$code" -eq 0 ] || failed "exit code $code: --export-rows of $1"
}

written "$builtin"
cmp -s "$work/stdout" "$builtin" || failed "$builtin differs from what cl-tune writes"

# The control: a file that is not sorted, and one with a row twice.
written "$sample"
cp "$work/stdout" "$work/sorted.json"
written "$work/sorted.json"
cmp -s "$work/stdout" "$work/sorted.json" || failed "what cl-tune has written differs from what it writes"
sed -n '1p; 3,$p' "$work/sorted.json" | sed '$d' | sed '$s/$/,/' >"$work/unsorted.json"
sed -n '2s/,$//p' "$work/sorted.json" >>"$work/unsorted.json"
echo ']}' >>"$work/unsorted.json"
written "$work/unsorted.json"
cmp -s "$work/stdout" "$work/sorted.json" || failed "rows in another order are not sorted"
cmp -s "$work/stdout" "$work/unsorted.json" && failed "rows in another order count as sorted"

run "$embed_rows" "$work/sorted.json" "$work/rows.c"
[ "$code" -eq 0 ] || failed "exit code $code: $embed_rows"
grep -q 'clattn_num_builtin_rows = 3;' "$work/rows.c" || failed "not three rows in $work/rows.c"
finish
