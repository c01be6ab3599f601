#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# usage: test_balance.sh LAYER TEST_BALANCE
#
# Runs every scenario under the balance layer: each kind of object is made, and released as often as it was got. Then
# one object of each kind is left behind, which the layer must see.
set -u

layer=$1
program=$2
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
report=$folder/report

fail()
{
    printf '%s\n' "$*" >&2
    cat "$report" >&2
    exit 1
}

# Kinds whose counts differ.
unbalanced()
{
    awk '$2 != $3 { printf "%s%s", separator, $1; separator = " " }' "$report"
}

run()
{
    : >"$report"
    OPENCL_LAYERS=$layer CLATTN_BALANCE_REPORT=$report "$program" "$@" >&2
    status=$?
    [ $status -ne 77 ] || exit 77
    [ $status -eq 0 ] || fail "the program ended with status $status"
    [ -s "$report" ] || fail "no report: the loader knows no layers"
}

run
[ -z "$(unbalanced)" ] || fail "got and released differ: $(unbalanced)"
awk '$2 == 0 { exit 1 }' "$report" || fail "a kind of object was never made"
cat "$report" >&2

# LeakSanitizer finds them too, and that is not what is tested.
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
export ASAN_OPTIONS
for kind in device context queue buffer program kernel event; do
    run --leak "$kind"
    [ "$(unbalanced)" = "$kind" ] || fail "a $kind was left behind, the layer says: $(unbalanced)"
done
