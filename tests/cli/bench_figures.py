#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The figures of cl-bench's results follow from one another, and from counting what attention computes.

usage: bench_figures.py JSON OPERATIONS [KEY=VALUE]...

JSON holds one result for each of the operations, separated by commas, all with these values, which are JSON.
"""
import json
import math
import sys

SIZES = {"float32": 4, "float16": 2, "bfloat16": 2}
PROBLEM = ("model", "layer", "num_q_heads", "q_lens", "context_lens", "kv_dtype")


def agree(result, key, value):
    assert math.isclose(result[key], value, rel_tol=1e-9), f"{key} is {result[key]}, not {value}"


def check_values(result, wanted_values):
    for wanted in wanted_values:
        key, value = wanted.split("=", 1)
        assert result[key] == json.loads(value), f"{key} is {result[key]}, not {value}"
    for key in ("median_ms", "gflops", "gbytes_per_s", "peak_gflops", "read_gbytes_per_s", "roofline_fraction",
                "paged_read_gbytes_per_s", "paged_fraction", "plan_ms", "plan_update_ms", "ratio_to_first"):
        assert math.isfinite(result[key]) and result[key] > 0, f"{key} is {result[key]}"
    for key in ("spread", "ratio_spread", "paged_read_spread", "workspace_bytes", "extra_bytes", "num_decode_items", "num_prefill_items"):
        assert math.isfinite(result[key]) and result[key] >= 0, f"{key} is {result[key]}"
    for key in ("device", "driver", "platform", "version", "family"):
        assert isinstance(result[key], str) and result[key], f"{key} is {result[key]}"
    assert result["family"] in ("vector", "simt", "plain"), result["family"]
    assert result["num_decode_items"] + result["num_prefill_items"] > 0


def check_operation(result):
    dense = result["op"] in ("ragged_decode_attention", "ragged_attention")
    assert (result["layout"] is None) == (result["page_size"] is None) == dense
    assert result["seq_len"] == (max(result["context_lens"]) if dense else None)
    assert result["out_dtype"] == ("float32" if result["op"] == "ragged_attention" else result["dtype"])


def count(result):
    """Multiply-adds twice, and bytes, pair by pair from the definition."""
    window = result["sliding_window"] or math.inf
    pairs = keys = tokens = 0
    for q_len, context in zip(result["q_lens"], result["context_lens"]):
        seen = [[t for t in range(context) if p - window < t <= p] for p in range(context - q_len, context)]
        pairs += sum(map(len, seen))
        keys += len(set().union(*seen))
        tokens += q_len
    k_width, v_width = result["head_dim"], result["head_dim_v"]
    statistics = 8 if result["op"] == "ragged_attention" else 0
    row = k_width * SIZES[result["dtype"]] + v_width * SIZES[result["out_dtype"]] + statistics
    kv = keys * result["num_kv_heads"] * (k_width + v_width) * SIZES[result["kv_dtype"]]
    return 2 * (k_width + v_width) * result["num_q_heads"] * pairs, tokens * result["num_q_heads"] * row + kv


def check_rates(result):
    flops, num_bytes = count(result)
    seconds = result["median_ms"] / 1e3
    floor = max(flops / result["peak_gflops"], num_bytes / result["read_gbytes_per_s"]) / 1e9
    paged_floor = max(flops / result["peak_gflops"], num_bytes / result["paged_read_gbytes_per_s"]) / 1e9
    agree(result, "flops", flops)
    agree(result, "bytes", num_bytes)
    agree(result, "gflops", flops / seconds / 1e9)
    agree(result, "gbytes_per_s", num_bytes / seconds / 1e9)
    agree(result, "roofline_fraction", floor / seconds)
    agree(result, "floor_ms", floor * 1e3)
    agree(result, "paged_fraction", paged_floor / seconds)


def check_turns(results):
    """The operations of one problem were measured in turns."""
    first = {}
    layout = None
    for result in results:
        layout = result["layout"] or layout  # a dense cache has none
        group = first.setdefault(json.dumps([result[name] for name in PROBLEM] + [layout]), result)
        for name in ("device", "peak_gflops", "read_gbytes_per_s", "runs", "num_layers"):
            assert result[name] == group[name], f"the operations have several {name}"
        if result["runs"] == 1:
            agree(result, "ratio_to_first", result["median_ms"] / group["median_ms"])
    for result in first.values():
        assert result["ratio_to_first"] == 1 and result["ratio_spread"] == 0


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        results = json.load(file)["results"]
    operations = [result["op"] for result in results]
    assert operations == sys.argv[2].split(","), f"the operations are {operations}"
    for result in results:
        check_values(result, sys.argv[3:])
        check_operation(result)
        check_rates(result)
    check_turns(results)


if __name__ == "__main__":
    main()
