# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# What the tests of cl-bench and cl-demo share; they set $bench and read this with ".".

here=$(dirname -- "$0")
# shellcheck source=tests/cli/tools_common.sh
. "$here/tools_common.sh"

# measured JSON OPERATIONS KEY=VALUE...: see bench_figures.py.
measured()
{
    python3 "$here/bench_figures.py" "$@" >"$work/check" 2>&1 || {
        tail -n 1 "$work/check"
        failed "$*"
    }
}

# measure JSON ARGUMENT...: runs cl-bench, which must succeed; the test ends here if there is no device.
measure()
{
    json=$1
    shift
    run "$bench" --json "$json" "$@"
    [ "$code" -ne 0 ] || return 0
    failed "exit code $code: cl-bench $*"
    if [ "$num_failed" -eq 1 ] && grep -q CLATTN_NO_DEVICE "$work/stderr"; then
        echo "skipped: no OpenCL device"
        exit 77
    fi
}
