#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The README's program prints the means of 0, of 0 and 1, and so on.
#
# usage: test_paged_decode.sh PAGED_DECODE
set -eu

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
trap 'exit 1' HUP INT TERM

code=0
"$1" >"$work/printed" 2>"$work/stderr" || code=$?
if grep -q CLATTN_NO_DEVICE "$work/stderr"; then
    echo "skipped: no OpenCL device"
    exit 77
fi
if [ "$code" -ne 0 ]; then
    cat "$work/stderr" >&2
    echo "exit code $code" >&2
    exit 1
fi
for mean in '0: 0.00' '1: 0.50' '2: 1.00' '3: 1.50' '4: 2.00' '5: 2.50'; do
    echo "token $mean"
done | diff - "$work/printed"
