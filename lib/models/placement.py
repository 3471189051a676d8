"""Which GPU holds which weights of a model: one, or several of a task that asked for them. Found before they are read.

Layers go to the GPUs in their order, all filled to the same share of their free memory. Everything else (embeddings,
last norm, output matrix) is on the first, so that ids go in and logits come out there. accelerate's own maps put the
output matrix on the last GPU.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from lib.base.errors import TesseraError
from lib.base.gpus import asked

RESERVE = 1e9  # bytes of each GPU for what PyTorch itself, cuBLAS and one layer need beside the weights
GB = 1e9


def gpus(device: str) -> list[int]:
    """The GPUs that a model on `device` may use: those of its task for `cuda`, else the one that is named."""
    import torch

    if not device.startswith("cuda"):
        return []
    named = torch.device(device).index
    wanted = asked()
    return [named or 0] if named is not None or wanted < 2 else list(range(min(wanted, torch.cuda.device_count())))


def check(directory: Path, files: Sequence[Path], dtype: str, places: Sequence[int]) -> None:
    """Raise TesseraError that names the memory it would need, if weights do not fit on these GPUs."""
    if not places:
        return
    needed, free = weights_bytes(files, dtype), _free(places)
    if needed <= sum(free):
        return
    several = f"the {len(places)} GPUs of this task have" if len(places) > 1 else "the GPU has"
    raise TesseraError(
        f"{directory}: its weights need {needed / GB:.1f} GB in {dtype}, and {several} {sum(free) / GB:.1f} GB free; "
        "give the task more of them (SET=nodes.<node>.resources.gpus=2: scoring and generation spread a model over "
        "all), or a smaller dtype"
    )


def weights_bytes(files: Sequence[Path], dtype: str) -> int:
    """Bytes of the weights in safetensors files once they are of this type, from the headers alone."""
    import torch

    count = 0
    for file in files:
        with safe_open(file, framework="pt") as weights:
            count += sum(int(np.prod(weights.get_slice(name).get_shape())) for name in weights.keys())  # noqa: SIM118
    return count * getattr(torch, dtype).itemsize


def spread(model: Any, places: Sequence[int]) -> dict[str, int]:
    """Module -> GPU, for a model whose weights may be on the meta device. Raises TesseraError if it does not fit."""
    layers = _layers(model)
    sizes = np.array([_size(model.get_submodule(name)) for name in layers], dtype=np.float64)
    room = np.array(_free(places), dtype=np.float64)
    room[0] -= _size(model) - sizes.sum()
    chosen = filled(sizes, room)
    if room[0] < 0 or chosen is None:
        raise TesseraError(_too_small(model, sizes, places))
    alone = dict.fromkeys(_outside(model, layers), places[0])
    return alone | {name: places[number] for name, number in zip(layers, chosen)}


def _too_small(model: Any, sizes: np.ndarray, places: Sequence[int]) -> str:
    free = ", ".join(f"{size / GB:.1f}" for size in _free(places))
    return (
        f"{type(model).__name__}: {(_size(model) - sizes.sum()) / GB:.1f} GB must fit on the first GPU, beside it "
        f"{len(sizes)} layers of up to {sizes.max() / GB:.1f} GB on all, which have {free} GB free; give the task more "
        "GPUs"
    )


def filled(sizes: np.ndarray, room: np.ndarray) -> list[int] | None:
    """Which GPU each layer goes to, in order: all GPUs are filled to the same share of their room, the least that
    suffices in steps of a hundredth. sizes, room: bytes. None if they do not fit."""
    found = (_in_order(sizes, room * share / 100) for share in range(1, 101))
    return next((chosen for chosen in found if chosen is not None), None)


def _in_order(sizes: np.ndarray, room: np.ndarray) -> list[int] | None:
    """Each layer on the first GPU with room for it, beginning with that of the layer before."""
    chosen: list[int] = []
    gpu, held = 0, 0.0
    for size in sizes:
        while held + size > room[gpu]:
            gpu, held = gpu + 1, 0.0
            if gpu == len(room):
                return None
        chosen.append(gpu)
        held += size
    return chosen


def is_spread(model: Any) -> bool:
    """Whether a model is on several GPUs, so that what is made for one (buffers, graphs) does not suit it."""
    return len({parameter.device for parameter in model.parameters()}) > 1


def _free(places: Sequence[int]) -> list[float]:
    import torch

    return [max(0.0, torch.cuda.mem_get_info(place)[0] - RESERVE) for place in places]


def _layers(model: Any) -> list[str]:
    """The names of the layers that transformers says must not be split, in their order."""
    whole = set(model._no_split_modules or ())
    found = [name for name, module in model.named_modules() if type(module).__name__ in whole]
    if not found:
        raise TesseraError(f"{type(model).__name__}: transformers does not say how to spread it; use one GPU")
    return found


def _outside(model: Any, layers: Sequence[str]) -> list[str]:
    """The modules beside the layers that have weights or buffers of their own."""
    inside = tuple(f"{name}." for name in layers)
    return [name for name, module in model.named_modules() if not f"{name}.".startswith(inside) and _own(module)]


def _own(module: Any) -> list[Any]:
    return [*module.parameters(recurse=False), *module.buffers(recurse=False)]


def _size(module: Any) -> int:
    """Bytes of weights and buffers, shared ones once."""
    return sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))
