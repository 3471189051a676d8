"""The same small models on a CPU and on the device: scores, continuations, candidates of a masked model."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import RobertaConfig, RobertaForMaskedLM

from lib.generation.continuations import continue_prompts
from lib.generation.decoding import Decoding
from lib.models import loading
from lib.models.token_scores import score_tokens
from lib.perturbations import masked_lm
from tests.gpu import models
from tests.gpu.running import Options

FAMILIES = ("neox", "neo", "llama", "mamba")
HOW = {"greedy": Decoding("greedy"), "sample": Decoding("sample", 1.0, 40, 0.95, 3)}
ROWS, PROMPT, SUFFIX, TOP_K = 24, 60, 20, 10


def measure(options: Options) -> dict[str, Any]:
    """By family the relative errors and shares of equal ids, and the worst of each over all families."""
    folder = options.folder("agreement")
    made = 12 if options.tiny else 48
    found = {family: _causal(family, options.device, made, folder / family) for family in FAMILIES}
    errors = ("scores_fp32", "scores_bf16", "suffix_nll")
    worst = {name: max(found[family][name] for family in FAMILIES) for name in errors}
    least = {f"{how}_same": min(found[family][f"{how}_same"] for family in FAMILIES) for how in HOW}
    return {**worst, **least, "candidates_same": _masked(options.device, folder / "masked"), "by_family": found}


def _causal(family: str, device: str, made: int, folder: Path) -> dict[str, float]:
    saved = models.save(models.configured(family, tiny=True), torch.float32, "cpu", folder)
    here, there = (loading.load_causal_lm(saved, "float32", where) for where in ("cpu", device))
    draw = np.random.default_rng(1)
    texts = [draw.integers(1, 500, length) for length in draw.integers(20, 120, ROWS)]
    a, b = (score_tokens(model, texts, batch_size=8, moments=True) for model in (here, there))
    low = score_tokens(loading.load_causal_lm(saved, "bfloat16", device), texts, batch_size=8)
    columns = ("log_probs", "mu", "sigma")
    return {
        "scores_fp32": max(far(getattr(a, name), getattr(b, name)) for name in columns),
        "scores_bf16": far(a.log_probs, low.log_probs),
        **_continued(here, there, made),
    }


def _continued(here: Any, there: Any, made: int) -> dict[str, float]:
    draw, keys = np.random.default_rng(2), np.arange(ROWS)
    prompts, suffixes = (draw.integers(1, 500, (ROWS, length)) for length in (PROMPT, SUFFIX))
    found, errors = {}, []
    for name, how in HOW.items():
        given = (prompts, suffixes, max(made, SUFFIX), how, keys, (), 8)
        a, b = (continue_prompts(model, *given) for model in (here, there))
        found[f"{name}_same"] = float((a.ids == b.ids).mean())
        errors.append(far([a.suffix_nll], [b.suffix_nll]))
    return {**found, "suffix_nll": max(errors)}


def _masked(device: str, folder: Path) -> float:
    """The share of equal candidates."""
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=512, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128
    )
    RobertaForMaskedLM(config).save_pretrained(folder)
    draw = np.random.default_rng(3)
    ids = [row.tolist() for row in draw.integers(5, 500, (32, 40))]
    given = masked_lm.Masked(ids, draw.integers(0, 40, len(ids)), pad=1, cut=0)
    pool, none = np.arange(5, 500), np.full(len(ids), -1)
    both = [
        masked_lm.predict(loading.load_masked_lm(folder, "float32", where), given, pool, none, TOP_K, 16)
        for where in ("cpu", device)
    ]
    return float((both[0] == both[1]).mean())


def far(expected: Any, found: Any) -> float:
    """|expected - found| / |expected| over all rows together; infinite if anything is not a number."""
    a, b = (np.concatenate([np.asarray(row, np.float64) for row in rows]) for rows in (expected, found))
    error = float(np.linalg.norm(a - b) / np.linalg.norm(a))
    return error if np.isfinite(error) else float("inf")
