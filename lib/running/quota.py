"""How much disk is left for a sweep."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from lib.base.files import existing


@dataclass(frozen=True)
class Left:
    """GB (10^9 bytes) that are left, and of which limit."""

    gb: float
    where: str


def left(root: Path, quota_gb: float | None) -> Left:
    """What the file system of `root`, or the quota for everything below it, leaves; the less of both."""
    place = existing(root)
    free = Left(shutil.disk_usage(place).free / 1e9, f"free at {place}")
    if quota_gb is None:
        return free
    rest = Left(quota_gb - used_gb(root), f"left of the quota of {quota_gb:g} GB (disk_quota_gb)")
    return min(free, rest, key=lambda one: one.gb)


def used_gb(root: Path) -> float:
    """GB in all files below `root`."""
    return sum(_size(os.path.join(folder, name)) for folder, _, names in os.walk(root) for name in names) / 1e9


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:  # removed since it was listed
        return 0
