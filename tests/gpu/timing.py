"""Seconds and memory of work on a device that runs behind the program."""

import time
from collections.abc import Callable
from typing import Any

import torch

REPEATS = 10


def wait(device: str) -> None:
    """Until the device has done all that it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def seconds(device: str, work: Callable[[], Any]) -> float:
    """How long a piece of work takes, once everything before it is done."""
    wait(device)
    begun = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - begun


def median(device: str, work: Callable[[], Any]) -> float:
    """The median of some repeats, after three that are not counted."""
    for _ in range(3):
        work()
    return sorted(seconds(device, work) for _ in range(REPEATS))[REPEATS // 2]


def peak(device: str) -> dict[str, float]:
    """The most memory that tensors had since the last call, GiB; nothing on a CPU."""
    if device != "cuda":
        return {}
    most = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.reset_peak_memory_stats()
    return {"peak_gib": most}
