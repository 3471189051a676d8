"""GPT-Neo 1.3B, the published target, in bf16: batches of 8 x 2,048 tokens."""

from typing import Any

from tests.gpu import training
from tests.gpu.running import Options


def measure(options: Options) -> dict[str, Any]:
    """See tests/gpu/training.py."""
    return training.measure(options, "neo", "bf16", batch_size=8, steps=4 if options.tiny else 8)
