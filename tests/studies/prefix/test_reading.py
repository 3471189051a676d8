"""The prefix study read from files."""

from pathlib import Path

import numpy as np
import pytest

from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.studies.prefix import reading
from lib.studies.prefix.tables import OWN


def artifacts(folder: Path, parts: int = 2, n: int = 5, **changes) -> tuple[list[Path], Path]:
    """Parts of generations.h5, last one first, and prefix_scores.h5."""
    about = {"family": "mamba", "n_parameters": 77, "decoding_kind": "greedy", "decoding_temperature": 1.0,
             "decoding_top_k": 0, "decoding_top_p": 1.0, **changes}  # fmt: skip
    files = []
    for part in reversed(range(parts)):
        rows = np.arange(n * part // parts, n * (part + 1) // parts)
        files.append(folder / f"generations-{part}.h5")
        with hdf5.create(files[-1]) as file:
            file.attrs.update(about)
            hdf5.write(file, "row", rows.astype("<u8"))
            hdf5.write(file, "prompt", np.add.outer(rows, np.arange(3)).astype("<u4"))
            hdf5.write(file, "suffix", np.add.outer(rows, np.arange(2)).astype("<u4"))
            hdf5.write(file, "subset", np.array(["prösa".encode()] * len(rows)))
            for name in ("document", "repetitions", "matched_tokens"):
                hdf5.write(file, name, rows.astype("<u4") + 1)
            for name in ("edit_similarity", "bleu", "suffix_nll", "suffix_log_p"):
                hdf5.write(file, name, -rows.astype(float))
            for name in ("exact", "suffix_in_prompt"):
                hdf5.write(file, name, rows % 2 == 0)
    scores = folder / "prefix_scores.h5"
    with hdf5.create(scores) as file:
        file.attrs["scored"] = "all"
        hdf5.write(file, "row", np.arange(n, dtype="<u8"))
        hdf5.write(file, "log_perplexity_large", np.ones(n))
        hdf5.write(file, "zlib_bytes", np.full(n, 9, "<u4"))
        for name in ("prompt", "continuation", "suffix"):
            hdf5.write_texts(file, f"{name}_text", [f"{name}{i} " for i in range(n)])
    return files, scores


def test_parts_are_put_in_the_order_of_the_prompts(tmp_path: Path) -> None:
    files, scores = artifacts(tmp_path)
    found = reading.read(reading.Labels("m"), files, scores)
    assert (found.family, found.n_parameters, found.prompt_tokens, found.suffix_tokens) == ("mamba", 77, 3, 2)
    assert found.document.tolist() == found.repetitions.tolist() == [1, 2, 3, 4, 5]
    assert found.subsets == ["prösa"]
    assert found.columns["exact"].tolist() == [True, False, True, False, True]
    assert found.texts.sample[4] == "prompt4 continuation4 "
    assert (found.sampling, set(found.evidence)) == ("", {"large", "zlib_bytes"})
    assert reading.read(reading.Labels("m"), files[::-1], scores).prompts == found.prompts
    assert reading.read(reading.Labels("m"), files, scores, repetitions_known=False).repetitions.tolist() == [0] * 5


@pytest.mark.parametrize(
    ("decoding", "text"),
    [
        ({"decoding_temperature": 0.8, "decoding_top_k": 40}, "temperature 0.8, top-k 40"),
        ({"decoding_top_p": 0.9}, "temperature 1, top-p 0.9"),
        ({}, OWN),
    ],
)
def test_sampling_is_described_in_words(tmp_path: Path, decoding, text) -> None:
    files, scores = artifacts(tmp_path, decoding_kind="sample", **decoding)
    assert reading.read(reading.Labels("m"), files, scores).sampling == text


def test_files_that_do_not_belong_together_are_named(tmp_path: Path) -> None:
    files, scores = artifacts(tmp_path)
    with pytest.raises(TesseraError, match="do not have every prompt once"):
        reading.read(reading.Labels("m"), files[:1], scores)
    with pytest.raises(TesseraError, match="do not have every prompt once"):
        reading.read(reading.Labels("m"), [*files, files[0]], scores)
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(TesseraError, match="'n_parameters' differs from"):
        reading.read(reading.Labels("m"), [files[0], artifacts(other, n_parameters=5)[0][1]], scores)
    with pytest.raises(TesseraError, match="not of the 5 prompts"):
        reading.read(reading.Labels("m"), files, artifacts(other, n=6)[1])
