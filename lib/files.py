"""Files that are whole or absent."""

import os
from pathlib import Path

from lib import hdf5, names


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` durably and atomically; missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = names.private(path, str(os.getpid()))
    try:
        temporary.write_bytes(data)
        hdf5.publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
