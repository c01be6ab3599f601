#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what docs/performance.md shows, and writes its tables and the README's.

usage: performance.py measure CL_BENCH FOLDER [--rounds N] [--prefix COMMAND] [--only WORD] [--patience N]
                              [--trace CSV]...
       performance.py collect FOLDER RESULTS.json --commit COMMIT --machine TEXT
       performance.py write RESULTS.json
       performance.py check RESULTS.json

measure runs cl-bench once for each set of problems and leaves a file for each in FOLDER; sets that have one are not
measured again, so that it may be stopped and run again. --prefix is a command that each run is given to. A set is
measured again, at most N times, if the processor's own rate of multiply-adds fell far below what it was before: then
something else was running. collect
joins the files, with six digits of every figure; what it writes can be given to cl-bench --compare. write replaces what
stands between the marks in the documents; check fails if it would change them.
"""
import argparse
import datetime
import json
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENTS = ["docs/performance.md", "README.md"]
MODELS = ["llama-3-8b", "llama-3-70b-tp8", "mistral-7b", "gemma-2-9b", "gpt-oss-20b", "qwen2.5-0.5b", "phi-3-mini"]
DTYPES = ["float32", "float16", "bfloat16"]
LAYOUTS = ["combined", "nhd", "hnd", "heads_first"]
PREFILLS = ["prefill-512", "prefill-1024", "prefill-4096", "chunked-prefill"]
DECODES = ["decode-1x16384", "decode-8x4096", "decode-64x1024"]
MIXTURES = ["mixed", "ragged"]
LAYOUT_MODELS = ["llama-3-8b", "llama-3-70b-tp8", "phi-3-mini"]
OPERATIONS = ["ragged_page_attention", "page_attention", "ragged_decode_attention", "ragged_attention"]
WINDOW = 4096
NOISY = 0.1
UNDISTURBED = 0.9  # of the median FMA peak of the sets before


# What to measure.


def sets_of(traces):
    """Name and options of each run."""
    for model in MODELS:
        for dtype in DTYPES:
            yield f"batches-{model}-{dtype}", ["--model", model, "--workload", "all", "--kv-dtype", dtype]
    for model in LAYOUT_MODELS:
        yield f"layouts-{model}", ["--model", model, "--workload", "prefill-1024,decode-8x4096", "--kv-dtype", "all",
                                   "--layout", ",".join(LAYOUTS[1:])]
    yield "window", ["--model", "mistral-7b", "--context", str(WINDOW), "--kv-dtype", "all"]
    yield "overhead", ["--overhead", "--op", ",".join(OPERATIONS)]
    for trace in traces:
        yield f"trace-{pathlib.Path(trace).stem}", ["--trace", trace, "--limit", "50", "--kv-dtype", "float16"]


def peaks_in(path):
    return [result["peak_gflops"] for result in json.loads(path.read_text(encoding="utf-8"))["results"]
            if "peak_gflops" in result]


def is_disturbed(path, folder):
    peaks = sorted(peak for other in folder.glob("*.json") for peak in peaks_in(other))
    return any(peak < UNDISTURBED * peaks[len(peaks) // 2] for peak in peaks_in(path))


def measure_set(command, path, arguments):
    """Whether the set was measured; the last of several tries counts."""
    for _ in range(arguments.patience + 1):
        print(" ".join(command), flush=True)
        if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode != 0:
            path.unlink(missing_ok=True)
            return False
        if not is_disturbed(path, path.parent):
            break
        print(f"{path.stem} was disturbed", flush=True)
    return True


def measure(arguments):
    folder = pathlib.Path(arguments.folder)
    folder.mkdir(parents=True, exist_ok=True)
    failures = []
    for name, options in sets_of(arguments.trace):
        path = folder / f"{name}.json"
        if path.exists() or arguments.only not in name:
            continue
        # The rounds of an overhead are calls, those of a trace are replays: cl-bench knows how many it takes.
        rounds = [] if "--overhead" in options or "--trace" in options else ["--runs", str(arguments.rounds)]
        command = [*shlex.split(arguments.prefix), arguments.cl_bench, "--dtype", "float32", *options, *rounds,
                   "--json", str(path)]
        if not measure_set(command, path, arguments):
            failures.append(name)
    return f"not measured: {', '.join(failures)}" if failures else None


# What came out.


def rounded(value):
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return value


def collect(arguments):
    results = []
    for name, _ in sets_of(arguments.trace):
        path = pathlib.Path(arguments.folder) / f"{name}.json"
        if not path.exists():
            return f"{path} is missing"
        for result in json.loads(path.read_text(encoding="utf-8"))["results"]:
            result["set"] = name
            if "trace" in result:
                result["trace"] = pathlib.Path(result["trace"]).name
            results.append({key: rounded(value) for key, value in result.items()})
    head = {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"), "commit": arguments.commit,
            "machine": arguments.machine, "device": results[0]["device"], "driver": results[0]["driver"]}
    lines = ",\n".join(json.dumps(result, separators=(",", ":")) for result in results)
    text = json.dumps(head)[:-1] + ', "results": [\n' + lines + "\n]}\n"
    pathlib.Path(arguments.results).write_text(text, encoding="utf-8")
    return None


class Results:
    def __init__(self, record):
        self.head = record
        self.all = record["results"]

    def of(self, **wanted):
        return [result for result in self.all if all(result.get(key) == value for key, value in wanted.items())]

    def one(self, **wanted):
        found = self.of(**wanted)
        if len(found) != 1:
            raise ValueError(f"{len(found)} results instead of one for {wanted}")
        return found[0]

    def batch(self, model, layer, workload, dtype, layout="combined"):
        family = "batches" if layout == "combined" else "layouts"
        found = [result for result in self.of(model=model, layer=layer, workload=workload, kv_dtype=dtype,
                                              layout=layout) if result["set"].startswith(family)]
        if len(found) != 1:
            raise ValueError(f"{len(found)} results instead of one for {model} {layer} {workload} {dtype} {layout}")
        return found[0]


# Tables.


def milliseconds(result):
    value = result["median_ms"]
    digits = 1 if value >= 100 else 2 if value >= 10 else 3
    return f"{value:.{digits}f}" + ("!" if result["spread"] > NOISY else "")


def cell(result):
    return f"{milliseconds(result)} ms, {result['roofline_fraction']:.2f}"


def fractions(result):
    """Both, if reading alone was measured and its rate is what bounds the call."""
    paged = result.get("paged_fraction")
    both = "" if paged is None or result["bound"] == "compute" else f" / {paged:.2f}"
    return f"{result['roofline_fraction']:.2f}{both}"


def paged_cell(result):
    return f"{milliseconds(result)} ms, {fractions(result)}"


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def layers_of(results, model):
    return list(dict.fromkeys(result["layer"] for result in results.of(model=model) if "trace" not in result))


def model_name(model, layer):
    return model if layer == "all" else f"{model}, {layer}"


def batches_table(results, workloads, heads, row_of):
    rows = []
    for workload in workloads:
        for model in MODELS:
            for layer in layers_of(results, model):
                found = [results.batch(model, layer, workload, dtype) for dtype in DTYPES]
                rows.append([workload, model_name(model, layer), *row_of(found)])
    return table(["workload", "model", *heads], rows)


def prefill_table(results):
    return batches_table(results, PREFILLS, [f"K and V {dtype}" for dtype in DTYPES],
                         lambda found: [cell(result) for result in found])


def decode_table(results):
    def row_of(found):
        return [*map(paged_cell, found), str(found[0]["num_q_heads"] // found[0]["num_kv_heads"])]
    return batches_table(results, DECODES, [f"K and V {dtype}" for dtype in DTYPES] + ["group"], row_of)


def mixture_table(results):
    def row_of(found):
        parts = ", ".join("-" if result["parts_ratio"] is None else f"{result['parts_ratio']:.2f}" for result in found)
        idle = ", ".join(f"{result['idle_share']:.2f}" for result in found)
        return [*map(cell, found), idle, "-" if parts.startswith("-") else parts]
    return batches_table(results, MIXTURES, [f"K and V {dtype}" for dtype in DTYPES] + ["idle", "parts"], row_of)


def layout_table(results):
    rows = []
    for workload in ["prefill-1024", "decode-8x4096"]:
        for model in LAYOUT_MODELS:
            for dtype in DTYPES:
                cells = [paged_cell(results.batch(model, "all", workload, dtype, layout)) for layout in LAYOUTS]
                rows.append([workload, model, dtype, *cells])
    return table(["workload", "model", "K and V", *LAYOUTS], rows)


def window_table(results):
    rows = []
    for dtype in DTYPES:
        long = results.batch("mistral-7b", "all", "decode-1x16384", dtype)
        short = results.one(set="window", kv_dtype=dtype)
        ratio = long["median_ms"] / short["median_ms"]
        rows.append([dtype, f"{milliseconds(long)} ms", f"{milliseconds(short)} ms", f"{ratio:.2f}"])
    return table(["K and V", "context 16384, window 4096", "context 4096", "ratio"], rows)


def memory_table(results):
    rows = []
    for workload in PREFILLS + DECODES + MIXTURES:
        most = max(results.of(workload=workload, layout="combined"), key=lambda result: result["extra_bytes"])
        scores = 4 * most["num_q_heads"] * sum(q * c for q, c in zip(most["q_lens"], most["context_lens"]))
        rows.append([workload, model_name(most["model"], most["layer"]), f"{most['extra_bytes'] / 1e6:.3f} MB",
                     f"{scores / 1e6:.1f} MB"])
    return table(["workload", "model that takes most", "takes", "a float32 matrix of its scores would take"], rows)


def overhead_table(results):
    rows = []
    for operation in OPERATIONS:
        found = results.one(set="overhead", op=operation)
        rows.append([f"`{operation}`", f"{found['call_us']:.1f} us", f"{found['bare_us']:.1f} us",
                     f"{found['overhead_us']:.1f} us", f"{found['cold_call_ms']:.0f} ms",
                     f"{found['warm_call_ms']:.0f} ms"])
    update = results.of(set="overhead")[0]
    return (table(["operation", "call", "bare enqueue", "overhead", "first call, cold", "first call, warm"], rows) +
            f"\n\nUpdating a plan of {update['plan_update_seqs']} sequences takes {update['plan_update_us']:.1f} us.")


def trace_table(results):
    rows = []
    for found in [result for result in results.all if "trace" in result]:
        rows.append([found["trace"], str(found["num_requests"]), str(found["num_steps"]),
                     str(found["prompt_tokens"]), str(found["decode_tokens"]), f"{found['tokens_per_s']:.0f}",
                     f"{found['roofline_fraction']:.2f}", f"{found['idle_share']:.2f}", f"{found['host_ms']:.0f} ms"])
    return table(["trace", "requests", "steps", "prompt tokens", "decode tokens", "tokens per second", "fraction",
                  "idle", "host"], rows)


def span(values, form):
    ordered = sorted(values)
    return f"{ordered[0]:{form}} to {ordered[-1]:{form}}, median {ordered[len(ordered) // 2]:{form}}"


def paged_rows(results):
    """What reading pages comes to beside reading a line, as far as that was measured."""
    ratios = {layout: [result["paged_read_gbytes_per_s"] / result["read_gbytes_per_s"]
                       for result in results.of(workload="decode-8x4096", layout=layout)
                       if result.get("paged_read_gbytes_per_s")] for layout in LAYOUTS}
    return [[f"paged read / read bandwidth, decode-8x4096, {layout}", span(found, ".2f")]
            for layout, found in ratios.items() if found]


def facts_table(results):
    timed = [result for result in results.all if "peak_gflops" in result]
    noisy = sum(result["spread"] > NOISY for result in timed)
    rows = [["machine", results.head["machine"]], ["device, driver", f"{results.head['device']}, "
                                                   f"{results.head['driver']}"],
            ["date, commit", f"{results.head['date']}, {results.head['commit']}"],
            ["FMA peak, GFLOP/s", span([result["peak_gflops"] for result in timed], ".0f")],
            ["read bandwidth, GB/s", span([result["read_gbytes_per_s"] for result in timed], ".1f")],
            *paged_rows(results),
            ["results", f"{len(timed)}, of which {noisy} with a spread over 10 %"]]
    return table(["what", "measured"], rows)


def readme_table(results):
    shown = [("prefill of 1024 tokens", "prefill-1024", "float32", "combined"),
             ("prefill of 4096 tokens", "prefill-4096", "float32", "combined"),
             ("prefill of 1024 tokens", "prefill-1024", "float16", "combined"),
             ("decode, 8 sequences of 4096", "decode-8x4096", "float32", "combined"),
             ("decode, 8 sequences of 4096", "decode-8x4096", "float16", "combined"),
             ("decode, 8 sequences of 4096", "decode-8x4096", "bfloat16", "combined"),
             ("decode, 8 sequences of 4096", "decode-8x4096", "float16", "hnd")]
    rows = []
    for work, workload, dtype, layout in shown:
        found = results.batch("llama-3-8b", "all", workload, dtype, layout)
        rate = f"{found['gflops']:.0f} GFLOP/s" if found["bound"] == "compute" else f"{found['gbytes_per_s']:.0f} GB/s"
        rows.append([work, f"{dtype}, {layout}", f"{milliseconds(found)} ms", rate, fractions(found)])
    return table(["work", "K and V", "time", "rate", "fraction of the bound"], rows)


TABLES = {"facts": facts_table, "prefill": prefill_table, "decode": decode_table, "mixtures": mixture_table,
          "layouts": layout_table, "window": window_table, "memory": memory_table, "overhead": overhead_table,
          "traces": trace_table, "readme": readme_table}


# Documents.


def rewritten(text, results, tables):
    """The document with every table between its marks as the results have it."""
    def replace(match):
        return f"<!-- table: {match[1]} -->\n\n{tables[match[1]](results)}\n\n<!-- end -->"
    return re.sub(r"<!-- table: (\w+) -->\n.*?<!-- end -->", replace, text, flags=re.DOTALL)


def visit_documents(arguments, keep):
    results = Results(json.loads(pathlib.Path(arguments.results).read_text(encoding="utf-8")))
    wrong = []
    for name in DOCUMENTS:
        path = pathlib.Path(arguments.root) / name
        old = path.read_text(encoding="utf-8")
        new = rewritten(old, results, TABLES)
        if new != old:
            wrong.append(name)
        if new != old and keep:
            path.write_text(new, encoding="utf-8")
    return wrong


def write(arguments):
    visit_documents(arguments, keep=True)
    return None


def check(arguments):
    wrong = visit_documents(arguments, keep=False)
    return f"other figures than in {arguments.results}: {', '.join(wrong)}; bench/performance.py write" if wrong else None


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--root", default=ROOT)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, action, positional in [("measure", measure, ["cl_bench", "folder"]),
                                     ("collect", collect, ["folder", "results"]),
                                     ("write", write, ["results"]), ("check", check, ["results"])]:
        command = commands.add_parser(name)
        command.set_defaults(action=action)
        for argument in positional:
            command.add_argument(argument)
        if name in ("measure", "collect"):
            command.add_argument("--trace", action="append", default=[])
        if name == "measure":
            command.add_argument("--rounds", type=int, default=11)
            command.add_argument("--prefix", default="")
            command.add_argument("--only", default="")
            command.add_argument("--patience", type=int, default=1)
        if name == "collect":
            command.add_argument("--commit", required=True)
            command.add_argument("--machine", required=True)
    arguments = parser.parse_args()
    sys.exit(arguments.action(arguments))


if __name__ == "__main__":
    main()
