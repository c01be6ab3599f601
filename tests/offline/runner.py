# SPDX-License-Identifier: Apache-2.0
"""Compiles the kernels of a target, several at once."""
import concurrent.futures
import os
import pathlib
import tempfile

import compilers
import variants

SKIPPED = 77  # exit status


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


def compile_target(target, program, is_wanted):
    """The wanted variants, and the result of each build()."""
    with tempfile.TemporaryDirectory() as folder:
        listed = [variant for variant in variants.list_variants(program, folder, target.devices) if is_wanted(variant)]
        unique = list({variant.build(): variant for variant in listed}.values())
        results = compile_all(target, unique)
    return listed, {variant.build(): result for variant, result in zip(unique, results)}


def complaints_about(variant, result):
    if isinstance(result, compilers.CompileFailed):
        return [f"does not compile: {result}"]
    return list(result.complaints(variant.local_bytes))
