"""What can happen to a file: it is cut, a bit of it flips, it is lost, another one stands in its place."""

import hashlib
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path


def cut(file: Path, rng: random.Random) -> str:
    """Keep a random part from the beginning."""
    size = file.stat().st_size
    kept = rng.randrange(size) if size else 0
    with open(file, "r+b") as handle:
        handle.truncate(kept)
    return f"cut {file} to {kept} of {size} bytes"


def flip(file: Path, rng: random.Random) -> str:
    """Flip a random bit. The size and the time of change stay."""
    size, times = file.stat().st_size, file.stat()
    if not size:
        return lose(file, rng)
    place, bit = rng.randrange(size), rng.randrange(8)
    with open(file, "r+b") as handle:
        handle.seek(place)
        byte = handle.read(1)[0]
        handle.seek(place)
        handle.write(bytes([byte ^ (1 << bit)]))
    _keep_times(file, times)
    return f"flip bit {bit} of byte {place} of {size} of {file}"


def blank(file: Path, rng: random.Random) -> str:
    """Zeros in place of a random block, as after a power cut."""
    size, times = file.stat().st_size, file.stat()
    start = rng.randrange(size) if size else 0
    length = min(size - start, 4096)
    with open(file, "r+b") as handle:
        handle.seek(start)
        handle.write(bytes(length))
    _keep_times(file, times)
    return f"zeros at {start}..{start + length} of {size} of {file}"


def lose(file: Path, rng: random.Random) -> str:
    """Remove the file."""
    file.unlink()
    return f"lose {file}"


def empty(file: Path, rng: random.Random) -> str:
    """Leave a file of no bytes."""
    with open(file, "r+b") as handle:
        handle.truncate(0)
    return f"empty {file}"


def swap(file: Path, other: Path) -> str:
    """Put another valid file of the same kind in its place."""
    times = file.stat()
    file.unlink()
    shutil.copyfile(other, file)
    _keep_times(file, times)
    return f"put {other} in the place of {file}"


DAMAGES: tuple[Callable[[Path, random.Random], str], ...] = (cut, flip, flip, blank, lose, empty)


def some(file: Path, rng: random.Random) -> str:
    """One of these, at random. Returns what was done; the file is lost if it was like that before."""
    before = hashlib.sha256(file.read_bytes()).digest()
    done = rng.choice(DAMAGES)(file, rng)
    if file.exists() and hashlib.sha256(file.read_bytes()).digest() == before:
        return f"{done}, which changed nothing; {lose(file, rng)}"
    return done


def _keep_times(file: Path, times: os.stat_result) -> None:
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
