#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs what is missing, builds clattn and runs its tests. The exit status is the verdict, and the last line
# is "N passed, N failed, N skipped"; a step that breaks before its tests run counts as one failed.
#
# usage: sh tools/test.sh [--sanitize | --matrix | --ci]
#
#   (nothing)    build in build/ and run every test, on PoCL unless OCL_ICD_VENDORS says otherwise when build/ is made
#   --sanitize   build in build-asan/ with AddressSanitizer and UBSan, and clang if it is here, and run every test on PoCL
#   --matrix     build in build-matrix/ and run the tests that use a device on every OpenCL implementation that is
#                installed (tests/matrix/run_on.sh); ends with a table of the results; takes about an hour, most of it
#                on Oclgrind
#   --ci         what continuous integration runs: formatting; every test of a build with gcc (build-gcc/) on PoCL, a
#                part of --matrix; those of the host with clang (build-clang/), then --sanitize but for tests that
#                measure, all with warnings as errors; the kernels are compiled for GPUs (suite "offline") once; a few
#                tests under valgrind, those of threads with ThreadSanitizer; each fuzz target runs for 20 seconds
#   --help       this text
set -u

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd) || exit 1
cd "$root" || exit 1

passed=0
failed=0
skipped=0

heading()
{
    printf '\n== %s\n' "$*"
}

# Counts a step that is no test; what went wrong has been printed by the step.
step_failed()
{
    printf 'test: FAILED: %s\n' "$*"
    failed=$((failed + 1))
}

# Whatever happens, the last line is printed and a run without any result is a failure.
finish()
{
    trap - EXIT
    if [ $((passed + failed)) -eq 0 ]; then
        step_failed "no test ran"
    fi
    printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    [ "$failed" -eq 0 ] || exit 1
    exit 0
}

# Prints "passed failed skipped" of Meson's log, one JSON object per line. Whatever is neither good nor skipped
# (FAIL, ERROR, TIMEOUT, INTERRUPT, UNEXPECTEDPASS) is failed.
count_results()
{
    python3 - "$1" <<'PYTHON'
import json, sys
counts = {"OK": 0, "FAILED": 0, "SKIP": 0}
with open(sys.argv[1], encoding="utf-8") as log:
    for line in log:
        result = json.loads(line)["result"]
        if result == "EXPECTEDFAIL":
            result = "OK"
        counts[result if result in counts else "FAILED"] += 1
print(*counts.values())
PYTHON
}

# build_targets TARGETS FOLDER [MESON_OPTION...]: TARGETS are words, none = all
build_targets()
{
    targets=$1
    shift
    heading "$1: build"
    # shellcheck disable=SC2086 # a list of words
    if ! sh tools/setup.sh "$@" || ! meson compile -C "$1" $targets; then
        step_failed "$1: build"
        return 1
    fi
}

# build FOLDER [MESON_OPTION...]
build()
{
    build_targets '' "$@"
}

# run_tests FOLDER [MESON_TEST_OPTION...]
run_tests()
{
    folder=$1
    shift
    heading "$folder: tests"
    rm -f "$folder"/meson-logs/testlog*.json
    meson test -C "$folder" --no-rebuild --print-errorlogs "$@"
    status=$?
    run_failed=0
    # A test set-up adds its name to the log's; after the line above there is at most one.
    for log in "$folder"/meson-logs/testlog*.json; do
        if [ -s "$log" ] && counts=$(count_results "$log"); then
            # shellcheck disable=SC2086 # three numbers
            set -- $counts
            passed=$((passed + $1))
            run_failed=$2
            skipped=$((skipped + $3))
            failed=$((failed + run_failed))
        else
            step_failed "$folder: Meson left no readable list of results"
        fi
    done
    if [ "$status" -ne 0 ] && [ "$run_failed" -eq 0 ]; then
        step_failed "$folder: meson test ended with status $status"
    fi
}

check_format()
{
    heading "formatting"
    if ! command -v clang-format >/dev/null 2>&1; then
        step_failed "clang-format not found"
        return
    fi
    unformatted=$(find examples include lib tests tools -name '*.[ch]' | LC_ALL=C sort | while IFS= read -r file; do
        clang-format --dry-run -Werror "$file" >&2 || printf ' %s' "$file"
    done)
    if [ -n "$unformatted" ]; then
        step_failed "clang-format -i wanted:$unformatted"
    fi
}

