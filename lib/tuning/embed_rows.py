#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns a tuning file into a C file that defines its rows as clattn_builtin_rows.

usage: embed_rows.py INPUT OUTPUT

What a row may say is checked by the library's own reader, in a test; a file whose rows are not one to a line is refused
here.
"""
import json
import sys


def c_string(text):
    plain = "".join(chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}"
                    for byte in text.encode())
    return f'"{plain}"'


def c_row(row):
    parameters = ", ".join(f"{{{c_string(name)}, {value}}}" for name, value in row["parameters"].items())
    fields = [f".{name} = {c_string(row[name])}" for name in ("device", "vendor", "driver", "architecture", "version")]
    fields += [f".{name} = {row[name]}" for name in ("head_dim", "head_dim_v", "group_size", "num_kv_heads",
                                                     "page_size")]
    fields += [f".{name} = {row.get(name, 0)}" for name in ("time_us", "default_time_us", "gain", "noise")]
    fields += [f".date = {c_string(row.get('date', ''))}",
               f".dense = {'true' if row['op'] == 'dense' else 'false'}",
               f".type = CLATTN_DEVICE_{row['type'].upper()}",
               f".phase = CLATTN_PHASE_{row['phase'].upper()}",
               f".family = CLATTN_FAMILY_{row['family'].upper()}",
               f".kv_dtype = CLATTN_{row['kv_dtype'].upper()}",
               f".kv_layout = CLATTN_KV_{row['kv_layout'].upper()}",
               f".batch = CLATTN_BATCH_{row['batch'].upper()}",
               f".num_parameters = {len(row['parameters'])}"]
    if parameters:
        fields.append(f".parameters = (const clattn_tuning_parameter[]){{{parameters}}}")
    return "    {" + ", ".join(fields) + "},\n"


def rows_of_lines(lines):
    try:
        return [json.loads(line.rstrip(",")) for line in lines]
    except json.JSONDecodeError:
        return None


def read_rows(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    document = json.loads(text)
    if document["schema"] != 1 or rows_of_lines(text.splitlines()[1:-1]) != document["rows"]:
        sys.exit(f"{path}: expected schema 1, and one row to a line between the first line and the last one")
    return document["rows"]


def main():
    source, output = sys.argv[1:]
    rows = read_rows(source)
    with open(output, "w", encoding="ascii") as file:
        file.write("/* Generated from a tuning file. */\n#include \"tuning/builtin.h\"\n\n")
        file.write("const clattn_tuning_row clattn_builtin_rows[] = {\n")
        file.writelines(c_row(row) for row in rows)
        file.write("    {.device = \"\"}, /* behind the last one: no array is empty */\n};\n\n")
        file.write(f"const int32_t clattn_num_builtin_rows = {len(rows)};\n")


if __name__ == "__main__":
    main()
