"""GPT-Neo 1.3B as published: fp32 without TF32, batches of 2 x 2,048 tokens."""

from typing import Any

from tests.gpu import training
from tests.gpu.running import Options


def measure(options: Options) -> dict[str, Any]:
    """See tests/gpu/training.py."""
    return training.measure(options, "neo", "fp32", batch_size=2, steps=4 if options.tiny else 8)
