"""Pythia 1.4B scores texts with moments: in bf16 those of the prefix attack, in fp32 those of the membership stage."""

from typing import Any

import numpy as np

from lib.models.token_scores import score_tokens
from tests.gpu import models, timing
from tests.gpu.running import Options

SHAPES = {"bfloat16": (1156, 128), "float32": (101, 512)}  # type -> tokens of a text, texts
BATCH = 32


def measure(options: Options) -> dict[str, Any]:
    """By type tokens/s, FLOP/s and peak memory."""
    return {dtype: _one(options, dtype, *shape) for dtype, shape in SHAPES.items()}


def _one(options: Options, dtype: str, length: int, count: int) -> dict[str, float]:
    length, count = (24, 8) if options.tiny else (length, count)
    config = models.configured("neox", options.tiny)
    model = models.load(config, dtype, options.device, options.folder(dtype))
    texts = list(np.random.default_rng(0).integers(1, config.vocab_size, (count, length)))
    score_tokens(model, texts[:BATCH], batch_size=BATCH, moments=True)
    took = timing.seconds(options.device, lambda: score_tokens(model, texts, batch_size=BATCH, moments=True))
    rate = length * count / took
    flops = models.reading_flops(models.size(model), rate, length)
    return {"tokens_per_s": rate, "flops": flops, **timing.peak(options.device)}
