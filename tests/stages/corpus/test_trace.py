"""The stage `trace`: runs, counts, places and near-duplicates are those of brute force, whatever ranks and blocks."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein

from jobs.corpus import trace
from lib.base import blocks, hdf5, places
from lib.base.errors import TesseraError, UsageError
from lib.models import loading
from lib.tokens.encoders import Original
from tests.support.corpora import write_chunk, write_suffix_array
from tests.support.threads import run

MIN_RUN, WINDOW, EDITS = 3, 12, 2
CORPUS = [
    ["the quick brown fox jumps over a lazy dog", "", "many small models remember text that was repeated inexactly"],
    ["a lazy dog while many small models forget text that was read once in a book", "the quick brown fox"],
]
TEXTS = [
    "the quick brown fox remembers text that was repeated",
    "many small models remember text that was repeated inexactly and many small models forget it",
    "",
    "zzz",
    "a lazy dog",
]
COLUMNS = {"runs": ("text", "start", "length", "count"), "near": ("text", "start", "chunk", "position", "distance")}


@pytest.fixture(scope="module")
def ids(tiny_tokenizer: Path):
    encoder = Original(loading.load_tokenizer(tiny_tokenizer))
    return lambda text: encoder.encode([text]).ids.tolist()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Path, ids) -> dict[str, Any]:
    folder, name = tmp_path_factory.mktemp("traced"), Original(loading.load_tokenizer(tiny_tokenizer)).name
    corpus = [
        write_chunk(folder / places.chunk(row), [ids(text) for text in texts], vocab_size=400, tokenizer=name)
        for row, texts in enumerate(CORPUS)
    ]
    arrays = [write_suffix_array(folder / f"array-{row}.h5", chunk) for row, chunk in enumerate(corpus)]
    texts = folder / "texts.jsonl"
    texts.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    return {"corpus": corpus, "suffix_arrays": arrays, "tokenizer": tiny_tokenizer, "texts": texts}


def traced(inputs: dict[str, Any], out: Path, **settings: Any) -> Path:
    (out / places.BLOCKS).mkdir(parents=True, exist_ok=True)
    values = {"min_run": MIN_RUN, "window": WINDOW, "max_edits": EDITS, **settings}
    trace.run(trace.Config(**values), inputs, out)
    return out / places.TRACES


def rows(path: Path, group: str, *names: str) -> list[tuple[int, ...]]:
    return list(zip(*(hdf5.read(path, f"{group}/{name}").tolist() for name in names)))


def places_of(document: list[int], run: list[int]) -> list[int]:
    return [at for at in range(len(document) - len(run) + 1) if document[at : at + len(run)] == run]


def located(offsets: np.ndarray, position: int) -> tuple[int, int]:
    """The document of a position, and the token of it."""
    document = max(row for row, begin in enumerate(offsets[:-1].tolist()) if begin <= position)
    return document, position - int(offsets[document])


def brute(corpus: list[list[list[int]]], texts: list[list[int]]) -> tuple[list, list]:
    """(text, start, length, count) of runs, (text, chunk, document, token) of their places, by looking everywhere."""
    runs, found = [], []
    documents = [(c, d, document) for c, chunk in enumerate(corpus) for d, document in enumerate(chunk)]
    for number, text in enumerate(texts):
        spans = [
            (a, b)
            for a, b in itertools.combinations(range(len(text) + 1), 2)
            if b - a >= MIN_RUN and any(places_of(document, text[a:b]) for *_, document in documents)
        ]
        for a, b in spans:
            if not any(x <= a and b <= y and (x, y) != (a, b) for x, y in spans):
                where = [(number, c, d, at) for c, d, document in documents for at in places_of(document, text[a:b])]
                runs.append((number, a, b - a, len(where)))
                found += where
    return runs, found


def brute_near(corpus: list[list[list[int]]], texts: list[list[int]]) -> set[tuple[int, ...]]:
    """(text, start, chunk, document, token, distance) of all windows within the distance, overlapping ones included."""
    found = set()
    for number, text in enumerate(texts):
        length = min(WINDOW, len(text))
        starts = [*range(0, max(len(text) - length, 1), length or 1), len(text) - length] if text else []
        for start, (c, chunk) in itertools.product(starts, enumerate(corpus)):
            for d, document in enumerate(chunk):
                for at in range(len(document) - length + 1):
                    distance = Levenshtein.distance(text[start : start + length], document[at : at + length])
                    if distance <= min(EDITS, length):
                        found.add((number, start, c, d, at, distance))
    return found


@pytest.fixture(scope="module")
def wanted(ids) -> tuple[list, list, set]:
    corpus, texts = [[ids(text) for text in chunk] for chunk in CORPUS], [ids(text) for text in TEXTS]
    return (*brute(corpus, texts), brute_near(corpus, texts))


def test_it_finds_what_brute_force_finds(inputs, wanted, ids, tmp_path) -> None:
    path = traced(inputs, tmp_path, most_places=99)
    runs, at, near = wanted
    assert rows(path, "runs", *COLUMNS["runs"]) == runs
    text = hdf5.read(path, "runs/text")
    found = [(int(text[run]), *place) for run, *place in rows(path, "places", "run", "chunk", "document", "token")]
    assert found == at
    assert hdf5.read(path, "tokens").tolist() == [len(ids(text)) for text in TEXTS]
    assert hdf5.read(path, "longest").tolist() == [
        max((n for number, _, n, _ in runs if number == row), default=0) for row in range(len(TEXTS))
    ]
    offsets = [hdf5.read(chunk, "offsets").astype(int) for chunk in inputs["corpus"]]
    hits = rows(path, "near", *COLUMNS["near"])
    spelled = [(*hit[:3], *located(offsets[hit[2]], hit[3]), hit[4]) for hit in hits]
    assert set(spelled) <= near
    assert {hit[:3] for hit in near} == {hit[:3] for hit in spelled}  # the nearest of those that overlap
    assert len({distance for *_, distance in spelled}) > 1


def test_ranks_blocks_and_interruptions_give_the_same_bytes(inputs, tmp_path, monkeypatch) -> None:
    alone = traced(inputs, tmp_path / "alone").read_bytes()
    for size in (2, 3):
        run(lambda size=size: traced(inputs, tmp_path / str(size), block_texts=size), size)
        assert (tmp_path / str(size) / places.TRACES).read_bytes() == alone
    write, done = blocks.write, []

    def dies_at_the_fifth(path, arrays):
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(path.name)
        write(path, arrays)

    monkeypatch.setattr(blocks, "write", dies_at_the_fifth)
    with pytest.raises(KeyboardInterrupt):
        traced(inputs, tmp_path / "killed", block_texts=2)
    monkeypatch.setattr(blocks, "write", lambda path, arrays: (done.append(path.name), write(path, arrays)))
    assert traced(inputs, tmp_path / "killed", block_texts=2).read_bytes() == alone
    assert len(done) == len(set(done))  # nothing was made twice


def test_what_a_model_wrote_is_traced_in_the_tokens_of_the_corpus(inputs, tiny_tokenizer, ids, tmp_path) -> None:
    continuation, prompt = ids(" fox jumps over"), ids("the quick brown")
    end = loading.load_tokenizer(tiny_tokenizer).eos_token_id
    with hdf5.create(tmp_path / places.GENERATIONS) as file:
        hdf5.write(file, "prompt", np.array([prompt]))
        hdf5.write(file, "continuation", np.array([[*continuation, end, -1]]))
    given = {key: value for key, value in inputs.items() if key != "texts"} | {"generations": [tmp_path]}
    path = traced({**given, "model": tiny_tokenizer}, tmp_path / "out", near=False)
    assert hdf5.read(path, "longest").tolist() == hdf5.read(path, "tokens").tolist() == [len(continuation)]
    with pytest.raises(UsageError, match="name the model that wrote them"):
        traced(given, tmp_path / "without")


def test_inputs_that_do_not_fit_are_named(inputs, tmp_path, ids) -> None:
    foreign = write_chunk(tmp_path / places.chunk(0), [[1, 2, 3]], vocab_size=400)
    array = write_suffix_array(tmp_path / "array.h5", foreign)
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    generations = {"generations": [tmp_path], "model": inputs["tokenizer"]}
    for changes, message in (
        ({"corpus": [foreign], "suffix_arrays": [array]}, r"chunk-00\.h5: made with the tokenizer toy, but"),
        ({"suffix_arrays": inputs["suffix_arrays"][:1]}, "suffix_arrays: 1 for 2 chunks"),
        ({"suffix_arrays": inputs["suffix_arrays"][::-1]}, r"array-1\.h5: a suffix array of"),
        ({"texts": empty}, r"empty\.jsonl: no text in it"),
        (generations, "give one of the inputs 'texts'"),
    ):
        with pytest.raises(TesseraError, match=message):
            traced({**inputs, **changes}, tmp_path / "out")


def test_a_shallow_array_finds_the_same(inputs, tmp_path) -> None:
    shallow = [write_suffix_array(tmp_path / f"array-{i}.h5", chunk, 2) for i, chunk in enumerate(inputs["corpus"])]
    found = traced({**inputs, "suffix_arrays": shallow}, tmp_path / "out").read_bytes()
    assert found == traced(inputs, tmp_path / "deep").read_bytes()
