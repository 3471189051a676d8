"""The ceilings of all shares: a large copy, counting bytes read and written, and large products of matrices."""

import importlib.util
from importlib.metadata import version
from typing import Any

import torch

from lib.base.errors import TesseraError
from tests.gpu import timing
from tests.gpu.running import Options


def measure(options: Options) -> dict[str, Any]:
    """Name and versions, bytes/s, and FLOP/s in bf16 and fp32. Raises TesseraError if torch can use no GPU."""
    if options.device == "cuda" and not torch.cuda.is_available():
        raise TesseraError(
            f"torch {torch.__version__} (CUDA {torch.version.cuda}) sees no GPU; `nvidia-smi` and make doctor"
        )
    return {**_versions(options.device), "bytes_per_s": _copy(options), **_products(options)}


def _versions(device: str) -> dict[str, Any]:
    known = {name: version(name) for name in ("transformers", "triton") if importlib.util.find_spec(name)}
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    return {"name": name, "torch": torch.__version__, "cuda": torch.version.cuda, **known}


def _copy(options: Options) -> float:
    size = 1 << (20 if options.tiny else 32)
    source = torch.zeros(size // 4, device=options.device)
    target = torch.empty_like(source)
    return 2 * size / timing.median(options.device, lambda: target.copy_(source))


def _products(options: Options) -> dict[str, float]:
    width = 128 if options.tiny else 8192
    found = {}
    for name, dtype in (("flops_bf16", torch.bfloat16), ("flops_fp32", torch.float32)):
        a, b = (torch.randn(width, width, device=options.device, dtype=dtype) for _ in range(2))
        found[name] = 2 * width**3 / timing.median(options.device, lambda a=a, b=b: a @ b)
    return found
