#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The shared library exports exactly the functions that the public headers declare.

usage: test_exported_symbols.py LIBRARY NM SOURCE_INCLUDE BUILD_INCLUDE COMPILER...

A function that is declared without CLATTN_API is missing from the library, a helper without hidden visibility is
too much in it; a symbol that does not start with clattn_ is wrong in any case.
"""
import re
import subprocess
import sys


def public_text(compiler, include_folders):
    """What the preprocessor makes of our own headers, without those that they include."""
    command = compiler + ["-E", "-x", "c"] + ["-I" + folder for folder in include_folders] + ["-"]
    source = "#include <clattn/clattn.h>\n"
    output = subprocess.run(command, input=source, stdout=subprocess.PIPE, check=True, text=True).stdout
    ours = False
    lines = []
    for line in output.splitlines():
        marker = re.match(r'# \d+ "(.*?)"', line)
        if marker:
            ours = re.search(r"/clattn/\w+\.h$", marker.group(1)) is not None
        elif ours:
            lines.append(line)
    return "\n".join(lines)


def without_bodies(text):
    """The text outside every pair of braces: enumerators and struct fields are no declarations."""
    depth = 0
    kept = []
    for character in text.replace('extern "C" {', ""):
        if character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
        elif depth == 0:
            kept.append(character)
    return "".join(kept)


def declared_functions(text):
    names = set()
    for declaration in without_bodies(text).split(";"):
        declaration = re.sub(r"__attribute__\s*\(\(.*?\)\)(?!\))", " ", " ".join(declaration.split()))
        name = re.search(r"\b(\w+)\s*\(", declaration)
        if name and not re.match(r"(typedef|static)\b", declaration.strip()):
            names.add(name.group(1))
    return names


def exported_symbols(nm, library):
    command = [nm, "--dynamic", "--defined-only", "--format=posix", library]
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    names = {line.split()[0].split("@")[0] for line in output.splitlines()}
    # Names with two underscores belong to the compiler: sanitizers add some.
    return {name for name in names if not name.startswith("__")}


def main():
    library, nm, *include_folders = sys.argv[1:5]
    declared = declared_functions(public_text(sys.argv[5:], include_folders))
    exported = exported_symbols(nm, library)
    complaints = [f"declared in a public header, not exported: {name}" for name in sorted(declared - exported)]
    complaints += [f"exported, not declared in a public header: {name}" for name in sorted(exported - declared)]
    complaints += [f"exported without the prefix clattn_: {name}" for name in sorted(exported)
                   if not name.startswith("clattn_")]
    if not declared:
        complaints.append("found no declaration at all in clattn/clattn.h")
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    print(f"{len(declared)} functions declared, {len(exported)} symbols exported")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
