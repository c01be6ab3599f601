#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/performance.py measures what is missing, joins it and writes tables; the documents have what it would write.

usage: test_performance.py SOURCE_ROOT
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(sys.argv.pop(1)).resolve()
SCRIPT = ROOT / "bench" / "performance.py"

# A cl-bench that says of every problem what its options name, and that counts its runs. It fails for phi-3-mini once,
# and once its processor is slow for the traces.
FAKE = """#!/usr/bin/env python3
import json, os, pathlib, sys
options = dict(zip(sys.argv[1::2], sys.argv[2::2])) if "--overhead" not in sys.argv else {}
json_path = sys.argv[sys.argv.index("--json") + 1]
count = pathlib.Path(os.environ["COUNT"])
count.write_text(count.read_text() + "run\\n")
flag = pathlib.Path(os.environ["COUNT"] + ".failed")
if options.get("--model") == "phi-3-mini" and not flag.exists():
    flag.touch()
    pathlib.Path(json_path).write_text("half a fi")
    sys.exit(1)
common = {"device": "d", "driver": "v", "num_q_heads": 32, "num_kv_heads": 8, "extra_bytes": 2000,
          "peak_gflops": 400.123456789, "read_gbytes_per_s": 40.0, "spread": 0.01, "idle_share": 0.25, "gflops": 300.0,
          "gbytes_per_s": 20.0, "bound": "compute", "roofline_fraction": 0.75, "median_ms": 12.3456789,
          "paged_read_gbytes_per_s": 36.0, "paged_fraction": 0.875, "q_lens": [512],
          "context_lens": [512]}
results = []
if "--overhead" in sys.argv:
    for name in sys.argv[sys.argv.index("--op") + 1].split(","):
        results.append({"device": "d", "driver": "v", "op": name, "call_us": 9.0, "bare_us": 5.0, "overhead_us": 4.0,
                        "cold_call_ms": 800.0, "warm_call_ms": 90.0, "plan_update_seqs": 64, "plan_update_us": 30.0})
elif "--trace" in sys.argv:
    slow = pathlib.Path(os.environ["COUNT"] + ".slow")
    common["peak_gflops"] *= 1 if slow.exists() else 0.5
    slow.touch()
    results.append({**common, "trace": options["--trace"], "num_requests": 50, "num_steps": 9, "prompt_tokens": 8,
                    "decode_tokens": 7, "tokens_per_s": 1234.5, "host_ms": 3.0, "kv_dtype": "float16"})
else:
    workloads = options.get("--workload", "")
    every = ["prefill-512", "prefill-1024", "prefill-4096", "chunked-prefill", "decode-1x16384", "decode-8x4096",
             "decode-64x1024", "mixed", "ragged"]
    names = every if workloads == "all" else workloads.split(",") if workloads else [None]
    dtypes = options["--kv-dtype"]
    for dtype in ["float32", "float16", "bfloat16"] if dtypes == "all" else [dtypes]:
        for layout in options.get("--layout", "combined").split(","):
            for name in names:
                results.append({**common, "model": options["--model"], "layer": "all", "workload": name,
                                "kv_dtype": dtype, "layout": layout, "parts_ratio": 1.05 if name == "mixed" else None})
json.dump({"results": results}, open(json_path, "w"))
"""


