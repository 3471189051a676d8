"""A limit of memory on processes, in which the pages of files count as well, as it is for a job of SLURM."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path("/sys/fs/cgroup/memory")  # of version 1


@contextmanager
def limited(limit: int) -> Iterator[list[str]]:
    """What to put before a command so that it may take `limit` bytes. Skips the test where that cannot be set."""
    group = ROOT / f"tessera-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(limit))
    except OSError as error:
        pytest.skip(f"no limit of memory can be set here: {error}")
    try:
        yield ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "limited"]
    finally:
        group.rmdir()
