import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base import blocks
from lib.base.errors import Damaged
from tests.support import ranks

PROGRAM = """
import os, sys
from pathlib import Path
import numpy as np
from lib.base import blocks, mpi
world = mpi.world()
folder = Path(sys.argv[1])

def work(name):
    with open(folder / "worked", "a") as file:
        file.write(name + "\\n")
    if name == sys.argv[2]:
        os.abort()
    return {"square": np.array([int(name) ** 2])}

blocks.run(folder, {str(n): n + 1 for n in range(10)}, work, world, "units")
if world.rank == 0:
    print(sum(int(blocks.read(folder, str(n))["square"][0]) for n in range(10)))
"""


def _run(folder: Path, count: int, crash: str = "none") -> subprocess.CompletedProcess:
    line = [sys.executable, "-m", "mpi4py", "-c", PROGRAM, str(folder), crash]
    mpirun = [str(Path(sys.executable).with_name("mpirun")), "-n", str(count)] if count > 1 else []
    environment = {**ranks.os.environ, **ranks.ENVIRONMENT, "PYTHONPATH": str(ranks.ROOT)}
    return subprocess.run([*mpirun, *line], env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_block_is_done_once_by_some_rank(tmp_path: Path, count: int) -> None:
    answer = _run(tmp_path, count)
    assert "285" in answer.stdout.split(), answer.stderr
    assert answer.stdout.count("55 of 55 units (100 %)") == 1  # the first rank says it for all
    assert sorted((tmp_path / "worked").read_text().split()) == [str(n) for n in range(10)]


def test_a_killed_rank_ends_all_and_others_go_on_with_what_is_missing(tmp_path: Path) -> None:
    assert _run(tmp_path, 2, crash="4").returncode != 0
    before = {path.stem for path in tmp_path.glob("*.h5")}
    (tmp_path / "worked").unlink()
    answer = _run(tmp_path, 3)
    assert "285" in answer.stdout.split(), answer.stderr
    assert set((tmp_path / "worked").read_text().split()) == {str(n) for n in range(10)} - before
    assert "0" in before
    assert "4" not in before


def test_blocks_of_another_task_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "blocks"
    blocks.claim(folder, "first")
    blocks.write(blocks.file(folder, "a"), {"x": np.arange(3)})
    blocks.claim(folder, "first")
    assert blocks.missing(folder, ["a", "b"]) == ["b"]
    blocks.claim(folder, "second")
    assert blocks.missing(folder, ["a", "b"]) == ["a", "b"]


@given(st.binary(max_size=8))
def test_a_damaged_owner_is_that_of_another_task(tmp_path_factory, damage: bytes) -> None:
    folder = tmp_path_factory.mktemp("blocks") / "blocks"
    blocks.claim(folder, "first")
    blocks.write(blocks.file(folder, "a"), {"x": np.arange(3)})
    (folder / blocks.OWNER).write_bytes(damage)
    blocks.claim(folder, "first")
    assert blocks.missing(folder, ["a"]) == ["a"]
    assert (folder / blocks.OWNER).read_bytes() == b"first"


@given(damage=st.sampled_from(["flip", "cut", "another", "another task's"]), place=st.integers(0, 1 << 30))
def test_a_damaged_block_is_named_and_set_aside(damage: str, place: int, tmp_path_factory) -> None:
    folders = [tmp_path_factory.mktemp(name) / "blocks" for name in ("one", "two")]
    for folder, task in zip(folders, ("first", "second")):
        blocks.claim(folder, task)
        for name in ("a", "b"):
            blocks.write(blocks.file(folder, name), {"x": np.arange(30)})
    path = blocks.file(folders[0], "a")
    data = path.read_bytes()
    place %= len(data)
    path.write_bytes(
        {
            "flip": data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :],
            "cut": data[:place],
            "another": blocks.file(folders[0], "b").read_bytes(),
            "another task's": blocks.file(folders[1], "a").read_bytes(),
        }[damage]
    )
    with pytest.raises(Damaged, match=r"a\.h5"):
        blocks.read(folders[0], "a")
    assert blocks.missing(folders[0], ["a", "b"]) == ["a"]
    assert blocks.names(folders[0]) == ["b"]
    assert len(list(folders[0].glob(".damaged-*-a.h5"))) == 1


@given(st.integers(0, 50), st.integers(0, 300), st.integers(1, 60))
def test_ranges_cover_everything_once(start: int, length: int, size: int) -> None:
    found = blocks.ranges(start, start + length, size)
    assert [index for low, high in found for index in range(low, high)] == list(range(start, start + length))
    assert all(0 < high - low <= size for low, high in found)
