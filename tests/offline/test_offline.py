#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles every kernel that the library would build on a target, and reads what the compiler says of it.

usage: test_offline.py TARGET OFFLINE_VARIANTS [DOCUMENT [PATTERN]...]

Fails where a kernel does not compile, spills registers, puts arrays of a work-item into memory, or takes more local
memory than its row promises, and where DOCUMENT (docs/gpu.md) tells otherwise. Status 77: the target's compiler is not
here. PATTERN, a regular expression, leaves only kernels whose line ("llama-3-8b float16 decode") it matches.
"""
import pathlib
import re
import sys

import compilers
import gpu_table
import runner
import targets


def main():
    name, program, *rest = sys.argv[1:]
    document, patterns = (rest[0], rest[1:]) if rest else (None, [])
    target = targets.target_of(name)
    reason = compilers.COMPILERS[target.compiler].missing()
    if reason:
        print(f"skipped: {reason}; sh tools/setup.sh --matrix installs it on Debian 12")
        return runner.SKIPPED
    listed, results = runner.compile_target(
        target, program, lambda variant: all(re.search(pattern, str(variant)) for pattern in patterns))
    num_bad = 0
    for build, result in results.items():
        variant = next(variant for variant in listed if variant.build() == build)
        for complaint in runner.complaints_about(variant, result):
            print(f"{target.name}: {variant}: {complaint}\n    {' '.join(variant.options)}")
            num_bad += 1
    if document and target.unit and num_bad == 0 and not patterns:
        text = pathlib.Path(document).read_text(encoding="utf-8")
        difference = gpu_table.difference(target, listed, results, text)
        if difference:
            print(f"{target.name}: {difference}")
            num_bad += 1
    print(f"{target.name}: {len(results)} kernels of {len(listed)} uses, {num_bad} complaints")
    return 1 if num_bad > 0 or not results else 0


if __name__ == "__main__":
    sys.exit(main())
