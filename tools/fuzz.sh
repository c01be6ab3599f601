#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds the fuzz targets of tests/fuzz/ in build-fuzz/, with clang's libFuzzer, AddressSanitizer and UBSan, and runs them
# one after another. What a run learns stays in build-fuzz/corpus/TARGET for the next. The exit status is 0 if nothing was
# found, 77 if there is no libFuzzer.
#
# usage: sh tools/fuzz.sh [--seconds N] [TARGET...]
#
#   --seconds N  time for each target, 60 unless told
#   --list       the targets, one a line
#   --help       this text
#
# A finding is an input in build-fuzz/findings/TARGET; build/tests/fuzz/replay_TARGET FOLDER runs the inputs of a folder.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"

all_targets=$(sed -n "s/^  '\([a-z_]*\)': {$/\1/p" tests/fuzz/meson.build)
seconds=60

fail()
{
    printf 'fuzz: %s\n' "$*" >&2
    exit 1
}

targets=''
while [ $# -gt 0 ]; do
    case $1 in
    --seconds)
        [ $# -gt 1 ] || fail "--seconds needs a number"
        seconds=$2
        shift
        ;;
    --list)
        printf '%s\n' "$all_targets"
        exit 0
        ;;
    -h | --help)
        sed -n '4,15s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    -*) fail "unknown option $1; see sh tools/fuzz.sh --help" ;;
    *)
        printf '%s\n' "$all_targets" | grep -qx -- "$1" || fail "no target $1; see sh tools/fuzz.sh --list"
        targets="$targets $1"
        ;;
    esac
    shift
done
case $seconds in
'' | *[!0-9]* | 0*) fail "--seconds is $seconds, expected a whole number of 1 or more" ;;
esac

mkdir -p build-fuzz
printf 'int LLVMFuzzerTestOneInput(const char *data, unsigned long num_bytes) { return !data && num_bytes; }\n' |
    clang -fsanitize=fuzzer -x c - -o build-fuzz/probe 2>/dev/null || {
    echo "fuzz: clang has no libFuzzer here (Debian: clang and libclang-rt-14-dev)"
    exit 77
}

export CC=clang CXX=clang++
sh tools/setup.sh build-fuzz -Dfuzz=true -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
for target in ${targets:-$all_targets}; do
    meson compile -C build-fuzz "fuzz_$target"
    corpus=build-fuzz/corpus/$target
    findings=build-fuzz/findings/$target
    mkdir -p "$corpus" "$findings"
    printf 'fuzz: %s, %s seconds\n' "$target" "$seconds"
    "build-fuzz/tests/fuzz/fuzz_$target" -max_total_time="$seconds" -timeout=60 -max_len=1024 \
        -artifact_prefix="$findings/" "$corpus" "tests/fuzz/corpus/$target" >"build-fuzz/$target.log" 2>&1 || {
        tail -n 60 "build-fuzz/$target.log"
        fail "$target: a finding, see $findings"
    }
    sed -n 's/^Done/fuzz: done/p' "build-fuzz/$target.log"
done
