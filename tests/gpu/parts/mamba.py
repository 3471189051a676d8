"""Mamba 1.4B in bf16 continues texts, with the path that is there: compiled kernels, ours, or transformers' own."""

import contextlib
import io
from typing import Any

from tests.gpu import decoding, models
from tests.gpu.running import Options


def measure(options: Options) -> dict[str, Any]:
    """The path, as loading says it, and see tests/gpu/decoding.py."""
    config = models.configured("mamba", options.tiny)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        model = models.load(config, "bfloat16", options.device, options.folder("mamba"))
    length, rows, made = (16, 4, 8) if options.tiny else (150, 64, 64)
    return {"path": " ".join(said.getvalue().split()), **decoding.measure(options, model, length, rows, made)}
