#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs ejkernel's XLA functions on small inputs and stores inputs and outputs as golden cases.

usage: generate.py

Writes cases.txt and data/CASE/TENSOR.npy next to itself. It wants exactly the packages of requirements.txt:

    python3 -m venv ENVIRONMENT                  (Python 3.11 to 3.13, outside the repository)
    ENVIRONMENT/bin/pip install -r requirements.txt
    ENVIRONMENT/bin/python generate.py

Every output is held against an independent float64 evaluation of what the operation is defined to compute, so that no
bug of the oracle gets into the data; and every option of a case has to change the result. If either fails, or the
oracle cannot run a case, the program stops with the case's name and writes nothing.
"""
import dataclasses
import importlib.metadata
import math
import os
import pathlib
import shutil
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent

# What every element of a key or value holds that no query sees. The oracle multiplies masked values by a weight of
# zero, so they cannot be NaN here; a test puts NaN in their place. No random input ever has this value.
UNUSED = 12345.0

AGREEMENT = 2e-5  # largest difference between the oracle and float64
MATTERS = 1e-2  # least change of the output that an option has to make

UNLIMITED = 2**30  # the oracle's windows have no -1 for "no limit"


def check_versions():
    """Ends the program unless the installed packages are the pinned ones."""
    wrong = []
    for line in (FOLDER / "requirements.txt").read_text(encoding="ascii").splitlines():
        if line.startswith("#"):
            continue
        name, pinned = line.split("==")
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = "none"
        if found != pinned:
            wrong.append(f"{name} {pinned} is needed, found {found}")
    if wrong:
        sys.exit("generate.py: not the pinned packages:\n  " + "\n  ".join(wrong))


check_versions()
os.environ["JAX_PLATFORMS"] = "cpu"
HOME = tempfile.TemporaryDirectory()  # ejkernel leaves compiled functions in the home directory
os.environ["HOME"] = HOME.name

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from ejkernel.kernels._xla.page_attention import page_attention  # noqa: E402
from ejkernel.kernels._xla.ragged_decode_attention import ragged_decode_attention  # noqa: E402
from ejkernel.kernels._xla.ragged_page_attention_v2 import ragged_page_attention_v2  # noqa: E402
from ejkernel.kernels._xla.ragged_page_attention_v3 import ragged_page_attention_v3  # noqa: E402
from ejkernel.ops import FwdParams  # noqa: E402


@dataclasses.dataclass(frozen=True)
class Case:
    """One call. Options have clattn's meaning; the functions run_* say what they are for the oracle."""

    name: str
    operation: str
    heads: tuple  # query heads, kv heads
    head_dim: int
    kv_layout: str = "combined"  # combined, hnd, heads_first, dense
    # paged operations
    sequences: tuple = ()  # (q_len, context_len) of each
    page_size: int = 0
    pages_per_seq: int = 0  # 0: one more than the longest sequence needs
    shared_pages: int = 0  # leading pages that all sequences have in common
    padding_seqs: int = 0  # entries of the batch's arrays behind num_seqs
    padding_rows: int = 0  # query rows that no sequence owns
    append: bool = False  # the oracle writes this step's keys and values into the pages itself
    # dense operation
    ranges: tuple = ()  # (start, end) of each row of the batch
    seq_len: int = 0
    # options
    softmax_scale: float = 0.0  # 0: 1/sqrt(head_dim)
    logits_soft_cap: float = 0.0  # 0: off
    sliding_window: int = 0  # keys that a query sees; 0: off
    window: tuple = (-1, -1)  # inclusive distances to the left and right; -1: unlimited
    sinks: tuple = ()  # shape of softmax_aux; (): none
    query_size: float = 1.0  # standard deviation of the queries


