"""How long a step of continuing texts takes, against what the memory of the card can deliver."""

from typing import Any

import numpy as np

from lib.generation.continuations import continue_prompts
from lib.generation.decoding import Decoding
from lib.models import limits
from tests.gpu import models, timing
from tests.gpu.running import Options

FEW = 2  # ids; what more ids take is the steps alone, without reading the prompts
GREEDY = Decoding("greedy")


def measure(options: Options, model: Any, length: int, rows: int, made: int) -> dict[str, float]:
    """Milliseconds a step, tokens/s, bytes/s and peak memory of `rows` prompts of `length` ids that get `made` more."""
    timing.peak(options.device)
    draw = np.random.default_rng(0)
    prompts, suffixes = (draw.integers(1, limits.vocabulary(model), (rows, size)) for size in (length, FEW))

    def go(n_tokens: int) -> float:
        arguments = (n_tokens, GREEDY, np.arange(rows), (), rows)
        return timing.seconds(options.device, lambda: continue_prompts(model, prompts, suffixes, *arguments))

    go(made)
    step = max(1e-9, go(made) - go(FEW)) / (made - FEW)
    least = models.step_bytes(models.size(model), rows, length, made)
    return {
        "ms": 1e3 * step,
        "tokens_per_s": rows / step,
        "bytes_per_s": least / step,
        **timing.peak(options.device),
    }
