#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# usage: test_memcheck.sh PLANTED VALGRIND [VALGRIND_OPTION...]
#
# PLANTED has one defect of each kind that memcheck is run for. Each must be reported with these options, among them
# the suppressions.
set -u

planted=$1
shift
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
trap 'exit 1' HUP INT TERM

# A device compiler takes most of a minute under memcheck, and a second without.
"$planted" --sound >"$log" 2>&1
status=$?
[ $status -ne 77 ] || exit 77
if [ "$status" -ne 0 ]; then
    printf 'the kernel without a defect fails\n' >&2
    cat "$log" >&2
    exit 1
fi
"$@" "$planted" >"$log" 2>&1
status=$?

missing=no
# expect WHAT FIRST_LINE FUNCTION: a report that begins with FIRST_LINE and has FUNCTION among the ten lines behind it.
expect()
{
    if ! grep -A 10 -e "$2" "$log" | grep -q -e "$3"; then
        printf 'not reported: %s\n' "$1" >&2
        missing=yes
    fi
}

expect "a write behind a buffer" 'Invalid write of size 4' _pocl_kernel_copy
expect "a read behind a buffer" 'Invalid read of size 4' _pocl_kernel_copy
expect "a read of what nobody wrote" 'uninitialised value' _pocl_kernel_copy
expect "a leaked buffer" 'are definitely lost' support_buffer_create
expect "leaked memory" '^==[0-9]*== 93 bytes in 1 blocks are definitely lost' leak_memory
if [ "$status" -eq 0 ]; then
    printf 'defects were reported, but the exit status is 0\n' >&2
    missing=yes
fi
if [ $missing = yes ]; then
    cat "$log" >&2
    exit 1
fi
