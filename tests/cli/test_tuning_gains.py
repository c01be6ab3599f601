#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/tuning_gains.py measures every decode row on other lengths; the document has the table that it would write.

usage: test_tuning_gains.py SOURCE_ROOT
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(sys.argv.pop(1)).resolve()
SCRIPT = ROOT / "bench" / "tuning_gains.py"

# A cl-bench whose gain grows with the length, and that is restless the first time it sees 700 tokens.
FAKE = """#!/usr/bin/env python3
import json, pathlib, sys
words = [word for word in sys.argv[1:] if word != "--against-default"]
options = dict(zip(words[::2], words[1::2]))
assert "--against-default" in sys.argv and pathlib.Path(options["--tuning-file"]).name == "tuning.json"
log = pathlib.Path(sys.argv[0]).with_name("log")
seen = log.read_text() if log.exists() else ""
log.write_text(seen + options["--context"] + "\\n")
restless = options["--context"] == "700" and "700" not in seen
json.dump({"results": [{"num_q_heads": int(options["--num-q-heads"]), "num_kv_heads": int(options["--num-kv-heads"]),
                        "head_dim": int(options["--head-dim"]), "kv_dtype": options["--dtype"], "median_ms": 1.23456789,
                        "spread": 0.01, "roofline_fraction": 0.5, "gain_spread": 0.5 if restless else 0.01,
                        "gain_over_default": 1 + int(options["--context"]) / 100000}]}, open(options["--json"], "w"))
"""

ROW = {"device": "d", "driver": "v", "op": "paged", "phase": "decode", "kv_dtype": "float16", "head_dim": 64,
       "group_size": 4, "num_kv_heads": 2, "kv_layout": "nhd", "page_size": 16, "gain": 1.25,
       "parameters": {"block_kv": 8, "lanes": 8}}


class Gains(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.bench = self.folder / "cl-bench"
        self.bench.write_text(FAKE, encoding="utf-8")
        self.bench.chmod(0o755)
        tuning = {"schema": 1, "rows": [ROW, {**ROW, "phase": "prefill"}, {**ROW, "op": "dense"}]}
        (self.folder / "tuning.json").write_text(json.dumps(tuning), encoding="utf-8")
        self.results = self.folder / "results.json"
        (self.folder / "docs").mkdir()
        self.document = self.folder / "docs" / "tuning.md"
        self.document.write_text("a\n<!-- table: gains -->\nold\n<!-- end -->\nb\n", encoding="utf-8")

    def run_script(self, *words):
        return subprocess.run([sys.executable, SCRIPT, "--root", self.folder, *map(str, words)], text=True,
                              capture_output=True, check=False)

    def measure(self):
        done = self.run_script("measure", self.bench, self.folder / "tuning.json", self.results, "--commit", "c",
                               "--machine", "m")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_every_decode_row_over_pages_is_measured_and_restless_batches_again(self):
        self.measure()
        record = json.loads(self.results.read_text(encoding="utf-8"))
        self.assertEqual([result["context"] for result in record["results"]], [700, 12000, 2900, 5300, 1700])
        self.assertEqual((self.folder / "log").read_text(encoding="utf-8").split(),
                         ["700", "700", "12000", "2900", "5300", "1700"])
        self.assertEqual(record["results"][0]["median_ms"], 1.23457)

    def test_the_document_is_written_and_checked(self):
        self.measure()
        self.assertIn("other figures", self.run_script("check", self.results).stderr)
        self.assertEqual(self.run_script("write", self.results).returncode, 0)
        self.assertEqual(self.run_script("check", self.results).returncode, 0)
        self.assertIn("| 8/2/64 | float16 | 1.25 | block_kv=8 lanes=8 | 1.01 | 1.12 | 1.03 | 1.05 | 1.02 |",
                      self.document.read_text(encoding="utf-8"))

    def test_the_repository_shows_what_was_measured(self):
        for path in sorted((ROOT / "bench" / "results").glob("tuning-*.json"))[-1:]:
            done = subprocess.run([sys.executable, SCRIPT, "check", path], text=True, capture_output=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
