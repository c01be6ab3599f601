# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# What the tests of the tools share; they read it with ".", and end with "finish". Sets $work, a folder that vanishes at
# the end, and $num_failed.

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
trap 'exit 1' HUP INT TERM

num_failed=0

failed()
{
    printf 'FAILED: %s\n' "$*"
    sed 's/^/    stderr: /' "$work/stderr"
    num_failed=$((num_failed + 1))
}

# run PROGRAM ARGUMENT...: output in $work/stdout and $work/stderr, exit code in $code.
run()
{
    # shellcheck disable=SC2034 # for the reader
    code=0
    "$@" >"$work/stdout" 2>"$work/stderr" || code=$?
}

finish()
{
    [ "$num_failed" -eq 0 ] || exit 1
    exit 0
}
