"""The stage `near_duplicates`: every rank count, block size and interruption gives the bytes that brute force gives."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.corpus import near_duplicates
from lib.base import hdf5, places
from lib.base.errors import TesseraError
from tests.support.brute_near_duplicates import Rows, near_duplicates_of_corpus
from tests.support.corpora import write_chunk
from tests.support.ranks import run_ranks

LENGTH, MAX_DISTANCE = 12, 5
METRICS = ("hamming", "levenshtein")
COLUMNS = ("target", "chunk", "position", "distance")


def planted(rng: np.random.Generator, targets: np.ndarray, documents: int) -> list[list[int]]:
    """Documents of noise with edited targets at their starts, ends and anywhere, some of nothing else."""
    result: list[list[int]] = [[], [1, 2, 3]]
    for number in range(documents):
        text = rng.integers(0, 40, rng.integers(0, 60)).tolist()
        for place in (0, len(text), int(rng.integers(0, len(text) + 1))):
            copy = targets[rng.integers(len(targets))].tolist()
            for _ in range(int(rng.choice([0, 1, 5]))):
                copy[rng.integers(LENGTH)] = int(rng.integers(0, 40))
            text[place:place] = copy
        result.append(text[:LENGTH] if number % 4 == 0 else text)
    return result


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder, rng = tmp_path_factory.mktemp("scan"), np.random.default_rng(5)
    targets = rng.integers(0, 40, (7, LENGTH))
    corpus = [
        write_chunk(folder / places.chunk(0), planted(rng, targets, 12)),
        write_chunk(folder / places.chunk(1), [], vocab_size=40),
        write_chunk(folder / places.chunk(2), planted(rng, targets, 9), vocab_size=1 << 20),
        write_chunk(folder / places.chunk(3), [targets[0].tolist() * 9, targets[0].tolist()], checksums=False),
    ]
    return {"corpus": corpus, "targets": write_targets(folder / places.TARGETS, targets)}


def write_targets(path: Path, tokens: np.ndarray) -> Path:
    with hdf5.create(path) as file:
        hdf5.write(file, "tokens", tokens.astype("<u4"))
    return path


def config(inputs: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return {"inputs": inputs, "length": LENGTH, "max_distance": MAX_DISTANCE, **settings}


def run(out: Path, inputs: dict[str, Any], **settings: Any) -> Path:
    (out / places.BLOCKS).mkdir(parents=True, exist_ok=True)
    values = {"length": LENGTH, "max_distance": MAX_DISTANCE, **settings}
    near_duplicates.run(near_duplicates.Config(**values), inputs, out)
    return out / places.NEAR_DUPLICATES


def rows(path: Path, metric: str) -> Rows:
    return list(zip(*(hdf5.read(path, f"{metric}/{column}").tolist() for column in COLUMNS)))


def brute(inputs: dict[str, Any]) -> dict[str, Rows]:
    read = [
        (hdf5.read(path, "tokens").tolist(), hdf5.read(path, "offsets").astype(int).tolist())
        for path in inputs["corpus"]
    ]
    return near_duplicates_of_corpus(read, hdf5.read(inputs["targets"], "tokens").tolist(), MAX_DISTANCE)


@pytest.mark.parametrize("block_tokens", [9, 50, 1 << 26])
def test_equals_brute_force_whatever_the_blocks(inputs: dict[str, Any], tmp_path: Path, block_tokens: int) -> None:
    path, wanted = run(tmp_path, inputs, block_tokens=block_tokens), brute(inputs)
    for metric in METRICS:
        assert rows(path, metric) == wanted[metric]
        assert len(wanted[metric]) > 40
        assert hdf5.read(path, f"{metric}/position").dtype == np.uint64
        assert hdf5.read(path, f"{metric}/distance").dtype == np.uint16


def test_ranks_and_interruptions_give_the_same_bytes(inputs: dict[str, Any], tmp_path: Path) -> None:
    made = []
    for ranks, block_tokens in ((1, 1 << 26), (2, 64), (3, 50)):
        out = tmp_path / f"{ranks}"
        result = run_ranks("near_duplicates", config(inputs, block_tokens=block_tokens), out, ranks)
        assert result.returncode == 0, result.stderr
        assert not (out / places.BLOCKS).exists()
        made.append((out / places.NEAR_DUPLICATES).read_bytes())
    assert made[0] == made[1] == made[2]


def test_a_resume_does_only_the_missing_blocks(
    inputs: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lib.corpus.near import by_ranks

    whole, scan_block, done = run(tmp_path / "a", inputs, block_tokens=50), by_ranks._scan_block, []

    def stopping(chunk, targets, start, stop):
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(start)
        return scan_block(chunk, targets, start, stop)

    monkeypatch.setattr(by_ranks, "_scan_block", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", inputs, block_tokens=50)
    n_blocks = len(list((tmp_path / "a" / places.BLOCKS).glob("*.h5")))
    done.clear()
    monkeypatch.setattr(by_ranks, "_scan_block", lambda *a: done.append(a) or scan_block(*a))
    assert run(tmp_path / "b", inputs, block_tokens=50).read_bytes() == whole.read_bytes()
    assert len(done) == n_blocks - 5


def test_a_damaged_block_is_named_and_made_again(inputs: dict[str, Any], tmp_path: Path, capsys) -> None:
    before = run(tmp_path, inputs, block_tokens=50).read_bytes()
    block = sorted((tmp_path / places.BLOCKS).glob("*.h5"))[2]
    block.write_bytes(block.read_bytes()[:700])
    assert run(tmp_path, inputs, block_tokens=50).read_bytes() == before
    assert f"{block}: damaged; it is made again" in capsys.readouterr().out


def test_a_flipped_bit_of_the_corpus_is_named(inputs: dict[str, Any], tmp_path: Path) -> None:
    path = write_chunk(tmp_path / places.chunk(0), [list(range(100))])
    content = path.read_bytes()
    at = content.index(np.arange(100, dtype="<u2").tobytes()) + 90
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    with pytest.raises(TesseraError, match=r"chunk-00\.h5: tokens 0 to"):
        run(tmp_path / "out", {**inputs, "corpus": [path]})


def test_targets_that_do_not_fit_are_errors(inputs: dict[str, Any], tmp_path: Path) -> None:
    for tokens, message in (
        (np.zeros((3, LENGTH + 1)), "targets of 13 tokens, but `length` is 12"),
        (np.zeros((0, LENGTH)), "no targets"),
        (np.zeros(LENGTH), "n x length"),
        (np.full((2, LENGTH), 1 << 16), "target 0 has the id 65536, but vocab_size of .*chunk-00.h5 is 65536"),
    ):
        path = write_targets(tmp_path / places.TARGETS, tokens)
        with pytest.raises(TesseraError, match=message):
            run(tmp_path / "out", {**inputs, "targets": path})


def test_an_id_beyond_the_vocabulary_is_named(inputs: dict[str, Any], tmp_path: Path) -> None:
    path = write_chunk(tmp_path / places.chunk(0), [[0] * 70 + [45]], vocab_size=41)
    with pytest.raises(TesseraError, match="token 70 has the id 45"):
        run(tmp_path / "out", {**inputs, "corpus": [path]})


def test_settings_that_mean_nothing_are_refused() -> None:
    for wrong in ({"length": 0}, {"max_distance": -1}, {"max_distance": 1 << 16}, {"block_tokens": 0}):
        with pytest.raises(ValueError):
            near_duplicates.Config(**wrong)


def test_an_input_of_nothing_is_missing(inputs: dict[str, Any], tmp_path: Path) -> None:
    result = run_ranks("near_duplicates", config({**inputs, "corpus": None}), tmp_path / "out")
    assert result.returncode == 2
    assert "missing input 'corpus' of stage near_duplicates" in result.stderr
