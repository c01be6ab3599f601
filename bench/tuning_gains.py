#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what tuned rows gain on lengths that they were not tuned on, and writes the table of docs/tuning.md.

usage: tuning_gains.py measure CL_BENCH TUNING.json RESULTS.json --commit COMMIT --machine TEXT [--prefix COMMAND]
                               [--rounds N]
       tuning_gains.py write RESULTS.json
       tuning_gains.py check RESULTS.json

measure runs cl-bench --against-default for every decode row of a tuning file, over batches that differ from those of
cl-tune in their number of sequences and in their lengths. A batch whose rounds were restless is measured again, twice
at most. write replaces what stands between the marks in the document; check fails if it would change it.
"""
import argparse
import datetime
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile

from performance import ROOT, rewritten, rounded, span, table

DOCUMENT = "docs/tuning.md"
BATCHES = [(3, 700), (5, 12000), (7, 2900), (12, 5300), (24, 1700)]  # sequences, KV tokens of each
RESTLESS = 0.05
KEPT = ["num_q_heads", "num_kv_heads", "head_dim", "kv_dtype", "median_ms", "spread", "roofline_fraction",
        "gain_over_default", "gain_spread"]


def measure_batch(arguments, row, batch, path):
    num_seqs, context = batch
    command = [*shlex.split(arguments.prefix), arguments.cl_bench, "--tuning-file", arguments.tuning,
               "--against-default", "--num-q-heads", str(row["num_kv_heads"] * row["group_size"]), "--num-kv-heads",
               str(row["num_kv_heads"]), "--head-dim", str(row["head_dim"]), "--dtype", row["kv_dtype"], "--layout",
               row["kv_layout"], "--page-size", str(row["page_size"]), "--seqs", str(num_seqs), "--context",
               str(context), "--runs", str(arguments.rounds), "--json", str(path)]
    print(" ".join(command), flush=True)
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return json.loads(path.read_text(encoding="utf-8"))["results"][0]


def measure(arguments):
    rows = [row for row in json.loads(pathlib.Path(arguments.tuning).read_text(encoding="utf-8"))["rows"]
            if row["phase"] == "decode" and row["op"] == "paged"]
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for row in rows:
            for batch in BATCHES:
                for _ in range(3):
                    result = measure_batch(arguments, row, batch, pathlib.Path(folder) / "result.json")
                    if result["gain_spread"] <= RESTLESS:
                        break
                kept = {key: rounded(result[key]) for key in KEPT}
                results.append({**kept, "num_seqs": batch[0], "context": batch[1], "gain_in_search": row["gain"],
                                "parameters": row["parameters"]})
    head = {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"), "commit": arguments.commit,
            "machine": arguments.machine, "device": rows[0]["device"], "driver": rows[0]["driver"]}
    lines = ",\n".join(json.dumps(result, separators=(",", ":")) for result in results)
    pathlib.Path(arguments.results).write_text(json.dumps(head)[:-1] + ', "results": [\n' + lines + "\n]}\n",
                                               encoding="utf-8")
    return None


def gains_table(record):
    rows = {}
    for result in record["results"]:
        heads = f"{result['num_q_heads']}/{result['num_kv_heads']}/{result['head_dim']}"
        tile = " ".join(f"{name}={value}" for name, value in result["parameters"].items())
        row = rows.setdefault((heads, result["kv_dtype"]), [heads, result["kv_dtype"],
                                                            f"{result['gain_in_search']:.2f}", tile])
        row.append(f"{result['gain_over_default']:.2f}" + ("!" if result["gain_spread"] > RESTLESS else ""))
    heads = ["heads", "K and V", "in the search", "tile", *(f"{seqs} x {context}" for seqs, context in BATCHES)]
    return table(heads, rows.values())


def summary_table(record):
    gains = [result["gain_over_default"] for result in record["results"]]
    return table(["what", "measured"],
                 [["machine", record["machine"]], ["device, driver", f"{record['device']}, {record['driver']}"],
                  ["date, commit", f"{record['date']}, {record['commit']}"],
                  ["gain on other lengths", span(gains, ".2f")]])


def visit_document(arguments, keep):
    record = json.loads(pathlib.Path(arguments.results).read_text(encoding="utf-8"))
    path = pathlib.Path(arguments.root) / DOCUMENT
    old = path.read_text(encoding="utf-8")
    new = rewritten(old, record, {"gains": gains_table, "summary": summary_table})
    if keep:
        path.write_text(new, encoding="utf-8")
    return new == old


def write(arguments):
    visit_document(arguments, keep=True)
    return None


def check(arguments):
    if visit_document(arguments, keep=False):
        return None
    return f"{DOCUMENT}: other figures than in {arguments.results}; bench/tuning_gains.py write"


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--root", default=ROOT)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, action, positional in [("measure", measure, ["cl_bench", "tuning", "results"]),
                                     ("write", write, ["results"]), ("check", check, ["results"])]:
        command = commands.add_parser(name)
        command.set_defaults(action=action)
        for argument in positional:
            command.add_argument(argument)
        if name == "measure":
            command.add_argument("--commit", required=True)
            command.add_argument("--machine", required=True)
            command.add_argument("--prefix", default="")
            command.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    sys.exit(arguments.action(arguments))


if __name__ == "__main__":
    main()
