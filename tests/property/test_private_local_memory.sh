#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# PoCL 3.1 turns some local arrays into globals of the compiled kernel, which its threads then share: results are
# right alone and wrong at random beside others. Such an array is a data symbol of the kernel's shared object. Runs a
# test and looks at the programs that were built meanwhile, in PoCL's cache: most were compiled by other tests before.
#
# usage: test_private_local_memory.sh RANDOM_TEST [ARGUMENT]...
set -eu

cache=${POCL_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/pocl/kcache}
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
trap 'exit 1' HUP INT TERM

if ! command -v nm >/dev/null 2>&1; then
    echo "skipped: nm not found"
    exit 77
fi

# compile COMMAND...: leaves the names of the kernels in a file, what was printed in another, the status in $code. PoCL
# touches a file of every program that it builds or finds.
compile()
{
    code=0
    touch "$work/start"
    "$@" >"$work/printed" 2>&1 || code=$?
    find "$cache" -name last_accessed -newer "$work/start" 2>/dev/null | while IFS= read -r file; do
        find "$(dirname -- "$file")" -name 'clattn_*.so'
    done >"$work/kernels"
}

compile "$@" --cases 1 # takes a second to say whether there will be something to look at
if [ "$code" -eq 0 ] && [ ! -s "$work/kernels" ]; then
    echo "skipped: the OpenCL implementation leaves no compiled kernels"
    exit 77
fi
compile "$@"
while IFS= read -r kernel; do
    nm "$kernel" | sed -n 's/^[0-9a-f]* [bBdD] \(clattn_.*\)/\1/p'
done <"$work/kernels" | sort | uniq -c >"$work/shared"
if [ -s "$work/shared" ]; then
    echo "local arrays that all threads share:" >&2
    cat "$work/shared" >&2
    exit 1
fi
if [ "$code" -ne 0 ]; then
    cat "$work/printed" >&2
    exit "$code"
fi
echo "$(wc -l <"$work/kernels") kernels, no shared local array"
