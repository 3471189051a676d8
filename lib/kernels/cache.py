"""Where numba keeps compiled kernels: by what their source says, not by where it lies.

Tasks run in snapshots of the code, each a folder of its own; kept beside the source, every snapshot would compile anew.
And numba looks at the file of a function alone: with a kernel changed that another file's kernel calls, it would go on
with the old one. Here one folder belongs to the source of all kernels together.
"""

import functools
import hashlib
import os
from pathlib import Path

from numba.core.caching import InTreeCacheLocator

LIB = Path(__file__).parents[1]
HOME = "TESSERA_KERNELS"  # a folder for them, where the home directory is no good place


class KernelCacheLocator(InTreeCacheLocator):
    """Functions of lib/; others are left to numba's own locators."""

    def __init__(self, py_func, py_file):
        super().__init__(py_func, py_file)
        self._cache_path = str(home() / sources_digest())

    @classmethod
    def from_function(cls, py_func, py_file):
        """None for a function that does not lie below lib/, or where nothing can be written."""
        return super().from_function(py_func, py_file) if Path(py_file).is_relative_to(LIB) else None

    def get_disambiguator(self):
        """The line of the function and its file below lib/: numba knows the last part of a module's name alone, and
        two packages may have modules of the same name."""
        module = Path(self._py_file).relative_to(LIB).with_suffix("")
        return f"{'.'.join(module.parts)}-{super().get_disambiguator()}"

    def get_source_stamp(self):
        """The source of all kernels."""
        return sources_digest()


def home() -> Path:
    """The folder of all compiled kernels."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get(HOME) or Path(cache) / "tessera" / "kernels")


@functools.cache
def sources_digest() -> str:
    """16 hex digits of the SHA-256 over every file of lib/ that compiles something."""
    hasher = hashlib.sha256()
    for file in sorted(LIB.rglob("*.py")):
        source = file.read_bytes()
        if b"numba" in source or b"llvmlite" in source:
            hasher.update(f"{file.relative_to(LIB)} {len(source)}\n".encode() + source)
    return hasher.hexdigest()[:16]
