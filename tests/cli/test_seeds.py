#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/seeds.md agrees with itself, with the public headers and with the tests that it names.

usage: test_seeds.py SOURCE_FOLDER BUILD_FOLDER

Every parameter and result of a signature has one row in its section's table, and no row has another; the field that
the row names exists, or no field has the parameter's name; every row names at least one test, and every test named
exists, is in its file's table and is built. test_seeds_complaints.py shows that it fails where it should.
"""
import json
import pathlib
import re
import sys

DOCUMENT = "docs/seeds.md"
NUM_SOURCES = 5  # kernels that clattn's operations began from
OPERATIONS = "include/clattn/attention.h"
GOLDEN_CASES = "tests/golden/cases.txt"
NO_FIELD = "no field"
WORD = r"[A-Za-z_]\w*"


class Section:
    """What stands below a heading of the second level."""

    def __init__(self, title):
        self.title = title
        self.operation = (re.findall(r"`(clattn_\w+)`", title) or [None])[-1]
        self.code = []  # lines inside ```python
        self.tables = []  # each a list of (line number, cells), the header first

    def parameters(self):
        """Names in the parentheses of every signature, and those of its results."""
        names = []
        for arguments, results in re.findall(r"\w+\(([^()]*)\)(?:\s*->\s*\(?([\w, ]+)\)?)?", "\n".join(self.code)):
            for name in (arguments + "," + results).split(","):
                name = name.split("=")[0].strip()
                if re.fullmatch(WORD, name) and name not in names:
                    names.append(name)
        return names

    def parameter_rows(self):
        return [row for table in self.tables if table[0][1][0] == "parameter" for row in table[2:]]


def cells_of(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def parse(text):
    sections = [Section("")]
    in_code = in_table = False
    for number, line in enumerate(text.splitlines(), 1):
        section = sections[-1]
        if line.startswith("```"):
            in_code = not in_code and line == "```python"
        elif in_code:
            section.code.append(line)
        elif line.startswith("## "):
            sections.append(Section(line[3:]))
        elif line.startswith("|"):
            if not in_table:
                section.tables.append([])
            section.tables[-1].append((number, cells_of(line)))
        in_table = line.startswith("|")
    return sections


def without_comments(source):
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", source, flags=re.DOTALL)


def structs_of(folder):
    """The public structs, each as {field: the name of its type}."""
    structs = {}
    for header in sorted(folder.glob("*.h")):
        source = without_comments(header.read_text(encoding="utf-8"))
        for body, name in re.findall(r"typedef struct \w+ \{([^{}]*)\} (\w+);", source):
            structs[name] = {}
            for declaration in filter(None, map(str.strip, body.split(";"))):
                kind, fields = re.fullmatch(rf"(?:const )?({WORD})\b(.*)", declaration, re.DOTALL).groups()
                structs[name].update({field: kind for field in re.findall(rf"({WORD})(?:\[\w+\])*(?:,|$)", fields)})
    return structs


def has_field(structs, struct, path):
    """Whether `path`, as in tuning->block_kv, leads to a field."""
    for name in re.split(r"->|\.", path):
        struct = structs.get(struct, {}).get(name)
    return struct is not None


class Checker:
    def __init__(self, source, build):
        self.source = source
        self.structs = structs_of(source / "include/clattn")
        commands = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
        self.built = {(build / command["directory"] / command["file"]).resolve() for command in commands}
        self.complaints = []
        self.tests = set()

    def complain(self, where, text):
        self.complaints.append(f"{DOCUMENT}:{where}: {text}")

    def check_test(self, line, reference):
        """Looks at each test once; a complaint names the first line that refers to it."""
        if reference in self.tests:
            return
        self.tests.add(reference)
        path, _, name = reference.rpartition(":")
        file = self.source / path
        if not file.is_file():
            self.complain(line, f"{path} does not exist")
            return
        text = file.read_text(encoding="utf-8")
        if path == GOLDEN_CASES:
            if f"case={name}" not in text.splitlines():
                self.complain(line, f"{path} has no case {name}")
            return
        text = without_comments(text)
        if not re.search(rf"^static void {name}\(void \*\*\w+\)\s*\{{", text, re.MULTILINE):
            self.complain(line, f"{path} does not define {name}")
        if not re.search(rf"\bcmocka_unit_test\w*\(\s*{name}\b", text):
            self.complain(line, f"{path} does not run {name}")
        if file.resolve() not in self.built:
            self.complain(line, f"{path} is not built")

    def check_tests(self, table):
        """Every row's last cell names tests, and nothing else."""
        for line, cells in table[2:]:
            if len(cells) != len(table[0][1]):
                self.complain(line, f"{len(cells)} cells under {len(table[0][1])} headings")
                continue
            references = re.findall(r"`([^`]*)`", cells[-1])
            if not references:
                self.complain(line, "no test")
            elif re.sub(r"`[^`]*`", "", cells[-1]).strip(", "):
                self.complain(line, "something besides tests in the last cell")
            for reference in references:
                self.check_test(line, reference)

    def check_field(self, section, line, parameter, cell):
        struct = section.operation + "_params"
        if cell.startswith(NO_FIELD):
            if parameter in self.structs[struct] or parameter in self.structs["clattn_tuning"]:
                self.complain(line, f"there is a field {parameter}")
            return
        named = re.match(r"`([^`]*)`", cell)
        if not named or not has_field(self.structs, struct, named.group(1)):
            self.complain(line, f"{struct} has no field {named.group(1) if named else cell}")

    def check_parameters(self, section):
        wanted = section.parameters()
        found = []
        for line, cells in section.parameter_rows():
            name = cells[0].strip("`")
            if name in found:
                self.complain(line, f"a second row for {name}")
            elif name not in wanted:
                self.complain(line, f"{name} is not in the signature")
            found.append(name)
            if len(cells) > 1:
                self.check_field(section, line, name, cells[1])
        for name in wanted:
            if name not in found:
                self.complain(section.title, f"no row for {name}")

    def check_section(self, section):
        for table in section.tables:
            if table[0][1][-1] == "test":
                self.check_tests(table)
            elif section.title:  # the tables before the first section name no tests
                self.complain(table[0][0], "the last column is not that of the tests")
        if section.code and section.operation + "_params" not in self.structs:
            self.complain(section.title, f"there is no {section.operation}_params")
        elif section.code or section.parameter_rows():
            self.check_parameters(section)

    def check(self):
        sections = parse((self.source / DOCUMENT).read_text(encoding="utf-8"))
        for section in sections:
            self.check_section(section)
        num_sources = sum(bool(section.parameters()) for section in sections)
        if num_sources != NUM_SOURCES:
            self.complain("", f"{num_sources} sections with signatures, expected {NUM_SOURCES}")
        header = without_comments((self.source / OPERATIONS).read_text(encoding="utf-8"))
        for operation in re.findall(r"CLATTN_API clattn_status (\w+)\(", header):
            if operation not in [section.operation for section in sections]:
                self.complain("", f"no section for {operation}")
        return sections


def main():
    checker = Checker(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
    sections = checker.check()
    for complaint in checker.complaints:
        print(complaint, file=sys.stderr)
    num_rows = sum(len(section.parameter_rows()) for section in sections)
    print(f"{num_rows} parameters and results, {len(checker.tests)} tests named")
    return 1 if checker.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
