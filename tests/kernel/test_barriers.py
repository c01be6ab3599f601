#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No kernel has a barrier that barriers.py complains of; and barriers.py complains of each kind that there is.

usage: test_barriers.py CL_FOLDER
"""
import pathlib
import re
import sys
import tempfile

import barriers

WAIT = "barrier(CLK_LOCAL_MEM_FENCE); /* RAW tile */"
HELPER = f"static inline void exchange(local int *tile)\n{{\n    {WAIT}\n}}\n"

# A body, and what is said of it; None: nothing.
BODIES = [
    (WAIT, None),
    (f"for (int i = 0; i < n; ++i) {{ {WAIT}\n if (i) tile[i] = 0; }}", None),
    (f"for (int i = 0; i < n; ++i) {{ if (i) continue; tile[i] = 0; }} {WAIT}\n if (n) return; tile[0] = 1;", None),
    (f"for (int i = 0; i < n; ++i) {{ for (int j = 0; j < i; ++j) if (j) break; {WAIT}\n }}", None),
    ("do { exchange(tile); } while (n--);", None),
    ("int a[2] = {1, 2}; a[0] = a[1] ? 3 : 4; exchange(tile);", None),
    (f"if (n) {{ {WAIT}\n }}", "a barrier under `if`"),
    ("if (n) n = 0; else exchange(tile);", "a barrier under `if`"),
    ("if (n)\n for (int i = 0; i < n; ++i)\n exchange(tile);", "a barrier under `if`"),
    ("switch (n) { case 0: exchange(tile); default: n = 1; }", "a barrier under `switch`"),
    ("for (int i = 0; i < n; ++i) { if (i == 3) continue; exchange(tile); }", "`continue` in the loop of line"),
    ("while (n--) { exchange(tile); if (n == 3) break; }", "`break` in the loop of line"),
    ("if (n > 3) return; exchange(tile);", "`return` before a barrier of planted()"),
    ("for (int i = 0; i < n; ++i) { exchange(tile); if (i == 3) return; }\nexchange(tile);", "`return` before"),
    ("again: exchange(tile); goto again;", "`goto`"),
    ("n > 3 ? exchange(tile) : (void)0;", "a barrier in an expression with a condition"),
    ("for (; n && step(exchange(tile)); --n) n = 2;", "a barrier in"),
    ("\n#define WAIT barrier(CLK_LOCAL_MEM_FENCE)\n", "a barrier in a macro"),
    ("barrier(CLK_LOCAL_MEM_FENCE);", "a barrier without its hazard"),
    ("barrier(CLK_LOCAL_MEM_FENCE); /* for safety */", "a barrier without its hazard"),
    (f"// if (n)\n /* if (n) {{ */ {WAIT}", None),
]


def complaints_of(body):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "planted.cl"
        path.write_text(f"{HELPER}kernel void planted(local int *tile, int n)\n{{\n{body}\n}}\n", encoding="utf-8")
        return barriers.check_files([path])


def programs_of(folder):
    """Every file with a kernel, with what stands beside it and in common/ without one."""
    has_kernel = {path: re.search(r"void\s+clattn_\w+\(", path.read_text(encoding="utf-8"))
                  for path in sorted(folder.rglob("*.cl"))}
    shared = [path for path, found in has_kernel.items() if not found]
    for path, found in has_kernel.items():
        if found:
            yield [other for other in shared if other.parent in (folder / "common", path.parent)] + [path]


def main():
    failures = []
    for body, expected in BODIES:
        complaints = complaints_of(body)
        if expected is None and complaints or expected and not any(expected in line for line in complaints):
            failures.append(f"{body}\n    expected {expected}, got {complaints}")
    num_programs = num_barriers = 0
    for paths in programs_of(pathlib.Path(sys.argv[1])):
        num_programs += 1
        num_barriers += sum(path.read_text(encoding="utf-8").count("barrier(") for path in paths)
        failures += barriers.check_files(paths)
    if num_programs < 7 or num_barriers < 14:
        failures.append(f"{num_programs} programs with {num_barriers} barriers: are these the kernels?")
    print("\n".join(failures) or f"{num_programs} programs")
    return 1 if failures else 0


sys.exit(main())
