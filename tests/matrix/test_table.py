#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/test/table.py counts what programs report, and says what did not run.

usage: test_table.py TABLE_PY
"""
import json
import pathlib
import subprocess
import sys
import tempfile

TESTS = [
    ("context", ["p:kernel"]),
    ("page_simt", ["p:kernel-simt"]),
    ("golden_simt", ["p:golden", "p:kernel-simt"]),
    ("random_simt", ["p:random", "p:kernel-simt", "p:small"]),
    ("merge_simt", ["p:property", "p:kernel-simt"]),
    ("verify_simt", ["p:verify", "p:verify-simt"]),
    ("names", ["p:unit"]),
]

PASSED = "[==========] 7 test(s) run.\n[  PASSED  ] 7 test(s).\n"
MIXED = ("[  SKIPPED ] needs_more\n[  PASSED  ] 3 test(s).\n[  SKIPPED ] 1 test(s), listed below:\n"
         "[  SKIPPED ] needs_more\n[  FAILED  ] 2 test(s), listed below:\n[  FAILED  ] a\n[  FAILED  ] b\n")

RESULTS = [
    ("p:kernel / context", "FAIL", MIXED, ""),
    ("p:kernel-simt / page_simt", "OK", "", PASSED),
    ("p:golden+kernel-simt / golden_simt", "TIMEOUT", "[==========] Running 7 test(s).\n", ""),
    ("p:random+kernel-simt+small / random_simt", "SKIP", "noise\n", "skipped: no such device\n"),
    ("p:verify / verify_simt", "OK", "", PASSED),
    ("p:unit / names", "OK", "", PASSED),
]

EXPECTED = """\
implementation  family  kernel  property  random  golden  verify
here            any     3/2/1   -         -       -       -
here            simt    7/0/0   -         0/0/1   0/1/0   7/0/0
there           not installed: lost
(passed/failed/skipped)
here, any: FAILED (fail)
    context
here, any: skipped by the test itself
    context: needs_more
here, simt: FAILED (timeout)
    golden_simt
here, simt: skipped: no such device
    random_simt
here, simt: not run: takes long
    merge_simt
"""


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        tests = [{"name": test, "suite": suites} for test, suites in TESTS]
        (folder / "tests.json").write_text(json.dumps(tests), encoding="utf-8")
        lines = [json.dumps({"name": test, "result": result, "stdout": stdout, "stderr": stderr}) + "\n"
                 for test, result, stdout, stderr in RESULTS]
        (folder / "log.json").write_text("".join(lines), encoding="utf-8")
        command = [sys.executable, sys.argv[1], folder / "tests.json", "--ran", "here", folder / "log.json",
                   "takes long", "--absent", "there", "not installed: lost"]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    if printed != EXPECTED:
        print(f"expected:\n{EXPECTED}\nprinted:\n{printed}", file=sys.stderr)
        return 1
    return 0


sys.exit(main())
