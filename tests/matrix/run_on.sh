#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs a command on one OpenCL implementation. Every name is a set-up of `meson test` as well, of which this is the
# wrapper: a set-up's variables would give way to those of the tests.
#
# usage: run_on.sh --list                       the names
#        run_on.sh IMPLEMENTATION --check       status 0 if it is installed; else 77, and the reason on stdout
#        run_on.sh IMPLEMENTATION COMMAND...    status of the command; 77 if the implementation is not installed
#
#   pocl                PoCL
#   pocl_unoptimised    PoCL with -cl-opt-disable, which takes another way through its compiler
#   rusticl             Mesa's rusticl on llvmpipe
#   oclgrind            Oclgrind: whatever it reports fails the command. It interprets, so that tests are small
#   intel               Intel's runtime for CPUs, fetched by `sh tools/setup.sh --matrix`
#
# Caches lie beside those that POCL_CACHE_DIR and XDG_CACHE_HOME name. CLATTN_TEST_INTEL is the folder of Intel's
# runtime, unless it is build-intel/ of this source tree.
set -u

icd_folder=/etc/OpenCL/vendors
tree=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd) || exit 1
intel="${CLATTN_TEST_INTEL:-$tree/build-intel}"

absent()
{
    printf 'not installed: %s\n' "$*"
    exit 77
}

require_file()
{
    [ -e "$1" ] || absent "there is no $1"
}

# The library that an ICD loader takes for Oclgrind's platform.
oclgrind_library()
{
    for folder in /usr/lib/oclgrind /usr/lib /usr/lib64 /usr/local/lib /usr/local/lib64; do
        if [ -e "$folder/liboclgrind-rt-icd.so" ]; then
            printf '%s' "$folder/liboclgrind-rt-icd.so"
            return
        fi
    done
}

# Ends the script unless the implementation is there.
choose()
{
    case $1 in
    pocl)
        require_file "$icd_folder/pocl.icd"
        export OCL_ICD_VENDORS=pocl.icd
        ;;
    pocl_unoptimised)
        require_file "$icd_folder/pocl.icd"
        export OCL_ICD_VENDORS=pocl.icd POCL_EXTRA_BUILD_FLAGS=-cl-opt-disable
        export POCL_CACHE_DIR="${POCL_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/pocl}-unoptimised"
        ;;
    rusticl)
        require_file "$icd_folder/rusticl.icd"
        export OCL_ICD_VENDORS=rusticl.icd RUSTICL_ENABLE=llvmpipe
        export MESA_SHADER_CACHE_DIR="${XDG_CACHE_HOME:-$HOME/.cache}/mesa"
        mkdir -p -- "$MESA_SHADER_CACHE_DIR" || exit 1 # Mesa makes no parents
        ;;
    oclgrind)
        library=$(oclgrind_library)
        [ -n "$library" ] || absent "there is no liboclgrind-rt-icd.so"
        # Without -cl-opt-disable it loses work-items where it tracks uninitialised memory.
        export OCL_ICD_VENDORS="$library" OCLGRIND_BUILD_OPTIONS=-cl-opt-disable
        export OCLGRIND_CHECK_API=1 OCLGRIND_DATA_RACES=1 OCLGRIND_UNIFORM_WRITES=1 OCLGRIND_UNINITIALIZED=1
        export OCLGRIND_MAX_ERRORS=20 CLATTN_TEST_SIZE=small
        ;;
    intel)
        [ -e "$intel/libintelocl.so" ] || absent "there is no $intel; sh tools/setup.sh --matrix fetches it"
        export OCL_ICD_VENDORS="$intel/libintelocl.so"
        export LD_LIBRARY_PATH="$intel${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
        export CL_CONFIG_CPU_FORCE_LOCAL_MEM_SIZE=2MB # as PoCL's; the vector family's tiles fill more than 256 KiB
        ;;
    *)
        printf 'run_on.sh: no implementation %s\n' "$1" >&2
        exit 2
        ;;
    esac
}

# The layer that the check for uninitialised memory needs, in the build folder that one of the words lies in; without one
# (it is no test of ours) nothing. fresh_buffers_layer.c says what it is for.
fresh_buffers_layer()
{
    for argument; do
        folder=$argument
        while [ "$folder" != "${folder%/*}" ]; do
            folder=${folder%/*}
            if [ -e "$folder/tests/matrix/libfresh_buffers_layer.so" ]; then
                readlink -f -- "$folder/tests/matrix/libfresh_buffers_layer.so"
                return
            fi
        done
    done
}

# Oclgrind gives a group 32 KiB of local memory and enforces it; the vector family asks for what PoCL gives. Over that
# family's kernels, its tracking of uninitialised memory crashes (21.10, Uninitialized::instructionExecuted).
run_checked()
{
    for argument; do
        if [ "$argument" = vector ]; then
            export OCLGRIND_LOCAL_MEM_SIZE=2097152
            unset OCLGRIND_UNINITIALIZED
        fi
    done
    layer=$(fresh_buffers_layer "$@")
    if [ -n "$layer" ]; then
        export OPENCL_LAYERS="$layer"
    fi
    report=$(mktemp) || exit 1
    trap 'rm -f -- "$report"' EXIT
    trap 'exit 1' HUP INT TERM
    OCLGRIND_LOG=$report "$@"
    status=$?
    if [ -s "$report" ]; then
        printf 'Oclgrind reports:\n' >&2
        cat "$report" >&2
        exit 1
    fi
    exit "$status"
}

if [ "${1-}" = --list ]; then
    sed -n 's/^#   \([a-z][a-z_]*\)  .*/\1/p' "$0"
    exit 0
fi
if [ $# -lt 2 ]; then
    printf 'usage: %s --list | IMPLEMENTATION --check | IMPLEMENTATION COMMAND...\n' "$0" >&2
    exit 2
fi
implementation=$1
shift
choose "$implementation"
if [ "$1" = --check ]; then
    exit 0
elif [ "$implementation" = oclgrind ]; then
    run_checked "$@"
else
    exec "$@"
fi
