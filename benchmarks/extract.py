"""States of all layers at every word, against the ways a first script takes: time, share of a plain product, memory.

The network has GPT-2's shape and random weights; what it reads has no bearing
on the time. `naive` runs one pass over the last 256 tokens for each token, as
scripts do that want a context of so many; `naive_head` has the pass compute
the output over the vocabulary too, as it does unless told not to; `cached`
goes on token by token from stored keys and values. They are timed on a few
tokens and compared by the time per token. Ours reads windows of 1024 tokens
that share 256 with the one before: each state has 256 to 1023 tokens before
it, where naive has 255.

Useful operations are counted once for each token of the text: twice the
parameters without the embeddings, and 4 x width x tokens attended to in each
layer. Tokens read again as context are not useful; `share_read` counts them.
"""

import copy
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import watch
from common import Goal, TorchYardstick, Yardstick, digits, hidden, interleaved, parser, report, skipped, threads, where

from pipeline.models.weights import Network, place
from pipeline.models.windows import Frame, Window, windows, word_states

SHAPES = {"12x768": (12, 768), "6x384": (6, 384)}
VOCABULARY, CONTEXT = 50257, 1024
OVERLAP, NAIVE_CONTEXT = 256, 256
N_WINDOWS = 6
NAIVE = {"naive": 4, "naive_head": 2, "cached": 128}  # tokens that are timed
OURS = ("float32", "bfloat16")
MEMORY_WINDOWS = {"12x768": 6, "6x384": 12}  # two batches of them at least
PEAKS = 3  # the allocator keeps now more, now less for later; the median counts


def goals(workload: str) -> tuple[Goal, ...]:
    told = [
        Goal(f"{workload}, float32: times faster than naive, per token", "ratio.float32.naive", at_least=150),
        Goal(f"{workload}, float32: share of a plain float32 product", "share.float32", at_least=0.45),
        Goal(f"{workload}, float32: largest difference to a plain pass", "difference.float32", at_most=1e-5),
        Goal(f"{workload}: memory beside the output at twice the words, times that", "memory.growth", at_most=1.1),
    ]
    if workload == "12x768":
        told += [
            Goal("12x768, bfloat16: times faster than naive (float32)", "ratio.bfloat16.naive", at_least=400),
            Goal("12x768, bfloat16: share of a plain bfloat16 product", "share.bfloat16", at_least=0.45),
        ]
    return tuple(told)


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--workload", choices=SHAPES, default="12x768")
    options.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options.add_argument("--bfloat16", action="store_true", help="run it even where it is emulated")
    options.add_argument("--windows", type=int, help=hidden())
    chosen = options.parse_args()
    threads(chosen.threads if chosen.device == "cpu" else 8)
    if chosen.windows:
        return alone(chosen)
    name = chosen.workload if chosen.device == "cpu" else f"{chosen.workload} on a GPU"
    if chosen.device == "cuda" and not _gpu():
        return skipped("torch finds no GPU here", workload=name)
    return report({"workload": name} | measured(chosen), goals(chosen.workload), chosen.scale)