class Campaign(unittest.TestCase):
    """On a fake cl-bench and copies of the documents."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.scratch.name)
        cls.bench = cls.folder / "cl-bench"
        cls.bench.write_text(FAKE, encoding="utf-8")
        cls.bench.chmod(0o755)
        cls.count = cls.folder / "count"
        cls.count.write_text("", encoding="utf-8")
        cls.results = cls.folder / "results.json"
        (cls.folder / "docs").mkdir()
        for name in ["docs/performance.md", "README.md"]:
            (cls.folder / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def script(self, *arguments):
        return subprocess.run([sys.executable, SCRIPT, "--root", self.folder, *map(str, arguments)], check=False,
                              capture_output=True, text=True, env={**os.environ, "COUNT": str(self.count)})

    def num_runs(self):
        return len(self.count.read_text(encoding="utf-8").splitlines())

    def test_1_what_failed_is_named_and_measured_again_and_nothing_else(self):
        folder = self.folder / "sets"
        first = self.script("measure", self.bench, folder, "--trace", "conv.csv")
        self.assertIn("not measured: batches-phi-3-mini-float32\n", first.stderr)
        self.assertEqual(first.returncode, 1)
        self.assertEqual([line for line in first.stdout.splitlines() if "disturbed" in line],
                         ["trace-conv was disturbed"])
        self.assertEqual(first.stdout.count("--trace conv.csv"), 2)
        runs = self.num_runs()
        collected = self.script("collect", folder, self.results, "--commit", "c0ffee", "--machine", "two cores",
                                "--trace", "conv.csv")
        self.assertIn("batches-phi-3-mini-float32.json is missing", collected.stderr)
        second = self.script("measure", self.bench, folder, "--trace", "conv.csv")
        self.assertEqual((second.returncode, self.num_runs()), (0, runs + 1), second.stderr)

    def test_2_collected_results_say_where_they_are_from(self):
        done = self.script("collect", self.folder / "sets", self.results, "--commit", "c0ffee", "--machine",
                           "two cores", "--trace", "conv.csv")
        self.assertEqual(done.returncode, 0, done.stderr)
        record = json.loads(self.results.read_text(encoding="utf-8"))
        self.assertEqual([record[key] for key in ("commit", "machine", "device", "driver")],
                         ["c0ffee", "two cores", "d", "v"])
        self.assertRegex(record["date"], r"^20\d\d-\d\d-\d\d$")
        self.assertEqual(record["results"][0]["median_ms"], 12.3457)
        self.assertEqual(record["results"][-1]["trace"], "conv.csv")

    def test_3_written_documents_are_what_check_wants(self):
        self.assertIn("docs/performance.md", self.script("check", self.results).stderr)
        self.assertEqual(self.script("write", self.results).returncode, 0)
        self.assertEqual(self.script("check", self.results).returncode, 0)
        text = (self.folder / "docs" / "performance.md").read_text(encoding="utf-8")
        self.assertIn("| prefill-512 | llama-3-8b | 12.35 ms, 0.75 | 12.35 ms, 0.75 | 12.35 ms, 0.75 |", text)
        self.assertIn("| conv.csv | 50 | 9 | 8 | 7 | 1234 | 0.75 | 0.25 | 3 ms |", text)
        self.assertIn("c0ffee", text)
        readme = self.folder / "README.md"
        self.assertIn("| float16, hnd | 12.35 ms | 300 GFLOP/s | 0.75 |", readme.read_text(encoding="utf-8"))
        readme.write_text(readme.read_text(encoding="utf-8").replace("12.35 ms", "1.2 ms", 1), encoding="utf-8")
        wrong = self.script("check", self.results)
        self.assertEqual(wrong.returncode, 1)
        self.assertRegex(wrong.stderr, r"other figures than in .*: README.md;")

    def test_4_what_memory_bounds_has_both_fractions_if_both_were_measured(self):
        record = json.loads(self.results.read_text(encoding="utf-8"))
        decodes = [result for result in record["results"] if (result.get("workload") or "").startswith("decode")]
        for result in decodes:
            result["bound"] = "memory"
        memory = self.folder / "memory.json"
        page = self.folder / "docs" / "performance.md"
        memory.write_text(json.dumps(record), encoding="utf-8")
        self.assertEqual(self.script("write", memory).returncode, 0)
        text = page.read_text(encoding="utf-8")
        self.assertIn("| decode-8x4096 | llama-3-8b | 12.35 ms, 0.75 / 0.88 | 12.35 ms, 0.75 / 0.88 |", text)
        self.assertIn("| decode-8x4096 | phi-3-mini | float16 | 12.35 ms, 0.75 / 0.88 |", text)
        self.assertIn("| prefill-1024 | phi-3-mini | float16 | 12.35 ms, 0.75 |", text)
        self.assertIn("| paged read / read bandwidth, decode-8x4096, hnd | 0.90 to 0.90, median 0.90 |", text)
        for result in record["results"]:
            result.pop("paged_fraction", None)
            result.pop("paged_read_gbytes_per_s", None)
        memory.write_text(json.dumps(record), encoding="utf-8")
        self.assertEqual(self.script("write", memory).returncode, 0)
        text = page.read_text(encoding="utf-8")
        self.assertIn("| decode-8x4096 | llama-3-8b | 12.35 ms, 0.75 | 12.35 ms, 0.75 |", text)
        self.assertNotIn("paged read / read bandwidth", text)

    def test_5_a_noisy_time_is_marked_and_a_missing_one_is_no_table(self):
        record = json.loads(self.results.read_text(encoding="utf-8"))
        record["results"][0]["spread"] = 0.2
        noisy = self.folder / "noisy.json"
        noisy.write_text(json.dumps(record), encoding="utf-8")
        self.assertEqual(self.script("write", noisy).returncode, 0)
        self.assertIn("| 12.35! ms, 0.75 |", (self.folder / "docs" / "performance.md").read_text(encoding="utf-8"))
        del record["results"][0]
        noisy.write_text(json.dumps(record), encoding="utf-8")
        self.assertIn("0 results instead of one for llama-3-8b all prefill-512", self.script("write", noisy).stderr)


class Documents(unittest.TestCase):
    def test_they_say_what_was_measured(self):
        results = sorted((ROOT / "bench" / "results").glob("2*.json"))
        self.assertTrue(results)
        done = subprocess.run([sys.executable, SCRIPT, "check", results[-1]], check=False, capture_output=True,
                              text=True)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