CASES = [
    Case("ragged_page_mixed", "ragged_page_attention", (4, 4), 16, page_size=8,
         sequences=((5, 5), (0, 9), (1, 17), (0, 0), (19, 31), (1, 1), (1, 16))),
    Case("ragged_page_gqa2_soft_cap", "ragged_page_attention", (4, 2), 32, page_size=16,
         sequences=((1, 33), (12, 12), (3, 50)), logits_soft_cap=3.0, query_size=4.0),
    Case("ragged_page_gqa4_window", "ragged_page_attention", (4, 1), 48, page_size=32,
         sequences=((1, 38), (9, 35), (0, 5), (2, 8)), sliding_window=13),
    Case("ragged_page_gqa8_sinks", "ragged_page_attention", (8, 1), 80, page_size=16,
         sequences=((1, 33), (9, 17), (1, 3)), sinks=(8,)),
    Case("ragged_page_every_option", "ragged_page_attention", (6, 3), 24, page_size=8,
         sequences=((1, 30), (11, 27), (1, 8), (2, 2)), softmax_scale=0.4, logits_soft_cap=4.0, sliding_window=7,
         sinks=(6,), query_size=2.0),
    Case("ragged_page_head_dim_128", "ragged_page_attention", (2, 1), 128, page_size=16,
         sequences=((1, 31), (6, 20)), softmax_scale=0.05, query_size=2.0),
    Case("ragged_page_window_1", "ragged_page_attention", (3, 1), 96, page_size=5,
         sequences=((1, 11), (4, 4)), sliding_window=1),
    Case("ragged_page_page_size_1", "ragged_page_attention", (2, 2), 16, page_size=1, pages_per_seq=64,
         sequences=((1, 63), (3, 20)), sliding_window=21),
    Case("ragged_page_padded_batch", "ragged_page_attention", (4, 1), 32, page_size=8, padding_seqs=2,
         padding_rows=3, sequences=((2, 12), (1, 23), (10, 10))),
    # 128 pages of 8 tokens are two of the oracle's blocks of 64 pages.
    Case("ragged_page_shared_prefix", "ragged_page_attention", (2, 1), 16, page_size=8, pages_per_seq=128,
         shared_pages=60, sequences=((1, 700), (3, 520), (1, 512), (2, 513))),
    Case("ragged_page_long_window_sinks", "ragged_page_attention", (2, 1), 16, page_size=8, pages_per_seq=128,
         shared_pages=60, sequences=((1, 600), (5, 530)), sliding_window=100, sinks=(2,)),
    Case("ragged_page_append", "ragged_page_attention", (4, 2), 40, page_size=8, append=True,
         sequences=((9, 21), (1, 8), (0, 10), (1, 25), (3, 3)), sinks=(4,), logits_soft_cap=2.0, query_size=3.0),
    Case("page_blocks_first_gqa1", "page_attention", (4, 4), 16, "hnd", page_size=8,
         sequences=((1, 1), (1, 8), (1, 17), (1, 31), (1, 40))),
    Case("page_blocks_first_gqa4", "page_attention", (8, 2), 48, "hnd", page_size=16,
         sequences=((1, 16), (1, 47), (1, 5))),
    Case("page_blocks_first_head_dim_128", "page_attention", (2, 1), 128, "hnd", page_size=8,
         sequences=((1, 30), (1, 9)), softmax_scale=0.2),
    Case("page_heads_first_gqa2", "page_attention", (4, 2), 32, "heads_first", page_size=32,
         sequences=((1, 32), (1, 33), (1, 63))),
    Case("page_heads_first_gqa8", "page_attention", (8, 1), 80, "heads_first", page_size=8,
         sequences=((1, 39), (1, 2), (1, 24)), softmax_scale=0.3),
    Case("page_heads_first_gqa1", "page_attention", (3, 3), 24, "heads_first", page_size=16,
         sequences=((1, 15), (1, 49), (1, 32))),
    Case("decode_ranges", "ragged_decode_attention", (2, 2), 16, "dense", seq_len=45,
         ranges=((0, 45), (7, 31), (44, 45), (20, 20), (33, 12), (16, 32), (-3, 9), (5, 60))),
    Case("decode_gqa2_window_left", "ragged_decode_attention", (4, 2), 32, "dense", seq_len=37,
         ranges=((0, 37), (30, 37), (3, 20), (9, 10), (15, 15)), window=(6, 0)),
    Case("decode_gqa4_window_pair", "ragged_decode_attention", (4, 1), 64, "dense", seq_len=50,
         ranges=((0, 50), (4, 31), (29, 33), (11, 12)), window=(9, 4)),
    Case("decode_window_right_unlimited", "ragged_decode_attention", (2, 1), 16, "dense", seq_len=40,
         ranges=((0, 30), (8, 40)), window=(11, -1), softmax_scale=0.5),
    # No key of a decode row lies to the right of end - 1: this hides nothing, unless -1 is taken for a distance.
    Case("decode_window_left_unlimited", "ragged_decode_attention", (2, 1), 16, "dense", seq_len=40,
         ranges=((0, 30), (8, 50)), window=(-1, 2), softmax_scale=0.5),
    # The window stands around end - 1, also where that lies behind the last key.
    Case("decode_window_end_behind_seq_len", "ragged_decode_attention", (2, 2), 16, "dense", seq_len=24,
         ranges=((0, 24), (0, 27), (3, 33), (22, 40)), window=(8, 8)),
    Case("decode_gqa8_soft_cap", "ragged_decode_attention", (8, 1), 72, "dense", seq_len=33,
         ranges=((1, 33), (12, 30), (0, 1)), logits_soft_cap=3.0, query_size=4.0),
    Case("decode_sinks", "ragged_decode_attention", (4, 2), 32, "dense", seq_len=41,
         ranges=((0, 41), (13, 29), (40, 41), (6, 6)), sinks=(3,)),
    Case("decode_sinks_per_kv_head", "ragged_decode_attention", (6, 3), 16, "dense", seq_len=41,
         ranges=((2, 38), (17, 22), (0, 41)), sinks=(3, 2)),
    Case("decode_every_option", "ragged_decode_attention", (4, 2), 128, "dense", seq_len=21,
         ranges=((5, 21), (0, 17)), softmax_scale=0.15, logits_soft_cap=2.0, window=(7, 1), sinks=(2, 4),
         query_size=3.0),
]


