"""Where numba stores compiled kernels: in a folder named by the contents of their source, not by its path.

Tasks run in snapshots of the code, each in its own folder. If compiled kernels lay next to the source, every snapshot
would compile them again. And numba checks the file of a function only: if a kernel calls one in another file, and that
one changes, numba would go on using the old one. Here one folder belongs to the source of all kernels together.

numba runs whatever it finds there. Here every file ends with a seal, and a damaged one is set aside and compiled again.
"""

import contextlib
import functools
import hashlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from numba.core import caching
from numba.core.caching import InTreeCacheLocator

from lib.base import files, seals

LIB = Path(__file__).parents[1]
HOME = "TESSERA_KERNELS"  # names a folder for them, if the home directory is not suitable


class KernelCacheLocator(InTreeCacheLocator):
    """Locates functions below lib/; others are left to numba's own locators."""

    def __init__(self, py_func, py_file):
        super().__init__(py_func, py_file)
        self._cache_path = str(home() / sources_digest())

    @classmethod
    def from_function(cls, py_func, py_file):
        """None for a function that does not lie below lib/, or where nothing can be written."""
        return super().from_function(py_func, py_file) if Path(py_file).is_relative_to(LIB) else None

    def get_disambiguator(self):
        """The file of the function below lib/, and its line. numba uses only the last part of a module's name, which
        two packages may share."""
        module = Path(self._py_file).relative_to(LIB).with_suffix("")
        return f"{'.'.join(module.parts)}-{super().get_disambiguator()}"

    def get_source_stamp(self):
        """Changes with the source of any kernel."""
        return sources_digest()


class SealedFiles(caching.IndexDataCacheFile):
    """The index and the data files of one function. Those of functions that do not lie below lib/ are as numba's."""

    def _load_index(self) -> dict[Any, str]:
        self._set_aside_if_damaged(self._index_path)
        return super()._load_index()

    def _load_data(self, name: str) -> Any:
        self._set_aside_if_damaged(self._data_path(name))
        return super()._load_data(name)  # FileNotFoundError: numba compiles

    @contextlib.contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[BinaryIO]:
        with super()._open_for_write(filepath) as file:
            content = io.BytesIO()
            yield content
            file.write(content.getvalue())
            if self._is_sealed():
                file.write(seals.of(content.getvalue(), Path(filepath).name))

    def _is_sealed(self) -> bool:
        return Path(self._cache_path).is_relative_to(home())

    def _set_aside_if_damaged(self, path: str) -> None:
        file = Path(path)
        if self._is_sealed() and file.exists() and not seals.holds(file, file.name):
            kept = files.set_aside(file)
            print(f"{file}: a damaged kernel; it is compiled again (the damaged one: {kept.name})", file=sys.stderr)


caching.IndexDataCacheFile = SealedFiles  # numba asks for it by this name, after it has imported the locator


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
