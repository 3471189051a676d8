"""The stage `search_table`: the keys of every 256th suffix, whatever the ranks; what does not fit is refused."""

from pathlib import Path

import numpy as np
import pytest

from jobs.corpus import search_table
from lib.base import hdf5, mpi, places
from lib.base.errors import TesseraError
from lib.corpus import chunks
from lib.corpus.suffixes import opened
from lib.corpus.trace import by_ranks, index
from tests.support.corpora import write_chunk, write_suffix_array
from tests.support.threads import run


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, draws = tmp_path_factory.mktemp("table"), np.random.default_rng(1)
    chunk = write_chunk(folder / places.chunk(0), [draws.integers(0, 4, n).tolist() for n in (700, 0, 3000)])
    return {"corpus": chunk, "suffix_array": write_suffix_array(folder / places.SUFFIX_ARRAY, chunk)}


def made(inputs: dict[str, Path], out: Path) -> Path:
    (out / places.BLOCKS).mkdir(parents=True)
    search_table.run(search_table.Config(), inputs, out)
    return out / places.SEARCH_TABLE


def test_a_key_is_the_first_tokens_of_its_suffix(inputs, tmp_path) -> None:
    tokens, positions = hdf5.read(inputs["corpus"], "tokens"), hdf5.read(inputs["suffix_array"], "positions")
    first = [[*tokens[at : at + 4], 0, 0, 0][:4] for at in positions[:: index.STEP]]
    wanted = [sum(int(token) << 16 * (3 - place) for place, token in enumerate(each)) for each in first]
    assert hdf5.read(made(inputs, tmp_path / "out"), "keys").tolist() == wanted


def test_any_number_of_ranks_and_parts_gives_the_same_bytes(inputs, tmp_path, monkeypatch) -> None:
    alone = made(inputs, tmp_path / "one")
    monkeypatch.setattr(chunks, "CHECKED_TOKENS", 4)  # many blocks
    chunk = write_chunk(tmp_path / "chunk-00.h5", [hdf5.read(inputs["corpus"], "tokens").tolist()])
    array = write_suffix_array(tmp_path / "array.h5", chunk)
    many = tmp_path / "three.h5"
    (tmp_path / "blocks").mkdir()

    def work() -> None:
        one = chunks.open_chunk(chunk)
        by_ranks.make_table(many, tmp_path / "blocks", one, opened.open_suffix_array(array, one), mpi.world())

    run(work, 3)
    assert np.array_equal(hdf5.read(many, "keys"), hdf5.read(alone, "keys"))
    assert np.array_equal(hdf5.read(many, "checksums"), chunks.checksums(hdf5.read(many, "keys")))


def test_a_table_is_read_for_its_own_array_and_only_as_it_was_written(inputs, tmp_path) -> None:
    chunk = chunks.open_chunk(inputs["corpus"])
    array = opened.open_suffix_array(inputs["suffix_array"], chunk)
    path = made(inputs, tmp_path / "out")
    assert np.array_equal(index.read(path, chunk, array), index.table(chunk, array))
    other = write_chunk(tmp_path / "chunk-01.h5", [[1, 2, 3]])
    with pytest.raises(TesseraError, match=r"search_table\.h5: a table of another text than .*chunk-01\.h5"):
        index.read(path, chunks.open_chunk(other), array)
    with hdf5.opened(path) as file:
        place = file["keys"].id.get_offset()
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(TesseraError, match=r"search_table\.h5: not what was written"):
        index.read(path, chunk, array)


def test_an_array_of_something_else_is_refused(inputs, tmp_path) -> None:
    tokens = len(hdf5.read(inputs["corpus"], "tokens"))
    with hdf5.create(tmp_path / "wrong.h5") as file:
        hdf5.write(file, "positions", np.full(tokens, tokens, "<u4"), contiguous=True)
    chunk = chunks.open_chunk(inputs["corpus"])
    with pytest.raises(TesseraError, match=r"wrong\.h5: holds what is no position of .*chunk-00\.h5"):
        index.table(chunk, opened.open_suffix_array(tmp_path / "wrong.h5", chunk))
