#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns one kernel source into a C file that defines it as a string.

usage: embed.py SYMBOL NAME INPUT OUTPUT

The string starts with #line 1 "NAME", so that a device compiler names our file and line.
"""
import sys


def c_string(line):
    escaped = line.replace("\\", "\\\\").replace('"', '\\"')
    return f'    "{escaped}\\n"'


def main():
    symbol, name, source, output = sys.argv[1:]
    with open(source, encoding="ascii") as file:
        lines = file.read().splitlines()
    with open(output, "w", encoding="ascii") as file:
        file.write(f"/* Generated from {name}. */\n")
        file.write(f"extern const char {symbol}[];\n")
        file.write(f"const char {symbol}[] =\n")
        file.write("\n".join(c_string(line) for line in [f'#line 1 "{name}"'] + lines))
        file.write(";\n")


if __name__ == "__main__":
    main()
