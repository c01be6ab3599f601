#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cl-demo computes the batch that it announces within its bound, and refuses what it does not know.
#
# usage: test_demo.sh CL_DEMO
set -eu

demo=$1
# shellcheck source=tests/cli/bench_common.sh
. "$(dirname -- "$0")/bench_common.sh"

refused 2 'no option' "$demo" now
refused 2 'speed' "$demo" --speed
refused 1 'CLATTN_NO_DEVICE' "$demo" --device 'no device has this name'

run "$demo"
if [ "$code" -ne 0 ] && [ "$num_failed" -eq 0 ] && grep -q CLATTN_NO_DEVICE "$work/stderr"; then
    echo "skipped: no OpenCL device"
    exit 77
fi
[ "$code" -eq 0 ] || failed "exit code $code: cl-demo"
grep -q 'within bound' "$work/stdout" || failed "no verdict: cl-demo"
grep -q '6 sequences, 241 new tokens: prefill of 37, 200; decode at context 93, 1, 1024, 512' "$work/stdout" ||
    failed "no batch: cl-demo"
grep -q 'of the roofline' "$work/stdout" || failed "no time: cl-demo"

finish
