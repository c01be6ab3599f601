#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_seeds.py accepts a right document, and complains of each mistake, once and where it is.

A small tree of a document, a header, two files of tests and golden cases is made, then spoilt in one place at a time.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

SCRIPT = pathlib.Path(__file__).with_name("test_seeds.py")

SECTION = """
## Kernel {number}: `clattn_{name}`

```python
{name}(query, *, scale=None,
    block=256, optimized=False) -> (out, max)
```

| parameter | in clattn | where clattn differs | test |
|---|---|---|---|
| `query` | `query` `[B]` | nothing | `tests/test_a.c:query_{number}_matches`, `tests/golden/cases.txt:case_{number}` |
| `scale` | `softmax_scale` | the name | `tests/test_a.c:query_{number}_matches` |
| `block` | `tuning->block_kv` | the name | `tests/test_a.c:query_{number}_matches` |
| `optimized` | no field | no meaning | `tests/test_a.c:query_{number}_matches` |
| `out` | `out` | nothing | `tests/test_a.c:query_{number}_matches` |
| `max` | `max` | nothing | `tests/test_a.c:query_{number}_matches` |
"""

DOCUMENT = "# Title\n\n| kernel | page |\n|---|---|\n| a | b |\n" + "".join(
    SECTION.format(number=number, name="one" if number < 5 else "two") for number in range(1, 6)) + """
## Other: `clattn_join`

| subject | clattn | test |
|---|---|---|
| rows | none | `tests/test_b.c:rows_match` |
"""

PARAMS = """
typedef struct clattn_{name}_params {{
    clattn_tensor query; /* [B], not optimized; */
    clattn_tensor out, max;
    float softmax_scale;
    const int32_t *starts[2];
    const clattn_tuning *tuning;
}} clattn_{name}_params;
CLATTN_API clattn_status clattn_{name}(const clattn_{name}_params *params);
"""

TEST = """
static void {name}(void **state)
{{
}}
"""

FILES = {
    "docs/seeds.md": DOCUMENT,
    "include/clattn/attention.h": PARAMS.format(name="one") + PARAMS.format(name="two") + """
CLATTN_API clattn_status clattn_join(int number);
""",
    "include/clattn/tuning.h": """
typedef struct clattn_tuning {
    int32_t block_kv; /* keys */
} clattn_tuning;
""",
    "tests/test_a.c": "".join(TEST.format(name=f"query_{number}_matches") for number in range(1, 6)) + """
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(query_1_matches), cmocka_unit_test(query_2_matches),
    cmocka_unit_test_setup_teardown(query_3_matches, setup, teardown), cmocka_unit_test(query_4_matches),
    cmocka_unit_test(
        query_5_matches),
};
""",
    "tests/test_b.c": TEST.format(name="rows_match") + "int tests[] = {cmocka_unit_test(rows_match)};\n",
    "tests/golden/cases.txt": "".join(f"case=case_{number}\noperation=one\n\n" for number in range(1, 6)),
}

ROW = "| `scale` | `softmax_scale` | the name | `tests/test_a.c:query_2_matches` |"