@dataclasses.dataclass
class Problem:
    """What all operations come to: rows of queries, and slots of keys and values of which each row sees some."""

    queries: np.ndarray  # [rows, Hq, D]
    keys: np.ndarray  # [pages, slots in a page, Hkv, D]
    values: np.ndarray
    visible: list  # for each row, the numbers of the slots that it sees
    sinks: np.ndarray | None  # softmax_aux as the operation takes it
    batch: dict  # the integer tensors of the operation


def lay_out_pages(case, random):
    """Block tables over shuffled pages, -1 behind the used entries. The last page is in no table."""
    needed = [-(-context_len // case.page_size) for _, context_len in case.sequences]
    pages_per_seq = case.pages_per_seq or max(needed) + 1
    num_used = case.shared_pages + sum(max(0, pages - case.shared_pages) for pages in needed)
    num_pages = num_used + 2
    if case.operation == "page_attention":
        # The oracle guesses the layout: the kv heads divide the query heads, so the number of pages must not.
        num_pages = max(num_pages, case.heads[0] + 1)
    free = list(random.permutation(num_pages - 1))
    shared = [free.pop() for _ in range(case.shared_pages)]
    tables = np.full((len(needed) + case.padding_seqs, pages_per_seq), -1, np.int32)
    for table, pages in zip(tables, needed):
        own = [free.pop() for _ in range(pages - case.shared_pages)]
        table[:pages] = (shared + own)[:pages]
    return tables, num_pages


def paged_problem(case, random):
    """The batch of a paged operation, and the slots that its rows see."""
    tables, num_pages = lay_out_pages(case, random)
    q_lens = [q_len for q_len, _ in case.sequences]
    starts = np.cumsum([0] + q_lens + [0] * case.padding_seqs)
    contexts = [context_len for _, context_len in case.sequences] + [99] * case.padding_seqs
    visible = []
    slot_mapping = []
    for (q_len, context_len), table in zip(case.sequences, tables):
        tokens = np.arange(context_len)
        slots = table[tokens // case.page_size].astype(np.int64) * case.page_size + tokens % case.page_size
        slot_mapping.extend(slots[context_len - q_len:])
        for position in range(context_len - q_len, context_len):
            first = max(0, position - case.sliding_window + 1) if case.sliding_window else 0
            visible.append(slots[first:position + 1])
    visible += [np.empty(0, np.int64)] * case.padding_rows
    batch = {"context_lens": np.array(contexts, np.int32), "block_tables": tables}
    if case.operation == "ragged_page_attention":
        batch["query_start_loc"] = starts.astype(np.int32)
    if case.append:
        batch["slot_mapping"] = np.array(slot_mapping, np.int64)
    return batch, visible, (num_pages, case.page_size)


def dense_problem(case):
    """The batch of ragged_decode_attention, and the slots that its rows see."""
    left, right = case.window
    visible = []
    for row, (start, end) in enumerate(case.ranges):
        tokens = np.arange(max(start, 0), max(start, 0, min(end, case.seq_len)))
        position = end - 1
        seen = np.ones(tokens.shape, bool)
        if left >= 0:
            seen &= tokens >= position - left
        if right >= 0:
            seen &= tokens <= position + right
        visible.append(row * case.seq_len + tokens[seen])
    batch = {
        "sequence_start": np.array([start for start, _ in case.ranges], np.int32),
        "sequence_end": np.array([end for _, end in case.ranges], np.int32),
    }
    return batch, visible, (len(case.ranges), case.seq_len)


def make_problem(case, seed):
    """Random inputs for a case, with UNUSED wherever no query looks."""
    random = np.random.default_rng(seed)
    num_q_heads, num_kv_heads = case.heads
    if case.operation == "ragged_decode_attention":
        batch, visible, pages = dense_problem(case)
    else:
        batch, visible, pages = paged_problem(case, random)

    def normal(*shape):
        return random.standard_normal(shape).astype(np.float32)

    queries = normal(len(visible), num_q_heads, case.head_dim) * np.float32(case.query_size)
    keys = normal(*pages, num_kv_heads, case.head_dim)
    values = normal(*pages, num_kv_heads, case.head_dim)
    unseen = np.ones(pages[0] * pages[1], bool)
    for slots in visible:
        unseen[slots] = False
    keys[unseen.reshape(pages)] = UNUSED
    values[unseen.reshape(pages)] = UNUSED
    sinks = normal(*case.sinks) + 1 if case.sinks else None
    return Problem(queries, keys, values, visible, sinks, batch)


def row_sinks(case, problem, head):
    """The sinks of a query head: its own, those of its kv head, or those of all heads."""
    if problem.sinks is None:
        return np.empty(0)
    sinks = problem.sinks.astype(np.float64)
    if case.operation != "ragged_decode_attention":
        return sinks[head:head + 1]
    return sinks if sinks.ndim == 1 else sinks[head // (case.heads[0] // case.heads[1])]


def evaluate(case, problem):
    """The definition in float64: scale, soft cap, visible keys, sinks in maximum and denominator; 0 without a key."""
    scale = case.softmax_scale or 1 / math.sqrt(case.head_dim)
    cap = case.logits_soft_cap
    keys = problem.keys.astype(np.float64).reshape(-1, *problem.keys.shape[2:])
    values = problem.values.astype(np.float64).reshape(keys.shape)
    out = np.zeros(problem.queries.shape)
    for row, slots in enumerate(problem.visible):
        for head in range(case.heads[0] if len(slots) else 0):
            kv_head = head // (case.heads[0] // case.heads[1])
            logits = scale * (keys[slots, kv_head] @ problem.queries[row, head].astype(np.float64))
            if cap:
                logits = cap * np.tanh(logits / cap)
            sinks = row_sinks(case, problem, head)
            largest = max([*logits, *sinks])
            weights = np.exp(logits - largest)
            denominator = weights.sum() + np.exp(sinks - largest).sum()
            out[row, head] = weights @ values[slots, kv_head] / denominator
    return out


def combined(keys, values):
    """Pages of keys and values as one tensor: head 2h is the key of kv head h, head 2h+1 its value."""
    pages, slots, heads, width = keys.shape
    return np.stack([keys, values], axis=3).reshape(pages, slots, 2 * heads, width)


def options(case):
    """What the ragged operations of the oracle call by the same names; None is off or the default there."""
    return {"softmax_scale": case.softmax_scale or None, "logits_soft_cap": case.logits_soft_cap or None}


def sinks_argument(problem):
    return None if problem.sinks is None else jnp.asarray(problem.sinks)


def run_ragged_page(case, problem):
    """Version 2 of the oracle: reads pages. Its sliding_window counts the query itself, as ours does."""
    tensors = {"queries": problem.queries, "kv_pages": combined(problem.keys, problem.values)} | problem.batch
    out = ragged_page_attention_v2(
        **{name: jnp.asarray(tensor) for name, tensor in tensors.items()},
        num_seqs=jnp.array([len(case.sequences)], jnp.int32),
        compute_dtype=jnp.float32,  # its default is bfloat16
        sliding_window=case.sliding_window or None,
        softmax_aux=sinks_argument(problem),
        **options(case))
    return out, tensors


def run_ragged_page_append(case, problem):
    """Version 3 of the oracle: writes this step's keys and values into the pages, then attends.

    Its softmax_scale is 1 by default. A sliding window hides the keys before the last row's window, rounded to a page,
    from the earlier rows too: no case has one here.
    """
    slots = problem.batch["slot_mapping"]
    flat = (-1, *problem.keys.shape[2:])
    new_keys, new_values = problem.keys.reshape(flat)[slots], problem.values.reshape(flat)[slots]
    keys_before, values_before = problem.keys.copy(), problem.values.copy()
    keys_before.reshape(flat)[slots] = UNUSED
    values_before.reshape(flat)[slots] = UNUSED
    before, after = combined(keys_before, values_before), combined(problem.keys, problem.values)
    # Its cache has a dimension for two values in 32 bits, here 1, and widens the heads to a multiple of 128.
    padding = -case.head_dim % 128
    cache = np.pad(before, ((0, 0), (0, 0), (0, 0), (0, padding)))[:, :, :, None, :]
    num_seqs = len(case.sequences)
    out, cache = ragged_page_attention_v3(
        jnp.asarray(problem.queries), jnp.asarray(new_keys), jnp.asarray(new_values), jnp.asarray(cache),
        jnp.asarray(problem.batch["context_lens"]), jnp.asarray(problem.batch["block_tables"].reshape(-1)),
        jnp.asarray(problem.batch["query_start_loc"]), jnp.array([0, 0, num_seqs], jnp.int32),
        softmax_aux=sinks_argument(problem), softmax_scale=case.softmax_scale or case.head_dim**-0.5,
        logits_soft_cap=case.logits_soft_cap or None)
    if not np.array_equal(np.asarray(cache)[:, :, :, 0, :case.head_dim], after):
        sys.exit(f"generate.py: {case.name}: the oracle wrote other pages than slot_mapping says")
    tensors = {"queries": problem.queries, "kv_pages": after, "kv_pages_before": before, "new_keys": new_keys,
               "new_values": new_values}
    return out, tensors | problem.batch


def run_page(case, problem):
    """Takes both layouts, told apart by which of the first two dimensions divides the query heads."""
    order = {"hnd": (0, 2, 1, 3), "heads_first": (2, 0, 1, 3)}[case.kv_layout]
    tensors = {"query": problem.queries, "key_cache": problem.keys.transpose(order),
               "value_cache": problem.values.transpose(order)} | problem.batch
    out = page_attention(**{name: jnp.asarray(tensor) for name, tensor in tensors.items()},
                         attn_scale=case.softmax_scale or None)
    return out, tensors


def run_decode(case, problem):
    """Its sliding_window is the same inclusive pair around end - 1; only -1 has no special meaning there."""
    tensors = {"query": problem.queries, "key": problem.keys, "value": problem.values} | problem.batch
    window = None
    if case.window != (-1, -1):
        window = tuple(UNLIMITED if distance < 0 else distance for distance in case.window)
    out = ragged_decode_attention(
        **{name: jnp.asarray(tensor) for name, tensor in tensors.items()},
        fwd_params=FwdParams(kv_blocksize=16),  # several blocks, the first ones without a visible key
        sliding_window=window,
        softmax_aux=sinks_argument(problem),
        **options(case))
    return out, tensors


def run_oracle(case, problem):
    """The oracle's output, and the tensors it was made from by the names of the operation's parameters."""
    if case.operation == "page_attention":
        run = run_page
    elif case.operation == "ragged_decode_attention":
        run = run_decode
    else:
        run = run_ragged_page_append if case.append else run_ragged_page
    out, tensors = run(case, problem)
    if problem.sinks is not None:
        tensors["softmax_aux"] = problem.sinks
    return tensors | {"out": np.asarray(out)}


def check_options_matter(case, problem, seed):
    """Every option of the case must change what the definition gives, else the case would not test it."""
    with_all = evaluate(case, problem)
    defaults = {"softmax_scale": 0.0, "logits_soft_cap": 0.0, "sliding_window": 0, "window": (-1, -1), "sinks": ()}
    for option, default in defaults.items():
        if getattr(case, option) == default or (option == "window" and case.window[0] < 0):
            continue
        # The keys that only this option hides hold UNUSED, which shows all the more.
        other = dataclasses.replace(case, **{option: default})
        without = dataclasses.replace(problem, visible=make_problem(other, seed).visible)
        if option == "sinks":
            without.sinks = None
        if not np.abs(evaluate(other, without) - with_all).max() > MATTERS:
            sys.exit(f"generate.py: {case.name}: {option} changes nothing")


def generate(case, seed):
    """The tensors of a case, checked, and how far the oracle is from float64."""
    problem = make_problem(case, seed)
    check_options_matter(case, problem, seed)
    tensors = run_oracle(case, problem)
    error = np.abs(tensors["out"] - evaluate(case, problem)).max()
    if not error <= AGREEMENT:  # also when it is NaN
        sys.exit(f"generate.py: {case.name}: the oracle is {error:g} away from the definition, {AGREEMENT:g} allowed")
    return tensors, error


def describe(case):
    """The case's record in cases.txt: always the same keys in the same order."""
    record = {
        "case": case.name,
        "operation": case.operation,
        "kv_layout": case.kv_layout,
        "num_seqs": len(case.sequences or case.ranges),
        "softmax_scale": case.softmax_scale,
        "logits_soft_cap": case.logits_soft_cap,
        "sliding_window": case.sliding_window,
        "window_left": case.window[0],
        "window_right": case.window[1],
        "softmax_aux_rank": len(case.sinks),
        "append": int(case.append),
        "unused_value": UNUSED,
    }
    return "".join(f"{key}={value:g}\n" if isinstance(value, float) else f"{key}={value}\n"
                   for key, value in record.items())


def main():
    if len(sys.argv) > 1:
        sys.exit(__doc__)
    results = []
    for seed, case in enumerate(CASES):
        tensors, error = generate(case, seed)
        size = sum(tensor.nbytes for tensor in tensors.values())
        print(f"{case.name:36} {size / 1024:7.1f} KiB, {error:.1e} from float64")
        results.append(tensors)

    shutil.rmtree(FOLDER / "data", ignore_errors=True)
    for case, tensors in zip(CASES, results):
        folder = FOLDER / "data" / case.name
        folder.mkdir(parents=True)
        for name, tensor in tensors.items():
            np.save(folder / (name + ".npy"), np.ascontiguousarray(tensor))
    records = "\n".join(describe(case) for case in CASES)
    (FOLDER / "cases.txt").write_text(records, encoding="ascii")


if __name__ == "__main__":
    main()
