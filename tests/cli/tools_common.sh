# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# What the tests of programs share; they read it with ".", and end with "finish". Sets $work, a folder that vanishes at
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

# refused CODE SENTENCE PROGRAM ARGUMENT...: the program ends with CODE, prints nothing and says SENTENCE, a regular
# expression.
refused()
{
    expected_code=$1 sentence=$2
    shift 2
    run "$@"
    [ "$code" -eq "$expected_code" ] || failed "exit code $code instead of $expected_code: $*"
    [ ! -s "$work/stdout" ] || failed "output in spite of an error: $*"
    grep -q -- "$sentence" "$work/stderr" || failed "no sentence '$sentence': $*"
}

finish()
{
    [ "$num_failed" -eq 0 ] || exit 1
    exit 0
}
