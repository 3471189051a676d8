"""Llama 3.2 1B in bf16, whose vocabulary has 128,256 ids: batches of 8 x 2,048 tokens."""

from typing import Any

from tests.gpu import training
from tests.gpu.running import Options


def measure(options: Options) -> dict[str, Any]:
    """See tests/gpu/training.py."""
    return training.measure(options, "llama", "bf16", batch_size=8, steps=4 if options.tiny else 8)
