#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Shows clattn at work: installs what is missing, builds in build/ and runs one of two programs.
#
# usage: sh tools/demo.sh [CL_DEMO_OPTION...]
#        sh tools/demo.sh --model FILE --tokenizer FILE --prompt TEXT [GENERATE_OPTION...]
#
# The first runs build/tools/cl-demo: a mixed batch of prefill and decode on the best OpenCL device, checked
# against a reference. The second runs build/examples/generate: a language model on a paged KV cache.
# Options go to the program as they are: "sh tools/demo.sh --device 1" chooses a device. Only the program writes
# to standard output; what the set-up and the build say goes to standard error.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

target=cl-demo
program=$root/build/tools/cl-demo
for argument; do
    case $argument in
    -h | --help)
        sed -n '4,12s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    --model | --model=*)
        target=generate
        program=$root/build/examples/generate
        ;;
    esac
done

sh "$root/tools/setup.sh" build >&2
# Only the target that runs: the tests take longer to build than all the rest.
meson compile -C "$root/build" "$target" >&2
exec "$program" "$@"
