#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles every kernel that the library would build on a target, and reads what the compiler says of it.

usage: test_offline.py TARGET OFFLINE_VARIANTS

Fails where a kernel does not compile, spills registers, puts arrays of a work-item into memory, or takes more local
memory than its row promises. Status 77: the target's compiler is not here.
"""
import concurrent.futures
import os
import pathlib
import sys
import tempfile

import compilers
import targets
import variants

SKIPPED = 77


def compile_all(target, unique):
    """Report or CompileFailed of each variant, in order."""
    compiler = compilers.COMPILERS[target.compiler]

    def compile_one(variant):
        with tempfile.TemporaryDirectory() as folder:
            try:
                return compiler.compile(target, variant, pathlib.Path(folder))
            except compilers.CompileFailed as failure:
                return failure

    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(pool.map(compile_one, unique))


def complaints_about(variant, result):
    if isinstance(result, compilers.CompileFailed):
        return [f"does not compile: {result}"]
    return list(result.complaints(variant.local_bytes))


def main():
    name, program = sys.argv[1:]
    target = targets.target_of(name)
    reason = compilers.COMPILERS[target.compiler].missing()
    if reason:
        print(f"skipped: {reason}; sh tools/setup.sh --matrix installs it on Debian 12")
        return SKIPPED
    with tempfile.TemporaryDirectory() as folder:
        listed = variants.list_variants(program, folder, target.devices)
        unique = list({variant.build(): variant for variant in reversed(listed)}.values())[::-1]
        results = compile_all(target, unique)
    num_bad = 0
    for variant, result in zip(unique, results):
        for complaint in complaints_about(variant, result):
            print(f"{target.name}: {variant}: {complaint}\n    {' '.join(variant.options)}")
            num_bad += 1
    print(f"{target.name}: {len(unique)} kernels of {len(listed)} uses, {num_bad} complaints")
    return 1 if num_bad > 0 or not unique else 0


if __name__ == "__main__":
    sys.exit(main())