def measured(chosen: Any) -> dict[str, Any]:
    text = Text(max(N_WINDOWS // chosen.scale, 2))
    plain = network(chosen.workload, chosen.device)
    reason = "" if chosen.bfloat16 else no_bfloat16(chosen.device)
    known = [dtype for dtype in OURS if dtype == "float32" or not reason]
    ours = {dtype: partial(text.read, placed(plain, dtype, chosen.device)) for dtype in known}
    methods: dict[str, Callable[[], Any]] = {name: partial(WAYS[name], plain, text.ids) for name in NAIVE} | ours
    products = yardsticks(known, chosen.device)
    timings = interleaved(products | methods, chosen.reps)
    per_token = {name: timings[name].seconds / NAIVE.get(name, len(text.ids)) for name in methods}
    gflop = {name: count / 1e9 for name, count in flops(plain, text.plan).items()}
    limit = {dtype: timings[dtype].seconds * products[f"product_{dtype}"].gflops for dtype in known}
    return {
        "shape": text.shape(chosen.workload),
        "device": chosen.device,
        "reps": chosen.reps,
        "not_run": {"bfloat16": reason} if reason else {},
        "yardstick_gflops": {name: digits(product.gflops) for name, product in products.items()},
        "methods": {name: timings[name].fields() | {"ms_per_token": digits(1e3 * per_token[name])} for name in methods},
        "ratio": {dtype: {name: digits(per_token[name] / per_token[dtype]) for name in NAIVE} for dtype in known},
        "gflop": {name: digits(count) for name, count in gflop.items()},
        "share": {dtype: digits(gflop["useful"] / limit[dtype]) for dtype in known},
        "share_read": {dtype: digits(gflop["read"] / limit[dtype]) for dtype in known},
        "difference": {dtype: digits(difference(timings[dtype].result, plain, text)) for dtype in known},
        "memory": growth(chosen) if chosen.device == "cpu" and watch.supported() else None,
        "where": {dtype: where(ours[dtype]) for dtype in known},
    }


def yardsticks(known: list[str], device: str) -> dict[str, Yardstick]:
    """A plain product for each precision; the one of float32 on a processor is NumPy's, torch's own stands beside it."""
    found: dict[str, Yardstick] = {f"product_{dtype}": TorchYardstick(dtype=dtype, device=device) for dtype in known}
    if device == "cpu":
        found |= {"product_float32": Yardstick(), "torch_product_float32": found["product_float32"]}
    return found


class Text:
    """Tokens by chance, one or two to a word, in windows the last of which is full."""

    def __init__(self, n_windows: int):
        rng = np.random.default_rng(0)
        n_tokens = CONTEXT + (n_windows - 1) * (CONTEXT - OVERLAP)
        self.ids = rng.integers(0, VOCABULARY, n_tokens)
        self.plan = windows(n_tokens, size=CONTEXT, overlap=OVERLAP)
        ends = np.cumsum(rng.choice([1, 2], n_tokens, p=[0.7, 0.3])) - 1
        self.last = ends[ends < n_tokens]

    def read(self, model: Any) -> np.ndarray:
        """(word, layer, feature): the states at every word's last token."""
        layers, n_words = tuple(range(model.config.n_layer + 1)), len(self.last)
        pairs = self.last, np.arange(n_words)
        return word_states(model, self.ids, self.plan, pairs, frame=Frame(), layers=layers, n_words=n_words)

    def shape(self, workload: str) -> dict[str, int]:
        layers, width = SHAPES[workload]
        found = {"layers": layers, "width": width, "vocabulary": VOCABULARY, "tokens": len(self.ids)}
        more = {"words": len(self.last), "windows": len(self.plan), "window": CONTEXT, "overlap": OVERLAP}
        return found | more | {"naive_context": NAIVE_CONTEXT}


def network(workload: str, device: str) -> Any:
    """Built on the spot; the same weights every time."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    layers, width = SHAPES[workload]
    torch.manual_seed(0)
    config = GPT2Config(n_layer=layers, n_embd=width, n_head=width // 64, vocab_size=VOCABULARY, n_positions=CONTEXT)
    return GPT2LMHeadModel(config).eval().to(device)


def placed(plain: Any, dtype: str, device: str) -> Any:
    """As the pipeline places a network before it reads."""
    model = copy.deepcopy(plain)
    model.config.use_cache = False
    return place(Network(model, "causal", ""), dtype=dtype, device=device).model


# --- the other ways


def naive(model: Any, ids: np.ndarray, head: bool = False) -> np.ndarray:
    """All layers' states at a few tokens, by a pass of its own for each."""
    few = range(NAIVE_CONTEXT, NAIVE_CONTEXT + NAIVE["naive_head" if head else "naive"])
    passed = model if head else model.base_model
    return np.array([_last(passed, ids[i + 1 - NAIVE_CONTEXT : i + 1]) for i in few])


def cached(model: Any, ids: np.ndarray) -> np.ndarray:
    """The first tokens of the text, one at a time after those before it."""
    from transformers import DynamicCache

    past = DynamicCache()
    return np.array([_last(model.base_model, ids[[i]], past_key_values=past) for i in range(NAIVE["cached"])])


def _last(passed: Any, ids: np.ndarray, **settings: Any) -> np.ndarray:
    import torch

    with torch.inference_mode():
        batch = torch.from_numpy(ids[None]).to(passed.device)
        caching = "past_key_values" in settings
        states = passed(input_ids=batch, output_hidden_states=True, use_cache=caching, **settings).hidden_states
        return torch.stack([state[0, -1] for state in states]).float().cpu().numpy()


WAYS: dict[str, Callable[..., np.ndarray]] = {"naive": naive, "naive_head": partial(naive, head=True), "cached": cached}


# --- what is counted


def flops(model: Any, plan: list[Window]) -> dict[str, float]:
    """Multiplications and additions for the tokens that are kept, and for all that are read."""
    embeddings = model.transformer.wte, model.transformer.wpe
    weights = sum(p.numel() for p in model.parameters()) - sum(e.weight.numel() for e in embeddings)
    attended = 4 * model.config.n_embd * model.config.n_layer
    kept = np.concatenate([np.arange(w.keep, w.stop) - w.start + 1 for w in plan])
    read = np.concatenate([np.arange(w.stop - w.start) + 1 for w in plan])
    return {name: float((2 * weights + attended * n).sum()) for name, n in (("useful", kept), ("read", read))}


def difference(found: np.ndarray, plain: Any, text: Text) -> float:
    """To the library's own pass over the first and the last window, relative to the largest state."""
    import torch

    apart, largest = [], []
    for window in (text.plan[0], text.plan[-1]):
        own = (text.last >= window.keep) & (text.last < window.stop)
        with torch.inference_mode():
            batch = torch.from_numpy(text.ids[None, window.start : window.stop]).to(plain.device)
            states = plain.base_model(input_ids=batch, output_hidden_states=True).hidden_states
        expected = torch.stack(states)[:, 0, text.last[own] - window.start].transpose(0, 1).cpu().numpy()
        apart.append(np.abs(found[own] - expected).max())
        largest.append(np.abs(expected).max())
    return float(max(apart) / max(largest))


def growth(chosen: Any) -> dict[str, float]:
    """Peak of RssAnon above the loaded network, less the output, in MiB: with so many words, and with twice as many."""
    n = max(MEMORY_WINDOWS[chosen.workload] // chosen.scale, 2)
    found, beside = {}, []
    for name, n_windows in (("once", n), ("twice", 2 * n)):
        command = [sys.executable, __file__, "--threads", str(chosen.threads), "--workload", chosen.workload]
        runs = [watch.peaks([*command, "--windows", str(n_windows)])["anonymous"] for _ in range(PEAKS)]
        layers, width = SHAPES[chosen.workload]
        output = len(Text(n_windows).last) * (layers + 1) * width * 4 / 2**20
        beside.append(float(np.median(runs)) - output)
        found |= {f"{name}_mib": [digits(run) for run in runs], f"{name}_output_mib": digits(output)}
    return found | {"beside_output_mib": digits(beside[0]), "growth": digits(beside[1] / beside[0])}


def alone(chosen: Any) -> int:
    """In a process of its own: load, say what is held, read."""
    text, model = Text(chosen.windows), placed(network(chosen.workload, "cpu"), "float32", "cpu")
    return int(not np.isfinite(watch.watched(partial(text.read, model))).all())


# --- where it runs


def no_bfloat16(device: str) -> str:
    """Why not; empty where it is faster than float32."""
    from pipeline.ridge.backends import _has_bfloat16

    fast = device == "cuda" or _has_bfloat16()
    return "" if fast else "the processor has no bfloat16 instructions (avx512_bf16, amx_bf16)"


def _gpu() -> bool:
    import torch

    return torch.cuda.is_available()


if __name__ == "__main__":
    sys.exit(main())
