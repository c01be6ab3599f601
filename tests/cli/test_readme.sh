#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The README's C program is examples/paged_decode.c, which is built and tested, without its head comments.
#
# usage: test_readme.sh SOURCE_FOLDER
set -eu

source=$1
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
trap 'exit 1' HUP INT TERM

# The first C block of the README.
awk '/^```c$/ { inside = !done; next } /^```$/ { if (inside) done = 1; inside = 0 } inside' \
    "$source/README.md" >"$work/readme.c"
# The example from its first #include on.
awk '/^#include/ { begun = 1 } begun' "$source/examples/paged_decode.c" >"$work/example.c"

if [ ! -s "$work/example.c" ]; then
    echo "examples/paged_decode.c has no #include" >&2
    exit 1
fi
diff -u "$work/example.c" "$work/readme.c"
