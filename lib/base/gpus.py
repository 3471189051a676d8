"""The GPUs that a process sees through torch, and those that its task asked for.

    python -m lib.base.gpus [PACKAGE ...]

prints as JSON what torch sees here, and which of these packages can be imported. `doctor` reads it: a launcher does not
import torch itself, and has no context on a GPU.
"""

import importlib
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from lib.base.errors import TesseraError, counted

ASKED = "TESSERA_GPUS"  # in the environment of a stage: how many GPUs its task asked for
VISIBLE = "CUDA_VISIBLE_DEVICES"


def asked() -> int:
    """How many GPUs the task of this process asked for."""
    return int(os.environ.get(ASKED, "0"))


def require() -> None:
    """Print which GPUs torch sees, if the task asked for any. Raises TesseraError with the reason if it sees fewer."""
    if not (wanted := asked()):
        return
    found = look()
    seen = found["devices"]
    if len(seen) < wanted:
        reason = found["trouble"] or f"{VISIBLE} is {os.environ.get(VISIBLE)!r}"
        raise TesseraError(
            f"the task asked for {counted(wanted, 'GPU')}, and {built(found)} sees {len(seen)}: {reason}; "
            "`make doctor` on this node compares driver and torch"
        )
    print(f"GPUs: {', '.join(device['name'] for device in seen)}; {built(found)}", flush=True)


def built(found: dict[str, Any]) -> str:
    """The build of torch in words: `torch 2.13.0 for CUDA 13.0`."""
    return f"torch {found['torch']}" + (f" for CUDA {found['cuda']}" if found["cuda"] else " (a build without CUDA)")


def look(packages: Sequence[str] = ()) -> dict[str, Any]:
    """What torch sees: its build, the GPUs, for which architectures it was compiled, and why it sees no GPU.

    packages: name -> why it cannot be imported; empty for one that can.
    """
    import torch

    usable = torch.cuda.is_available()
    return {
        "torch": torch.__version__,
        "cuda": torch.version.cuda or torch.version.hip,
        "devices": [_device(number) for number in range(torch.cuda.device_count())] if usable else [],
        "architectures": torch.cuda.get_arch_list(),
        "trouble": "" if usable else _trouble(),
        "packages": {name: _import_error(name) for name in packages},
    }


def _device(number: int) -> dict[str, Any]:
    import torch

    return {
        "name": torch.cuda.get_device_name(number),
        "capability": list(torch.cuda.get_device_capability(number)),
    }


def _trouble() -> str:
    """Why torch can use no GPU, in its own words: `is_available` says no more than no."""
    import torch

    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return " ".join(str(error).split())
    return ""


def _import_error(package: str) -> str:
    """Why a package cannot be imported. One that was compiled for another torch is found, and fails in any way."""
    try:
        importlib.import_module(package)
    except Exception as error:
        return " ".join(f"{type(error).__name__}: {error}".split())
    return ""


if __name__ == "__main__":
    print(json.dumps(look(sys.argv[1:])))
