"""Pythia 1.4B in bf16 continues texts: short prompts, more of them at once, long prompts."""

from typing import Any

from tests.gpu import decoding, models
from tests.gpu.running import Options

REAL, TINY = ((150, 64), (150, 256), (900, 64)), ((16, 4),)  # (length of the prompts, how many at once)


def measure(options: Options) -> dict[str, Any]:
    """By `<length>x<rows>`, see tests/gpu/decoding.py."""
    config = models.configured("neox", options.tiny)
    model = models.load(config, "bfloat16", options.device, options.folder("decode"))
    made, shapes = (8, TINY) if options.tiny else (256, REAL)
    return {f"{length}x{rows}": decoding.measure(options, model, length, rows, made) for length, rows in shapes}