. tools/test/matrix.sh

test_plain()
{
    build build && run_tests build
}

clang_has_sanitizers()
{
    mkdir -p build-asan &&
        printf 'int main(void) { return 0; }\n' |
        clang -fsanitize=address,undefined -x c - -o build-asan/probe 2>/dev/null
}

# Tests that are not run with sanitizers: other compilers', and Oclgrind's.
unsanitized='--no-suite offline --no-suite limits'

# test_sanitized [MESON_OPTION...]: with clang if it can, else with the compiler that builds everything else.
test_sanitized()
{
    if clang_has_sanitizers; then
        export CC=clang CXX=clang++
    fi
    # Debugoptimized, so that asserts are on and a report has line numbers. What other compilers make of the kernels
    # does not depend on ours.
    # shellcheck disable=SC2086 # a list of words
    build build-asan -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false "$@" &&
        run_tests build-asan --setup asan $unsanitized
}

# Each fuzz target for a short while; what it takes to make a find again is printed.
test_fuzz()
{
    heading "build-fuzz: fuzz targets"
    for target in $(sh tools/fuzz.sh --list); do
        sh tools/fuzz.sh --seconds 20 "$target"
        case $? in
        0) passed=$((passed + 1)) ;;
        77) skipped=$((skipped + 1)) ;;
        *) step_failed "build-fuzz: $target" ;;
        esac
    done
}

test_threads()
{
    build_targets test_threads build-tsan -Dbuildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false \
        -Dtools=false -Dexamples=false && run_tests build-tsan --setup tsan --suite threads
}

# Of a build that is there.
test_valgrind()
{
    run_tests build-gcc --setup valgrind --suite memcheck
}

# Two steps of one core each, side by side: what fuzzing prints and counts comes behind.
test_fuzz_beside_valgrind()
{
    mkdir -p build-fuzz
    rm -f build-fuzz/counts
    (
        passed=0 failed=0 skipped=0
        test_fuzz >build-fuzz/output 2>&1
        printf '%d %d %d\n' "$passed" "$failed" "$skipped" >build-fuzz/counts
    ) &
    test_valgrind
    wait
    cat build-fuzz/output
    if [ -s build-fuzz/counts ] && read -r fuzz_passed fuzz_failed fuzz_skipped <build-fuzz/counts; then
        passed=$((passed + fuzz_passed))
        failed=$((failed + fuzz_failed))
        skipped=$((skipped + fuzz_skipped))
    else
        step_failed "build-fuzz: the fuzz targets came to no end"
    fi
}

test_ci()
{
    export OCL_ICD_VENDORS="${OCL_ICD_VENDORS:-pocl.icd}"
    # The builds hand PoCL the same kernels; compiling them is most of the time of a run.
    export POCL_CACHE_DIR="${POCL_CACHE_DIR:-$root/build-gcc/pocl_cache}"
    check_format
    export CC=gcc CXX=g++
    build build-gcc -Dwerror=true && run_tests build-gcc --timeout-multiplier 3 && matrix build-gcc ci
    # The host's code as clang optimises it; the tests of kernels run with clang's code in build-asan/.
    export CC=clang CXX=clang++
    build build-clang -Dwerror=true && run_tests build-clang --timeout-multiplier 3 --suite unit --suite fault
    export CC=gcc CXX=g++
    unsanitized="$unsanitized --no-suite measuring"
    test_sanitized -Dwerror=true
    export CC=gcc CXX=g++
    test_threads
    test_fuzz_beside_valgrind
}

mode=plain
for argument; do
    case $argument in
    --ci) mode=ci ;;
    --matrix) [ "$mode" = ci ] || mode=matrix ;;
    --sanitize) [ "$mode" = ci ] || mode=sanitized ;; # --ci does it as well
    -h | --help)
        sed -n '4,18s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *)
        printf 'test: unknown option %s; see sh tools/test.sh --help\n' "$argument" >&2
        exit 2
        ;;
    esac
done

trap finish EXIT
trap 'step_failed "interrupted"; exit 1' HUP INT TERM

# Before anything else, so that a machine without compiler or Meson is told once and clearly.
heading "setup"
case $mode in
ci | matrix) checks=--matrix ;;
*) checks='' ;;
esac
if sh tools/setup.sh $checks; then
    "test_$mode"
else
    step_failed "setup"
fi
