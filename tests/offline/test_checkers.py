#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What test_offline.py must find: planted kernels that spill, use memory for an array, exceed the local memory promised
or do not compile; and a clean one that it must leave alone.

usage: test_checkers.py
"""
import dataclasses
import pathlib
import sys

import compilers
import gpu_table
import runner
import targets
import variants

PLANTED = pathlib.Path(__file__).resolve().parent / "planted"

GPUS = ["tgllp", "sm_80", "gfx90a", "gfx942"]

# Kernel, on which targets, local memory promised, and how the only complaint starts; None = there is none.
CASES = [
    ("clean", ["lint", "spirv"] + GPUS, 0, None),
    ("spill", GPUS, 0, "spills: "),
    ("scratch", GPUS, 0, "scratch memory: "),
    ("local", GPUS, 4096, None),
    ("local", GPUS, 4095, "local memory: 4096 bytes, the row promises 4095"),
    ("broken", ["lint", "spirv"] + GPUS, 0, "does not compile: "),
    ("warning", ["lint"], 0, "does not compile: "),
    ("matrix", ["dg2"], 0, None),
    ("matrix", ["tgllp"], 0, "does not compile: "),
]


def planted(name, local_bytes):
    return variants.Variant("planted", "float32", name, PLANTED / f"{name}.cl", "clattn_planted", local_bytes, 64,
                            ("-cl-std=CL1.2",))


def check(target, name, local_bytes, expected):
    variant = planted(name, local_bytes)
    [result] = runner.compile_all(target, [variant])
    complaints = runner.complaints_about(variant, result)
    as_expected = not complaints if expected is None else len(complaints) == 1 and complaints[0].startswith(expected)
    if not as_expected:
        print(f"{target.name}: {name}: expected {expected!r}, got {complaints}")
    return as_expected


def check_document(target):
    """A table is compared with what was found, unless another compiler found it."""
    variant = dataclasses.replace(planted("clean", 0), shape="llama-3-8b", dtype="float16", operation="decode")
    [result] = runner.compile_all(target, [variant])
    results = {variant.build(): result}
    true = gpu_table.section_of(target, [variant], results)
    stale = true.replace("| 64 |", "| 128 |")
    foreign = stale.replace("Compiler: ", "Compiler: another ")
    cases = [("", True), (true, False), (stale, True), (foreign, False)]
    complains = [gpu_table.difference(target, [variant], results, f"Words.\n\n{text}") is not None for text, _ in cases]
    as_expected = complains == [expected for _, expected in cases]
    if not as_expected:
        print(f"{target.name}: documents absent, true, stale, foreign: complaints {complains}")
    return as_expected


def can_see(target, name):
    """Without ptxas the registers of an NVIDIA GPU stay unknown."""
    return not (name == "spill" and target.compiler == "nvptx" and not compilers.COMPILERS["nvptx"].ptxas)


def main():
    num_checked = 0
    num_failed = 0
    reasons = set()
    for name, target_names, local_bytes, expected in CASES:
        for target in map(targets.target_of, target_names):
            reason = compilers.COMPILERS[target.compiler].missing()
            if reason:
                reasons.add(reason)
            elif can_see(target, name):
                num_checked += 1
                num_failed += not check(target, name, local_bytes, expected)
    for target in map(targets.target_of, GPUS):
        if not compilers.COMPILERS[target.compiler].missing():
            num_checked += 1
            num_failed += not check_document(target)
    print(f"{num_checked} checks, {num_failed} failed")
    for reason in sorted(reasons):
        print(f"skipped: {reason}")
    if num_checked == 0:
        return runner.SKIPPED
    return 1 if num_failed > 0 else 0


if __name__ == "__main__":
    sys.exit(main())
