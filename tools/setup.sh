#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs what building, testing and demonstrating clattn needs, and configures a build folder if asked to.
# tools/test.sh and tools/demo.sh call this first; when everything is there it only looks, and needs no network.
#
# usage: sh tools/setup.sh [--matrix] [BUILD_FOLDER [MESON_OPTION...]]
#
#   --matrix   also install the compilers and OpenCL implementations that only checks run; a check whose compiler or
#              implementation is not here is skipped, so that nothing fails where they cannot be had
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

# Debian 12's names.
packages="
clang
clang-format
g++
gcc
gnuplot-nox
libc6-dev
libcjson-dev
libcmocka-dev
libxxhash-dev
mandoc
meson
ninja-build
ocl-icd-opencl-dev
opencl-headers
pkg-config
pocl-opencl-icd
python3
valgrind
"

# With --matrix; llvm for llvm-symbolizer, without which no suppression of LeakSanitizer's fits. Apart, since some are
# OpenCL drivers, which every program on the machine would then see.
matrix_packages="
clang-15
intel-opencl-icd
libclang-rt-14-dev
libclc-15
libclc-15-dev
llvm
llvm-spirv-15
mesa-opencl-icd
oclgrind
python3-pip
spirv-tools
"

# With --matrix: clang 19 and the bitcode for its GPUs. Debian's libclc-19 and libclc-15, which PoCL and Mesa build with,
# exclude each other, so these are unpacked beside the system instead of installed.
clang_19_packages="clang-19 libclang-common-19-dev libclang-cpp19 libclc-19 libllvm19"
clang_19_folder=$root/build-clang-19

# With --matrix: Intel's OpenCL runtime for CPUs, which Python's package index has.
intel_requirements=$root/tests/matrix/intel_opencl.txt
intel_folder=$root/build-intel

# What pkg-config has to find, and for which part.
modules="OpenCL cmocka libcjson libxxhash"

say()
{
    printf 'setup: %s\n' "$*"
}

fail()
{
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

missing_packages()
{
    for package; do
        # The blanks tell "installed" from "not-installed", for one architecture or several.
        case $(dpkg-query -W -f ' ${db:Status-Status} ' "$package" 2>/dev/null) in
        *' installed '*) ;;
        *) printf ' %s' "$package" ;;
        esac
    done
}

