#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/gpu.md: what each model's kernels take on each target, by its compiler's report.

usage: gpu_table.py OFFLINE_VARIANTS DOCUMENT

Writes the sections of the targets whose compilers are here; others stay as they are. test_offline.py compares a
section with what it found, where it used the compiler that the section names: another version's numbers differ.
"""
import pathlib
import sys

import compilers
import runner
import targets

SHOWN_DTYPE = "float16"
SHOWN_OPERATIONS = ("decode", "prefill")
HEADER = """| kernel | shapes | work-items | registers | spills | local memory | occupancy |
|---|---|---|---|---|---|---|
"""


def is_shown(variant):
    is_model = not variant.shape.startswith("odd")
    return is_model and variant.dtype == SHOWN_DTYPE and variant.operation in SHOWN_OPERATIONS


def rows_of(listed):
    """Variants of the table, with the names of all shapes that share one."""
    rows = {}
    for variant in listed:
        if is_shown(variant):
            rows.setdefault(variant.build(), (variant, []))[1].append(variant.shape)
    return sorted(rows.values(), key=lambda row: SHOWN_OPERATIONS.index(row[0].operation))


def cell(number):
    return "not reported" if number is None else str(number)


def registers_of(report):
    return f"{report.registers}, {report.sub_group_size} wide" if report.sub_group_size else cell(report.registers)


def section_of(target, listed, results):
    """`results`: the report of each variant's build()."""
    version = compilers.COMPILERS[target.compiler].version()
    lines = [f"### {target.name}: {target.title}\n\nCompiler: {version}\n\n{HEADER}"]
    for variant, shapes in rows_of(listed):
        report = results[variant.build()]
        occupancy = target.unit.occupancy(report, variant.work_group_size)
        percent = None if occupancy is None else f"{100 * occupancy:.0f} %"
        lines.append(f"| {variant.operation} | {', '.join(shapes)} | {variant.work_group_size} | {registers_of(report)} "
                     f"| {report.spills} | {report.local_bytes} | {cell(percent)} |\n")
    return "".join(lines)


def sections_in(document):
    """The text before the first section, and each section by its target's name."""
    head, *sections = document.split("\n### ")
    return head, {text.partition(":")[0]: "### " + text.rstrip("\n") + "\n" for text in sections}


def difference(target, listed, results, document):
    """Why the document's section is not what was found, or None; None also if it tells of another compiler."""
    _, sections = sections_in(document)
    found = section_of(target, listed, results)
    written = sections.get(target.name)
    if written is None:
        return "docs/gpu.md has no section on this target"
    if written.splitlines()[2] != found.splitlines()[2] or written == found:
        return None
    return "docs/gpu.md tells something else; meson compile -C BUILD_FOLDER gpu-table writes it anew"


def main():
    program, path = sys.argv[1:]
    document = pathlib.Path(path)
    head, sections = sections_in(document.read_text(encoding="utf-8"))
    for target in targets.TARGETS:
        if target.unit is None or compilers.COMPILERS[target.compiler].missing():
            continue
        listed, results = runner.compile_target(target, program, is_shown)
        failed = [str(result) for result in results.values() if isinstance(result, compilers.CompileFailed)]
        if failed:
            print(f"{target.name}: {failed[0]}", file=sys.stderr)
            return 1
        sections[target.name] = section_of(target, listed, results)
        print(f"{target.name}: {len(results)} kernels")
    in_order = [sections[target.name] for target in targets.TARGETS if target.name in sections]
    document.write_text("\n".join([head.rstrip("\n") + "\n"] + in_order), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