# What is wrong, the file, its text before and after, and the words of the complaint.
MISTAKES = [
    ("row missing", "docs/seeds.md", ROW + "\n", "", "Kernel 2: `clattn_one`: no row for scale"),
    ("row of a result missing", "docs/seeds.md",
     "| `max` | `max` | nothing | `tests/test_a.c:query_2_matches` |\n", "", "no row for max"),
    ("row twice", "docs/seeds.md", ROW, ROW + "\n" + ROW, "a second row for scale"),
    ("row of no parameter", "docs/seeds.md", ROW, ROW + "\n" + ROW.replace("`scale`", "`cap`"),
     "cap is not in the signature"),
    ("parameter without a row", "docs/seeds.md", "two(query, *,", "two(query, key, *,", "no row for key"),
    ("no test", "docs/seeds.md", ROW, ROW.replace("`tests/test_a.c:query_2_matches`", "-"), "no test"),
    ("empty cell of tests", "docs/seeds.md", ROW, ROW.replace("`tests/test_a.c:query_2_matches`", ""), "no test"),
    ("prose among the tests", "docs/seeds.md", ROW, ROW[:-1] + "and others |", "something besides tests"),
    ("cell missing", "docs/seeds.md", ROW, ROW.replace("| the name ", ""), "3 cells under 4 headings"),
    ("tests missing in another table", "docs/seeds.md", "`tests/test_b.c:rows_match`", "", "no test"),
    ("column of tests missing", "docs/seeds.md", "| subject | clattn | test |", "| subject | clattn | proof |",
     "the last column"),
    ("file missing", "docs/seeds.md", "tests/test_b.c:", "tests/test_c.c:", "tests/test_c.c does not exist"),
    ("reference without a function", "docs/seeds.md", "tests/test_b.c:rows_match", "tests/test_b.c",
     " does not exist"),
    ("golden case missing", "tests/golden/cases.txt", "case=case_3", "case=case_33", "has no case case_3"),
    ("function not defined", "tests/test_b.c", "static void rows_match(", "static void no_rows_match(",
     "tests/test_b.c does not define rows_match"),
    ("function only called", "tests/test_b.c", "static void rows_match(void **state)", "rows_match(state);",
     "tests/test_b.c does not define rows_match"),
    ("function not in the table", "tests/test_b.c", "cmocka_unit_test(rows_match)", "",
     "tests/test_b.c does not run rows_match"),
    ("another function in the table", "tests/test_b.c", "cmocka_unit_test(rows_match)",
     "cmocka_unit_test(rows_match_2)", "tests/test_b.c does not run rows_match"),
    ("entry commented out", "tests/test_a.c", "cmocka_unit_test(query_4_matches)",
     "/* cmocka_unit_test(query_4_matches) */", "tests/test_a.c does not run query_4_matches"),
    ("file not built", "compile_commands.json", "test_b.c", "test_c.c", "tests/test_b.c is not built"),
    ("field missing", "docs/seeds.md", ROW, ROW.replace("`softmax_scale`", "`scale`"),
     "clattn_one_params has no field scale"),
    ("field in a comment only", "include/clattn/tuning.h", "int32_t block_kv;", "int32_t block_q; /* block_kv */",
     "clattn_one_params has no field tuning->block_kv"),
    ("field named by words", "docs/seeds.md", ROW, ROW.replace("`softmax_scale`", "the scale"),
     "has no field the scale"),
    ("field after all", "include/clattn/tuning.h", "int32_t block_kv;", "int32_t block_kv, optimized;",
     "there is a field optimized"),
    ("operation unknown", "docs/seeds.md", "5: `clattn_two`", "5: `clattn_three`", "there is no clattn_three_params"),
    ("operation not covered", "include/clattn/attention.h", "clattn_join(int number);",
     "clattn_join(int number);\nCLATTN_API clattn_status clattn_split(int number);", "no section for clattn_split"),
    ("section gone", "docs/seeds.md", SECTION.format(number=4, name="one"), "", "4 sections with signatures"),
]
# One mistake may show in every section that it concerns, or in two ways.
SEVERAL = ("field in a comment only", "field after all", "operation unknown")


def write(folder, mistake):
    build = folder / "build"
    commands = [{"directory": str(build), "file": f"../tests/{name}.c"} for name in ("test_a", "test_b")]
    files = FILES | {"compile_commands.json": json.dumps(commands)}
    if mistake:
        name, path, before, after, _ = mistake
        if files[path].count(before) != 1:
            sys.exit(f"{name}: {files[path].count(before)} places to change in {path}, expected one")
        files[path] = files[path].replace(before, after)
    for path, text in files.items():
        file = folder / ("build" if path == "compile_commands.json" else "") / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return build


def run(mistake):
    with tempfile.TemporaryDirectory() as folder:
        build = write(pathlib.Path(folder), mistake)
        return subprocess.run([sys.executable, SCRIPT, folder, build], capture_output=True, text=True, check=False)


def main():
    right = run(None)
    failures = [f"right document: {right.stdout}{right.stderr}"] if right.returncode or right.stderr else []
    for mistake in MISTAKES:
        name, *_, words = mistake
        result = run(mistake)
        complaints = result.stderr.splitlines()
        if result.returncode != 1 or not complaints or words not in complaints[0]:
            failures.append(f"{name}: expected 1 and \"{words}\", got {result.returncode} and \"{result.stderr}\"")
        elif len(complaints) > 1 and name not in SEVERAL:
            failures.append(f"{name}: expected one complaint, got {complaints}")
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"{len(MISTAKES)} mistakes")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