# Runs a command as root. Asks for a password only where somebody sits at a terminal to give it.
as_root()
{
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif ! command -v sudo >/dev/null 2>&1; then
        say "not root, and there is no sudo"
        return 1
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

install_packages()
{
    # env, because sudo drops the variable. The lock timeout lets two runs at once wait for each other.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 update ||
        say "no fresh package lists; trying with those that are here"
    # shellcheck disable=SC2086 # a list of words
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 \
        --no-install-recommends install $1
}

# Not being able to is no failure: see --matrix.
install_matrix()
{
    # shellcheck disable=SC2086 # lists of words
    missing=$(missing_packages $matrix_packages)
    if [ -n "$missing" ]; then
        say "installing$missing"
        install_packages "$missing" || say "could not install them; the checks that need them will be skipped"
    fi
    [ -e "$clang_19_folder" ] || unpack_clang_19 || say "could not unpack clang 19; its checks will be skipped"
    [ -e "$intel_folder" ] || unpack_intel || say "could not unpack Intel's runtime; nothing will run on it"
}

# Into a folder of another name first: the final one is complete or not there.
unpack_clang_19()
(
    say "unpacking clang 19 in $clang_19_folder"
    part=$clang_19_folder.part
    rm -rf -- "$part"
    # shellcheck disable=SC2086 # a list of words
    mkdir -p "$part/packages" &&
        cd "$part/packages" &&
        apt-get -qq -o APT::Sandbox::User="$(id -un)" download $clang_19_packages &&
        find . -name '*.deb' -exec dpkg-deb -x {} "$part" \; &&
        rm -rf -- "$part/packages" &&
        mv -- "$part" "$clang_19_folder"
)

# The libraries of Python packages that are nothing else, flat in one folder; but not the ICD loader among them.
unpack_intel()
(
    say "unpacking Intel's OpenCL runtime in $intel_folder"
    part=$intel_folder.part
    rm -rf -- "$part"
    mkdir -p "$part" &&
        python3 -m pip --quiet --disable-pip-version-check download --no-deps --only-binary :all: --require-hashes \
            --dest "$part/packages" --requirement "$intel_requirements" &&
        python3 - "$part" <<'PYTHON' &&
import pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
for package in folder.glob("packages/*.whl"):
    with zipfile.ZipFile(package) as files:
        for name in files.namelist():
            path = pathlib.PurePosixPath(name)
            if path.match("*.data/data/lib/*") and not path.name.startswith("libOpenCL"):
                (folder / path.name).write_bytes(files.read(name))
PYTHON
        rm -rf -- "$part/packages" &&
        mv -- "$part" "$intel_folder"
)

first_of()
{
    for candidate; do
        if command -v "$candidate" >/dev/null 2>&1; then
            printf '%s' "$candidate"
            return 0
        fi
    done
    return 1
}

# Without packages the tools themselves decide; prints what is not found.
missing_tools()
{
    if [ -n "${CC-}" ]; then
        command -v "${CC%% *}" >/dev/null 2>&1 || printf ' %s' "$CC"
    else
        first_of cc gcc clang >/dev/null || printf ' a C compiler'
    fi
    command -v meson >/dev/null 2>&1 || printf ' meson'
    command -v python3 >/dev/null 2>&1 || printf ' python3'
    first_of ninja ninja-build samu >/dev/null || printf ' ninja'
    if pkg_config=$(first_of "${PKG_CONFIG:-pkg-config}" pkg-config pkgconf); then
        for module in $modules; do
            "$pkg_config" --exists "$module" || printf ' %s.pc' "$module"
        done
    else
        printf ' pkg-config (and with it: %s)' "$modules"
    fi
}

# True if the folder is a complete Meson folder of this source tree: a moved tree or an interrupted run leaves others.
is_configured()
{
    [ -f "$1/build.ninja" ] && python3 - "$1/meson-info/meson-info.json" "$root" <<'PYTHON'
import json, os, sys
try:
    with open(sys.argv[1], encoding="utf-8") as file:
        source = json.load(file)["directories"]["source"]
except (OSError, ValueError, KeyError):
    sys.exit(1)
sys.exit(os.path.realpath(source) != os.path.realpath(sys.argv[2]))
PYTHON
}

configure()
{
    folder=$1
    shift
    cd "$root"
    if is_configured "$folder"; then
        # A folder that is asked to have options must have them, whoever made it; one without keeps the user's.
        [ $# -eq 0 ] || meson configure "$folder" "$@"
        return 0
    fi
    if [ -d "$folder/meson-private" ]; then
        say "$folder belongs to another source folder or is incomplete: making it anew"
        rm -rf -- "$folder"
    fi
    say "configuring $folder"
    meson setup "$@" "$folder"
}

matrix=no
case ${1-} in
--matrix)
    matrix=yes
    shift
    ;;
esac
case ${1-} in
-h | --help)
    sed -n '4,10s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
-*)
    fail "unknown option $1; usage: sh tools/setup.sh [--matrix] [BUILD_FOLDER [MESON_OPTION...]]"
    ;;
esac

complete=no
if command -v apt-get >/dev/null 2>&1 && command -v dpkg-query >/dev/null 2>&1; then
    # shellcheck disable=SC2086 # a list of words
    missing=$(missing_packages $packages)
    if [ -z "$missing" ]; then
        complete=yes
    else
        say "installing$missing"
        if install_packages "$missing"; then
            complete=yes
        else
            say "could not install them; going on if the tools are there all the same"
        fi
    fi
    [ $matrix = no ] || install_matrix
fi
if [ $complete = no ]; then
    missing=$(missing_tools)
    if [ -n "$missing" ]; then
        say "needed are a C compiler, Meson 1.0 or newer, Ninja, Python 3, pkg-config, the development files of" \
            "OpenCL, cmocka, cJSON and xxHash, and an OpenCL driver such as PoCL; test.sh --ci also needs gcc, clang" \
            "and clang-format" >&2
        fail "not found:$missing"
    fi
fi

if [ $# -gt 0 ]; then
    configure "$@"
fi
