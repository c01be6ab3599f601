#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs into a temporary folder and uses what lies there as an application would: pkg-config gives the flags,
# programs in C and in C++ and the README's example compile and link, and the version is the same everywhere.
#
# usage: test_install.sh SOURCE_FOLDER BUILD_FOLDER PREFIX LIBDIR SANITIZE MESON PKG_CONFIG C_COMPILER CXX_COMPILER
#        LIBDIR is relative to PREFIX; SANITIZE is Meson's b_sanitize; CXX_COMPILER may be empty
set -eu

source=$1 build=$2 prefix=$3 libdir=$4 sanitize=$5 meson=$6 pkg_config=$7 c_compiler=$8 cxx_compiler=$9

stage=$(mktemp -d)
trap 'rm -rf -- "$stage"' EXIT
trap 'exit 1' HUP INT TERM

# Not rebuilt: the test runs inside Meson, which has built everything already.
"$meson" install -C "$build" --destdir "$stage" --no-rebuild --quiet

export PKG_CONFIG_PATH="$stage$prefix/$libdir/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
export PKG_CONFIG_SYSROOT_DIR="$stage"
export LD_LIBRARY_PATH="$stage$prefix/$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
flags=$("$pkg_config" --cflags --libs clattn)
version=$("$pkg_config" --modversion clattn)

# Nothing but the public headers is installed, and all of them.
(cd "$source/include/clattn" && ls -- *.h && echo version.h) | LC_ALL=C sort >"$stage/headers_expected"
(cd "$stage$prefix/include/clattn" && ls -- *) | LC_ALL=C sort >"$stage/headers_installed"
diff "$stage/headers_expected" "$stage/headers_installed"

# The tools that were built are installed, and find the library.
for tool in cl-bench cl-info cl-tune; do
    [ ! -e "$build/tools/$tool" ] || "$stage$prefix/bin/$tool" --help >"$stage/help"
done

[ ! -e "$build/tools/cl-tune" ] || find "$stage$prefix" -path '*/man1/cl-tune.1' | grep -q . ||
    { echo "the manual page of cl-tune is not installed" >&2; exit 1; }

cat >"$stage/application.c" <<'SOURCE'
#include <clattn/clattn.h>
#include <stdio.h>

int main(void)
{
    printf("%s %s %s\n", clattn_version(), CLATTN_VERSION_STRING, clattn_status_name(CLATTN_INVALID_PAGE));
    return clattn_tensor_make(NULL, CLATTN_FLOAT16, 0, NULL).rank;
}
SOURCE

# compile COMPILER ARGUMENT...: with pkg-config's flags, whose paths may hold escaped blanks.
compile()
{
    compiler=$1
    shift
    [ "$sanitize" = none ] || set -- "$@" "-fsanitize=$sanitize"
    eval "set -- \"\$@\" $flags"
    $compiler "$@"
}

expected="$version $version CLATTN_INVALID_PAGE"
compile "$c_compiler" -std=c99 -o "$stage/application" "$stage/application.c"
printed=$("$stage/application")
if [ "$printed" != "$expected" ]; then
    echo "the C program printed '$printed', expected '$expected'" >&2
    exit 1
fi

if [ -n "$cxx_compiler" ]; then
    cp "$stage/application.c" "$stage/application.cpp"
    compile "$cxx_compiler" -std=c++11 -o "$stage/application_cpp" "$stage/application.cpp"
    printed=$("$stage/application_cpp")
    if [ "$printed" != "$expected" ]; then
        echo "the C++ program printed '$printed', expected '$expected'" >&2
        exit 1
    fi
fi

compile "$c_compiler" -std=c11 -o "$stage/paged_decode" "$source/examples/paged_decode.c" -lm
echo "installed $version, compiled against it: C, ${cxx_compiler:+C++, }examples/paged_decode.c"
