#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run_on.sh fails a command for each kind of mistake that Oclgrind finds, although the command itself succeeds; for
# none without a mistake; and passes on what a command returns.
#
# usage: test_run_on.sh RUN_ON PLANTED PLANTED_CL
set -u

run_on=$1
planted=$2
source=$3
printed=$(mktemp) || exit 1
trap 'rm -f -- "$printed"' EXIT
trap 'exit 1' HUP INT TERM

fail()
{
    printf 'FAILED: %s\n' "$*" >&2
    cat "$printed" >&2
    exit 1
}

# expect STATUS IMPLEMENTATION COMMAND...
expect()
{
    wanted=$1
    shift
    status=0
    "$run_on" "$@" >"$printed" 2>&1 || status=$?
    [ "$status" -eq "$wanted" ] || fail "$*: status $status, expected $wanted"
}

# finds MISTAKE WORDS: the report has these words.
finds()
{
    expect 1 oclgrind "$planted" "$source" "$1"
    grep -q 'Oclgrind reports' "$printed" || fail "$1: no report"
    grep -qi -- "$2" "$printed" || fail "$1: no '$2' in the report"
}

for name in $("$run_on" --list); do
    status=0
    "$run_on" "$name" --check >"$printed" 2>&1 || status=$?
    case $status in
    0) expect 3 "$name" sh -c 'exit 3' ;;
    77) grep -q '^not installed: ' "$printed" || fail "$name: no reason" ;;
    *) fail "$name --check: status $status" ;;
    esac
done
expect 2 nothing true
CLATTN_TEST_INTEL=/nonexistent expect 77 intel true

if ! "$run_on" oclgrind --check; then
    exit 77
fi
expect 0 oclgrind "$planted" "$source" NONE
finds READ_OUTSIDE 'invalid read'
finds WRITE_OUTSIDE 'invalid write'
finds RACE 'data race'
finds WRITE_SAME 'data race'
finds UNINITIALISED 'uninitialized'
finds UNWRITTEN 'uninitialized'
finds DIVERGENT_BARRIER 'divergence'
