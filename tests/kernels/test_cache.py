"""The cache of compiled kernels: what it shares between checkouts, and what it never mixes up."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lib.base.places import ROOT
from lib.kernels import cache

INNER = "from numba import njit\n\n\n@njit(cache=True)\ndef inner(x):\n    return x + {}\n"
OUTER = """from numba import njit

from lib.inner import inner


@njit(cache=True)
def outer(x):
    return 10 * inner(x)
"""
PROGRAM = "from lib.outer import outer; print(outer(1), sum(outer.stats.cache_hits.values()))"
NAMESAKES = """
from lib.left.module import inner as left
from lib.right.module import inner as right
print(left(1), right(1), sum(sum(kernel.stats.cache_hits.values()) for kernel in (left, right)))
"""


def checkout(folder: Path, modules: dict[str, str]) -> Path:
    """A lib/ of these modules, with the cache of kernels."""
    base = [f"base/{name}.py" for name in ("__init__", "errors", "files", "places", "seals")]
    for name in ("__init__.py", "kernels/__init__.py", "kernels/cache.py", *base):
        (folder / "lib" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "lib" / name, folder / "lib" / name)
    for name, source in modules.items():
        (folder / "lib" / name).parent.mkdir(exist_ok=True)
        (folder / "lib" / name).write_text(source)
    return folder


def run(folder: Path, cache: Path, program: str = PROGRAM, said: str = "") -> list[int]:
    """Results, and the number of calls that needed no compilation. said: what must be printed as an error."""
    environment = {**os.environ, "TESSERA_KERNELS": str(cache), "PYTHONPATH": str(folder)}
    environment.pop("NUMBA_CACHE_LOCATOR_CLASSES", None)
    line = [sys.executable, "-c", program]
    answer = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    assert said in answer.stderr
    return [int(word) for word in answer.stdout.split()]


def test_another_copy_of_the_same_code_compiles_nothing_and_a_changed_callee_everything(tmp_path: Path) -> None:
    modules = {"inner.py": INNER.format(1), "outer.py": OUTER}
    first, second = (checkout(tmp_path / name, modules) for name in ("a", "b"))
    assert run(first, tmp_path / "cache") == [20, 0]
    assert run(first, tmp_path / "cache") == [20, 1]
    assert run(second, tmp_path / "cache") == [20, 1]
    (kernel,) = (tmp_path / "cache").glob("*/*outer.outer*.nbc")
    kernel.write_bytes(flipped(kernel.read_bytes()))
    assert run(second, tmp_path / "cache", said=f"{kernel}: a damaged kernel") == [20, 0]
    (first / "lib/inner.py").write_text(INNER.format(5))
    assert run(first, tmp_path / "cache") == [60, 0]


def test_kernels_of_one_name_module_name_and_line_in_two_packages_are_kept_apart(tmp_path: Path) -> None:
    """numba's own names for them are equal: without the package in them, one kernel runs the other's code."""
    folder = checkout(tmp_path / "a", {"left/module.py": INNER.format(1), "right/module.py": INNER.format(5)})
    assert run(folder, tmp_path / "cache", NAMESAKES) == [2, 6, 0]
    assert run(folder, tmp_path / "cache", NAMESAKES) == [2, 6, 2]


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "lost", "another's"])
def test_what_numba_loads_is_what_was_saved_or_nothing(tmp_path: Path, monkeypatch, ending, damage) -> None:
    monkeypatch.setenv("TESSERA_KERNELS", str(tmp_path))
    first, other = (cache.SealedFiles(str(tmp_path), name, "stamp") for name in ("first", "other"))
    for kernels, code in ((first, b"code"), (other, b"edoc")):
        kernels.save("key", code)
        assert kernels.load("key") == code
    (file,) = tmp_path.glob(f"first*.{ending}")
    data = file.read_bytes()
    replaced = next(tmp_path.glob(f"other*.{ending}")).read_bytes()
    file.write_bytes({"flip": flipped(data), "cut": data[:-1], "empty": b"", "another's": replaced}.get(damage, data))
    if damage == "lost":
        file.unlink()
    assert first.load("key") is None
    first.save("key", b"code")
    assert (first.load("key"), other.load("key")) == (b"code", b"edoc")
