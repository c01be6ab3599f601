# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
#
# Part of tools/test.sh: the tests that use a device, on every OpenCL implementation that tests/matrix/run_on.sh knows,
# and the table of their results. Continuous integration runs what a few minutes hold; the table lists the rest.

matrix_suites="--suite kernel --suite kernel-plain --suite kernel-simt --suite kernel-vector"

# The options of meson test and the number of random problems for an implementation, and the table's word for what
# these leave out.
choose_tests()
{
    matrix_options="$matrix_suites --suite verify"
    matrix_cases=''
    matrix_reason='it did not come to its turn'
    case $matrix_part-$1 in
    all-oclgrind)
        matrix_options=$matrix_suites
        matrix_cases=16
        matrix_reason='a trial fills tiles, which takes an interpreter long'
        ;;
    all-*) ;;
    ci-oclgrind)
        matrix_options='--suite small'
        matrix_cases=5
        matrix_reason='interpreted, which takes long; sh tools/test.sh --matrix runs it'
        ;;
    ci-*)
        matrix_options="$matrix_suites --no-suite errors --no-suite wide"
        matrix_cases=100
        matrix_reason='many kernels to compile, or checks of the host; sh tools/test.sh --matrix runs it'
        ;;
    esac
}

# matrix FOLDER all|ci: everything; or what continuous integration adds to the run on PoCL whose log is in FOLDER.
matrix()
{
    matrix_folder=$1
    matrix_part=$2
    set -- "$matrix_folder/meson-info/intro-tests.json"
    for implementation in $(sh tests/matrix/run_on.sh --list); do
        if ! matrix_absence=$(sh tests/matrix/run_on.sh "$implementation" --check); then
            set -- "$@" --absent "$implementation" "$matrix_absence"
            continue
        fi
        if [ "$matrix_part-$implementation" = ci-pocl ]; then
            matrix_log="$matrix_folder/meson-logs/testlog.json"
            matrix_reason='the run on PoCL left it out'
        else
            choose_tests "$implementation"
            export CLATTN_TEST_CASES="$matrix_cases"
            # shellcheck disable=SC2086 # a list of words
            run_tests "$matrix_folder" --setup "$implementation" $matrix_options
            matrix_log="$matrix_folder/meson-logs/testlog-$implementation.json"
        fi
        # Out of the way of the next run, which deletes the others' logs.
        if mv -- "$matrix_log" "$matrix_folder/meson-logs/table-$implementation.json"; then
            set -- "$@" --ran "$implementation" "$matrix_folder/meson-logs/table-$implementation.json" "$matrix_reason"
        fi
    done
    unset CLATTN_TEST_CASES
    heading "results on every OpenCL implementation"
    python3 tools/test/table.py "$@" || step_failed "the table of results"
}

test_matrix()
{
    build build-matrix -Dtools=false -Dexamples=false && matrix build-matrix all
}
