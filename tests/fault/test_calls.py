#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The fault tests leave nothing out: neither a call of the library that can fail nor a public function.

usage: test_calls.py LIBRARY NM SOURCE_INCLUDE BUILD_INCLUDE TEST_FAULT WRAPPED BALANCE_LAYER COMPILER...

LIBRARY is the shared library, WRAPPED the comma-separated calls that the linker hands to the fault layer, and
TEST_FAULT --list prints the functions that are tested. The public functions are read from the headers. BALANCE_LAYER
has to count whatever the library creates, retains, releases or enqueues.
"""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
import test_exported_symbols as headers  # noqa: E402

# What the library calls besides, and why that cannot fail.
HARMLESS = {
    "strings and memory that is there": """bcmp memchr memcmp memcpy memmove memset qsort snprintf strcasecmp strchr
        strcmp strlen strncasecmp strncmp strrchr strspn strstr strtok_r vsnprintf""",
    "sorting, which goes on without memory": "qsort",
    "questions to a document that is there": """cJSON_IsArray cJSON_IsBool cJSON_IsNumber cJSON_IsObject cJSON_IsString
        cJSON_IsTrue""",
    "output to a memory stream, whose failure fclose() tells": "ferror fprintf fputc fputs fwrite",
    "numbers, clocks and the environment": """clock_gettime exp fmax fmin frexp getenv ldexp log nearbyint sqrt sqrtf
        tanh""",
    "names of errors": "__xpg_strerror_r",
    "the compiler's own": "__assert_fail __cxa_finalize __errno_location __gmon_start__ __stack_chk_fail",
}
INSTRUMENTATION = re.compile(r"_ITM_|__(asan|ubsan|tsan|lsan|sanitizer|sancov)_")


def called_functions(nm, library):
    command = [nm, "--dynamic", "--undefined-only", "--format=posix", library]
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    names = {line.split()[0].split("@")[0] for line in output.splitlines()}
    return {name for name in names if not INSTRUMENTATION.match(name)}


def counted_functions(nm, layer):
    output = subprocess.run([nm, "--format=posix", layer], stdout=subprocess.PIPE, check=True, text=True).stdout
    names = {line.split()[0] for line in output.splitlines()}
    return {name.removeprefix("balance_") for name in names if name.startswith("balance_cl")}


def main():
    library, nm, source_include, build_include, test_fault, wrapped, layer = sys.argv[1:8]
    harmless = {name for names in HARMLESS.values() for name in names.split()}
    wrapped = set(wrapped.split(","))
    called = called_functions(nm, library)
    text = headers.public_text(sys.argv[8:], [source_include, build_include])
    declared = headers.declared_functions(text)
    output = subprocess.run([test_fault, "--list"], stdout=subprocess.PIPE, check=True, text=True).stdout
    tested = set(output.split())

    complaints = [f"called by the library, not made to fail: {name}" for name in sorted(called - wrapped - harmless)]
    complaints += [f"made to fail, not called by the library: {name}" for name in sorted(wrapped - called)]
    complaints += [f"public, not tested: {name}" for name in sorted(declared - tested)]
    complaints += [f"tested, not public: {name}" for name in sorted(tested - declared)]
    references = {name for name in called if re.match("cl(Create|Retain|Release|Enqueue)[A-Z]", name)}
    complaints += [f"not counted by the layer: {name}" for name in sorted(references - counted_functions(nm, layer))]
    if not declared or not called:
        complaints.append("found no declaration or no call at all")
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    print(f"{len(wrapped)} calls made to fail, {len(tested)} public functions tested")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
