import os
import shutil
import subprocess
import sys
from pathlib import Path

from lib.base.places import ROOT

INNER = "from numba import njit\n\n\n@njit(cache=True)\ndef inner(x):\n    return x + {}\n"
OUTER = """from numba import njit

from lib.inner import inner


@njit(cache=True)
def outer(x):
    return 10 * inner(x)
"""
PROGRAM = "from lib.outer import outer; print(outer(1), sum(outer.stats.cache_hits.values()))"


def checkout(folder: Path, constant: int) -> Path:
    """A lib/ of two kernels in two files, one calling the other."""
    (folder / "lib").mkdir(parents=True)
    for name in ("__init__.py", "kernels/__init__.py", "kernels/cache.py"):
        (folder / "lib" / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / "lib" / name, folder / "lib" / name)
    (folder / "lib/inner.py").write_text(INNER.format(constant))
    (folder / "lib/outer.py").write_text(OUTER)
    return folder


def run(folder: Path, cache: Path) -> list[int]:
    """[result, calls that needed no compilation]"""
    environment = {**os.environ, "TESSERA_KERNELS": str(cache), "PYTHONPATH": str(folder)}
    environment.pop("NUMBA_CACHE_LOCATOR_CLASSES", None)
    line = [sys.executable, "-c", PROGRAM]
    answer = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return [int(word) for word in answer.stdout.split()]


def test_another_copy_of_the_same_code_compiles_nothing_and_a_changed_callee_everything(tmp_path: Path) -> None:
    first, second = checkout(tmp_path / "a", 1), checkout(tmp_path / "b", 1)
    assert run(first, tmp_path / "cache") == [20, 0]
    assert run(first, tmp_path / "cache") == [20, 1]
    assert run(second, tmp_path / "cache") == [20, 1]
    (first / "lib/inner.py").write_text(INNER.format(5))
    assert run(first, tmp_path / "cache") == [60, 0]
