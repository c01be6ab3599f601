#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints what the tests of kernels found on each OpenCL implementation, from the logs of meson test.

A row is an implementation and a family of kernels, a column is a kind of test, a cell is passed/failed/skipped: test
functions and random cases where a program reports them, else programs. What was skipped or did not run is listed
below with the reason.

usage: table.py TESTS_JSON [--ran NAME LOG REASON]... [--absent NAME REASON]...

TESTS_JSON is intro-tests.json of a build folder. REASON of --ran says why a test is not in the log.
"""
import argparse
import collections
import json
import re

KINDS = ["kernel", "property", "random", "golden", "verify"]
FAMILY_PREFIX = re.compile("(kernel|verify)-")
NO_FAMILY = "any"


class Counts:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, passed, failed, skipped):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def __str__(self):
        return f"{self.passed}/{self.failed}/{self.skipped}"


def place_of(suites):
    """Family and kind of a test that uses a device, None of others."""
    labels = [suite.split(":")[-1] for suite in suites]
    families = [FAMILY_PREFIX.sub("", label) for label in labels if FAMILY_PREFIX.match(label)]
    kinds = [label for label in labels if label in KINDS]
    if not families and "kernel" not in labels:
        return None
    return (families or [NO_FAMILY])[0], (kinds or ["kernel"])[0]


def count_cases(result):
    """passed, failed, skipped of one program; what cmocka prints, or the program as a whole."""
    if result["result"] == "SKIP":
        return 0, 0, 1
    printed = result.get("stdout", "") + result.get("stderr", "")
    passed, failed, skipped = (sum(int(number) for number in re.findall(pattern, printed)) for pattern in (
        r"\[  PASSED  \] (\d+) test", r"\[  FAILED  \] (\d+) test", r"\[  SKIPPED \] (\d+) test"))
    if result["result"] not in ("OK", "EXPECTEDFAIL"):
        return passed, max(failed, 1), skipped
    return (passed, 0, skipped) if passed + skipped else (1, 0, 0)


def last_line(result):
    lines = (result.get("stdout", "") + "\n" + result.get("stderr", "")).strip().splitlines()
    return lines[-1].removeprefix("skipped: ") if lines else "no reason given"


class Table:
    def __init__(self, tests):
        self.places = {test["name"]: place_of(test["suite"]) for test in tests}
        self.places = {name: place for name, place in self.places.items() if place}
        self.rows = []
        self.notes = collections.defaultdict(list)  # (implementation, family, what) -> tests

    def add_run(self, implementation, log, reason):
        cells = collections.defaultdict(Counts)
        missing = dict(self.places)
        with open(log, encoding="utf-8") as lines:
            for result in map(json.loads, lines):
                name = result["name"].split(" / ")[-1]
                if name not in self.places:
                    continue
                missing.pop(name, None)
                family = self.places[name][0]
                cells[self.places[name]].add(*count_cases(result))
                self.note_result(implementation, family, name, result)
        for name, (family, _) in missing.items():
            self.notes[implementation, family, "not run: " + reason].append(name)
        for family in sorted({family for family, _ in self.places.values()}, key=lambda f: (f != NO_FAMILY, f)):
            self.rows.append([implementation, family] + [str(cells.get((family, kind), "-")) for kind in KINDS])

    def note_result(self, implementation, family, name, result):
        if result["result"] == "SKIP":
            self.notes[implementation, family, "skipped: " + last_line(result)].append(name)
        elif result["result"] not in ("OK", "EXPECTEDFAIL"):
            self.notes[implementation, family, "FAILED (" + result["result"].lower() + ")"].append(name)
        # Each is named twice: where it stands, and at the end.
        for case in dict.fromkeys(re.findall(r"\[  SKIPPED \] ([a-z]\w*)$", result.get("stdout", ""), re.MULTILINE)):
            self.notes[implementation, family, "skipped by the test itself"].append(f"{name}: {case}")

    def add_absent(self, implementation, reason):
        self.rows.append([implementation, reason])

    def print(self):
        heads = ["implementation", "family"] + KINDS
        full = [heads] + [row for row in self.rows if len(row) == len(heads)]
        widths = [max(len(row[column]) for row in full) for column in range(len(heads))]
        for row in [heads] + self.rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
        print("(passed/failed/skipped)")
        for (implementation, family, what), names in self.notes.items():
            print(f"{implementation}, {family}: {what}\n    {', '.join(names)}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tests")
    parser.add_argument("--ran", nargs=3, action="append", default=[])
    parser.add_argument("--absent", nargs=2, action="append", default=[])
    arguments = parser.parse_args()
    with open(arguments.tests, encoding="utf-8") as file:
        table = Table(json.load(file))
    for implementation, log, reason in arguments.ran:
        table.add_run(implementation, log, reason)
    for implementation, reason in arguments.absent:
        table.add_absent(implementation, reason)
    table.print()


if __name__ == "__main__":
    main()
