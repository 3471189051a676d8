"""The stages `cuts` and `cleaned`: against loops over text, and by the suffix array; other corpora, ranks, kills."""

import itertools
import json
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as arrow
import pytest
import zstandard
from pyarrow import parquet
from rapidfuzz.distance import Levenshtein

from jobs.corpus import (
    cleaned,
    cuts,
    duplicate_groups,
    exact_duplicates,
    near_duplicates,
    suffix_array,
    tokenize,
    windows_left,
)
from lib.base import blocks, hdf5, places
from lib.base.errors import TesseraError
from lib.corpus import chunks
from lib.corpus.cleaning import ranges
from lib.models import loading
from lib.texts import listing, rewriting, text_files
from lib.tokens import byte_ranges, tokenization
from tests.support import threads
from tests.support.ranks import run_ranks

LENGTH = 6
WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "a",
    "lazy",
    "dog",
    "while",
    "many",
    "small",
    "models",
    "remember",
    "text",
]
LICENCE = "Permission is hereby granted, free of charge, to any person. é東 (x, y) = f[i] 東京 0123456789"


def documents(file: int) -> list[str]:
    """Noise, the same licence in many places, repeats inside a document, a document that is a licence, an empty one."""
    rng = np.random.default_rng(file)
    noise = [" ".join(rng.choice(WORDS, rng.integers(3, 9))) + f" {file}{number}🦊" for number in range(6)]
    return [
        noise[0],
        f"{noise[1]} {LICENCE}",
        "",
        f"{noise[2]}\n{LICENCE}\n{noise[3]}",
        LICENCE,
        noise[4] * 3,
        "東" * 20,
        noise[5],
    ]


def put(folder: Path, files: int = 4) -> Path:
    folder.mkdir(parents=True)
    for file in range(files):
        lines = b"".join(
            json.dumps({"id": number, "text": text, "of": file}, ensure_ascii=bool(file % 2)).encode() + b"\n"
            for number, text in enumerate(documents(file))
        )
        (folder / f"part-{file}.jsonl.zst").write_bytes(zstandard.compress(lines))
    return folder


def made(stage, out: Path, inputs: dict, **config) -> Path:
    blocks.claim(out / places.BLOCKS, "test")
    stage.run(stage.Config(**config), inputs, out)
    return out


def tokens_of(corpus: Path, tokenizer: Path, out: Path, count: int = 1) -> Path:
    return made(tokenize, out, {"corpus": corpus, "tokenizer": tokenizer}, chunks=count)


def groups_of(chunk: Path, out: Path, length: int = LENGTH) -> Path:
    array = made(suffix_array, out / "array", {"corpus": chunk}, depth=64)
    return made(exact_duplicates, out / "groups", {"corpus": chunk, "suffix_array": array}, length=length)


@pytest.fixture(scope="module")
def inputs(tiny_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("cleaned")
    corpus = put(folder / "in")
    tokens = tokens_of(corpus, tiny_tokenizer, folder / "tokens")
    groups = groups_of(tokens, folder)
    return {"corpus": corpus, "tokenizer": tiny_tokenizer, "tokens": [tokens], "groups": groups}


def cleaned_of(inputs: dict, out: Path, **config) -> Path:
    given = {"corpus": inputs["tokens"], "groups": [inputs["groups"]]}
    found = made(cuts, out / "cuts", given, length=LENGTH, **config)
    rest = {name: inputs[name] for name in ("corpus", "tokenizer", "tokens")}
    return made(cleaned, out / "cleaned", {**rest, "cuts": found})


@pytest.fixture(scope="module")
def found(inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cleaned_of(inputs, tmp_path_factory.mktemp("found"))


def columns(file: Path) -> dict[str, list]:
    return {name: hdf5.read(file, name).tolist() for name in (*cleaned.COLUMNS, "file")}


@pytest.mark.parametrize("keep", ["one", "none"])
def test_the_files_are_those_of_a_loop_over_texts(inputs, tmp_path, keep: str) -> None:
    """Groups by a dict of windows, tokens to characters by decoding what stays of each document."""
    found = cleaned_of(inputs, tmp_path, keep=keep)
    tokenizer = loading.load_tokenizer(inputs["tokenizer"])
    aligner, seen = byte_ranges.Aligner(tokenizer), defaultdict(list)
    texts = [(file, number, text) for file in range(4) for number, text in enumerate(documents(file))]
    ids = [np.array(tokenization.encode(tokenizer, text)) for _, _, text in texts]
    for row, one in enumerate(ids):
        for at in range(len(one) - LENGTH + 1):
            seen[tuple(one[at : at + LENGTH])].append((row, at))
    gone = [np.zeros(len(one), bool) for one in ids]
    for (first_row, first), *others in (group for group in seen.values() if len(group) > 1):
        if keep == "none":
            gone[first_row][first : first + LENGTH] = True
        for row, at in others:
            low = max(at, first + LENGTH) if row == first_row and keep == "one" else at
            gone[row][low : at + LENGTH] = True
    for row, (file, number, text) in enumerate(texts):
        inside = np.flatnonzero(np.diff(np.concatenate([[0], gone[row], [0]])))
        cut = aligner.byte_ranges(text, ids[row], inside.reshape(-1, 2))
        data = text.encode()
        pieces = [data[low:high].decode() for low, high in ranges.kept(cut[:, 0], cut[:, 1], len(data))]
        lines = [record for record in records(found, file) if record["id"] == number]
        record = {"id": number, "text": "\n\n".join(pieces), "of": file}
        rest = [[low, high] for low, high in cut.tolist() if low < high]
        assert lines == ([] if len(cut) and not pieces else [{**record, "cut": rest} if len(cut) else record])


def records(found: Path, file: int) -> list[dict]:
    data = (found / "files" / f"part-{file}.jsonl.zst").read_bytes()
    return [json.loads(line) for line in zstandard.ZstdDecompressor().decompressobj().decompress(data).splitlines()]


def test_what_went_and_what_stays_give_the_original(inputs, found) -> None:
    rows = columns(found / places.CLEANED)
    assert rows["file"] == sorted(rows["file"])
    cut = defaultdict(list)
    for file, number, low, high in zip(rows["file"], rows["in_file"], rows["byte_start"], rows["byte_stop"]):
        cut[file, number].append((low, high))
    left = {file: {record["id"]: record["text"] for record in records(found, file)} for file in range(4)}
    for file in range(4):
        for number, text in enumerate(documents(file)):
            data, at, pieces = text.encode(), 0, []
            for low, high in [*cut.get((file, number), []), (len(data), len(data))]:
                pieces += [data[at:low]] if at < low else []
                at = high
            assert left[file].get(number, "") == b"\n\n".join(pieces).decode()
            assert number in left[file] or (text and not pieces)
    attributes = hdf5.attributes(found / places.CLEANED)
    assert attributes["tokens"] == chunks.only(inputs["tokens"][0]).n_tokens
    assert attributes["gone_tokens"] == sum(rows["stop"]) - sum(rows["start"]) > 0
    assert attributes["cut_documents"] == len(cut)
    assert (
        attributes["gone_documents"] == 32 - sum(map(len, left.values())) == 7
    )  # the licence alone, and 東東東 but once


def test_by_the_suffix_array_no_window_of_before_is_left(inputs, found, tmp_path) -> None:
    """Each piece, tokenised again, as a document of its own: what is left twice is no window that stood there."""
    pieces = tmp_path / "pieces"
    pieces.mkdir()
    lines = [piece for file in range(4) for one in records(found, file) for piece in one["text"].split("\n\n")]
    (pieces / "a.jsonl").write_text("\n".join(json.dumps({"text": one}) for one in lines))
    tokens = tokens_of(pieces, inputs["tokenizer"], tmp_path / "again")
    groups = groups_of(tokens, tmp_path)
    chunk, before = chunks.only(tokens), chunks.only(inputs["tokens"][0])
    position, bounds = (hdf5.read(groups / places.GROUPS, name) for name in ("positions", "group_offsets"))
    old = {before.tokens[at : at + LENGTH].tobytes() for at in range(before.n_tokens - LENGTH + 1)}
    assert len(lines) > 20
    for low in bounds[:-1].tolist():
        window = chunk.tokens[position[low] : position[low] + LENGTH]
        assert window.tobytes() not in old


def windows(chunk: chunks.Chunk) -> dict[bytes, list[int]]:
    """Every window inside a document, and where it stands."""
    found = defaultdict(list)
    for low, high in itertools.pairwise(chunk.offsets.tolist()):
        for at in range(low, high - LENGTH + 1):
            found[chunk.tokens[at : at + LENGTH].tobytes()].append(at)
    return found


def pieces_of(chunk: chunks.Chunk, found: Path) -> list[np.ndarray]:
    """The tokens that stay, piece by piece."""
    rows = [hdf5.read(found / places.cuts(0), name).astype(int) for name in ("document", "start", "stop")]
    return [
        chunk.tokens[begin + low : begin + high]
        for number, (begin, end) in enumerate(itertools.pairwise(chunk.offsets.tolist()))
        for low, high in ranges.kept(*(column[rows[0] == number] for column in rows[1:]), end - begin)
    ]


@pytest.mark.parametrize("ranks", [3, 7])
def test_any_number_of_ranks_and_size_of_blocks_gives_the_same_bytes(inputs, found, tmp_path, ranks: int) -> None:
    given = {"corpus": inputs["tokens"], "groups": [inputs["groups"]]}
    rest = {name: inputs[name] for name in ("corpus", "tokenizer", "tokens")}
    small = {"length": LENGTH, "segment_tokens": 500, "block_members": 20}
    for name in ("cuts", "cleaned"):
        blocks.claim(tmp_path / name / places.BLOCKS, "test")
    threads.run(lambda: cuts.run(cuts.Config(**small), given, tmp_path / "cuts"), ranks)
    threads.run(lambda: cleaned.run(cleaned.Config(), {**rest, "cuts": tmp_path / "cuts"}, tmp_path / "cleaned"), ranks)
    files = ["cuts/cuts-00.h5", "cleaned/cleaned.h5", *(f"cleaned/files/part-{n}.jsonl.zst" for n in range(4))]
    for name in files:
        assert (tmp_path / name).read_bytes() == (found.parent / name).read_bytes(), name


def test_under_mpi_the_bytes_are_the_same(inputs, found, tmp_path) -> None:
    config = {"inputs": {"corpus": inputs["tokens"], "groups": [inputs["groups"]]}, "length": LENGTH}
    result = run_ranks("cuts", config, tmp_path / "cuts", 2)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "cuts/cuts-00.h5").read_bytes() == (found.parent / "cuts/cuts-00.h5").read_bytes()


def test_an_interrupted_run_goes_on_and_sees_what_is_damaged(inputs, found, tmp_path, monkeypatch) -> None:
    write, made_files = blocks.write, []

    def fail_at_third(path: Path, arrays) -> None:
        if path.stem.startswith("file-"):
            made_files.append(path.stem)
            if len(made_files) == 3:
                raise KeyboardInterrupt
        write(path, arrays)

    rest = {name: inputs[name] for name in ("corpus", "tokenizer", "tokens")}
    given, out = {**rest, "cuts": found.parent / "cuts"}, tmp_path / "out"
    monkeypatch.setattr(blocks, "write", fail_at_third)
    with pytest.raises(KeyboardInterrupt):
        made(cleaned, out, given)
    (out / "files/part-0.jsonl.zst").write_bytes(b"damaged")
    made_files.clear()
    monkeypatch.setattr(blocks, "write", lambda path, arrays: (made_files.append(path.stem), write(path, arrays)))
    made(cleaned, out, given)
    assert made_files == ["file-00000000", "file-00000002", "file-00000003"]
    for file in ("cleaned.h5", "files/part-0.jsonl.zst"):
        assert (out / file).read_bytes() == (found / file).read_bytes()


def test_what_stands_in_another_corpus_or_near_a_given_text_goes(inputs, tmp_path, tiny_tokenizer) -> None:
    """Groups of both corpora at once; near-duplicates by the scan, distances by rapidfuzz."""
    first, second = (
        chunks.only(tokens_of(put(tmp_path / f"in{n}", n), tiny_tokenizer, tmp_path / f"t{n}")) for n in (2, 1)
    )
    groups = made(duplicate_groups, tmp_path / "groups", {"corpus": [first.path, second.path]}, length=LENGTH)
    given = {"corpus": [first.path], "against": [second.path], "groups": [groups]}
    found = made(cuts, tmp_path / "against", given, length=LENGTH, keep="all")
    left = {
        piece[at : at + LENGTH].tobytes() for piece in pieces_of(first, found) for at in range(len(piece) - LENGTH + 1)
    }
    assert windows(second).keys() & windows(first).keys()
    assert not windows(second).keys() & left
    targets = np.stack([first.tokens[at : at + LENGTH] for at in range(5, 9)])
    with hdf5.create(tmp_path / "targets.h5") as file:
        hdf5.write(file, "tokens", targets)
    scan = {"corpus": [first.path], "targets": tmp_path / "targets.h5"}
    near = made(near_duplicates, tmp_path / "near", scan, length=LENGTH, max_distance=2)
    given = {"corpus": [first.path], "near_duplicates": [near]}
    kept = pieces_of(first, made(cuts, tmp_path / "far", given, length=LENGTH, max_distance=1))
    distances = [
        Levenshtein.distance(target.tolist(), piece[at : at + LENGTH].tolist())
        for target in targets
        for piece in kept
        for at in range(len(piece) - LENGTH + 1)
    ]
    assert min(distances) > 1


def test_text_files_and_parquet_lose_what_json_lines_lose(tiny_tokenizer: Path, tmp_path: Path) -> None:
    """The same documents in files of other kinds, in two chunks: the same text is left of each."""
    texts = [text for file in range(2) for text in documents(file) if text]
    folder = tmp_path / "in/deep"
    folder.mkdir(parents=True)
    parquet.write_table(arrow.table({"n": range(5), "text": texts[:5]}), folder / "0.parquet")
    (tmp_path / "in/1.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts[5:9]))
    for number, text in enumerate(texts[9:]):
        (tmp_path / f"in/{number + 2}.txt").write_text(text)
    tokens = tokens_of(tmp_path / "in", tiny_tokenizer, tmp_path / "tokens", 2)
    groups = made(duplicate_groups, tmp_path / "groups", {"corpus": [tokens]}, length=LENGTH)
    found = made(cuts, tmp_path / "cuts", {"corpus": [tokens], "groups": [groups]}, length=LENGTH, drop_above=0.9)
    given = {"corpus": tmp_path / "in", "tokenizer": tiny_tokenizer, "tokens": [tokens], "cuts": found}
    out = made(cleaned, tmp_path / "out", given, separator=" | ", cut_key="gone")
    names = [file.relative_to(tmp_path / "in") for file in listing.list_files(tmp_path / "in").files]
    assert hdf5.read_texts(out / places.CLEANED, "files") == list(map(str, names))
    order = [text for name in names for text in text_files.documents(tmp_path / "in" / name)]
    rows = columns(out / places.CLEANED)
    begins = np.cumsum([0, *(rewriting.count(tmp_path / "in" / name) for name in names)])
    left = []
    for number, text in enumerate(order):
        data, mine = text.encode(), np.flatnonzero(begins[rows["file"]] + np.array(rows["in_file"]) == number)
        cut = [np.array(rows[name])[mine] for name in ("byte_start", "byte_stop")]
        pieces = [data[low:high].decode() for low, high in ranges.kept(*cut, len(data))]
        left += [" | ".join(pieces)] if pieces else []
    assert len(rows["file"]) > 5
    assert [one for name in names for one in text_files.documents(out / "files" / name) if one] == left
    assert "gone" in parquet.read_schema(out / "files/deep/0.parquet").names


def test_what_does_not_belong_together_is_refused(inputs, found, tiny_tokenizer: Path, tmp_path: Path) -> None:
    chunk = {"corpus": inputs["tokens"]}
    with pytest.raises(TesseraError, match="nothing says what goes; give `groups`, `near_duplicates`, or both"):
        cuts.run(cuts.Config(), chunk, tmp_path)
    with pytest.raises(TesseraError, match="its groups have 6 tokens, but length is 7"):
        cuts.run(cuts.Config(length=7), {**chunk, "groups": [inputs["groups"]]}, tmp_path)
    for tokens, said in (
        (5, "found in 5 tokens, the corpus has 1728"),
        (1728, "sought up to distance 1, but max_dist"),
    ):
        with hdf5.create(tmp_path / places.NEAR_DUPLICATES) as file:
            file.attrs.update(n_tokens=tokens, max_distance=1, length=LENGTH)
        with pytest.raises(TesseraError, match=said):
            made(cuts, tmp_path / "near", {**chunk, "near_duplicates": [tmp_path]}, length=LENGTH, max_distance=2)
    rest = {name: inputs[name] for name in ("corpus", "tokenizer", "tokens")} | {"cuts": found.parent / "cuts"}
    fewer = put(tmp_path / "fewer", 3)
    with pytest.raises(
        TesseraError, match="the files have 24 documents, the tokens 32; give the tokens of these files"
    ):
        made(cleaned, tmp_path / "a", {**rest, "corpus": fewer})
    other = shutil.copytree(inputs["corpus"], tmp_path / "other")
    (other / "part-1.jsonl.zst").write_bytes((other / "part-2.jsonl.zst").read_bytes())
    with pytest.raises(TesseraError, match=r"part-1.jsonl.zst: document \d+: the tokens of a document are not those"):
        made(cleaned, tmp_path / "b", {**rest, "corpus": other})
    tokens = tokens_of(fewer, tiny_tokenizer, tmp_path / "tokens")
    with pytest.raises(TesseraError, match=r"cuts-00.h5: its cuts are not of .*chunk-00.h5"):
        made(cleaned, tmp_path / "c", {**rest, "corpus": fewer, "tokens": [tokens]})
    with pytest.raises(TesseraError, match="there is a field 'of' already; set cut_key to another name"):
        made(cleaned, tmp_path / "d", rest, cut_key="of")
    for wrong in ({"drop_above": 1.5}, {"drop_above": -0.1}, {"length": 0}, {"max_distance": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            cuts.Config(**wrong)


def test_windows_that_were_duplicates_before_are_counted(inputs, found, tmp_path) -> None:
    """The corpus against itself has all its groups; the cleaned one none of them."""
    same = {"corpus": inputs["tokens"], "cleaned": inputs["tokens"][0]}
    made(windows_left, tmp_path / "same", {**same, "cleaned_groups": inputs["groups"]}, length=LENGTH)
    n_groups = len(hdf5.read(inputs["groups"] / places.GROUPS, "counts"))
    attributes = hdf5.attributes(tmp_path / "same" / places.LEFT)
    assert (attributes["groups"], attributes["groups_of_before"]) == (n_groups, n_groups)
    tokens = tokens_of(found / "files", inputs["tokenizer"], tmp_path / "again")
    again = {**same, "cleaned": tokens, "cleaned_groups": groups_of(tokens, tmp_path)}
    made(windows_left, tmp_path / "left", again, length=LENGTH)
    attributes = hdf5.attributes(tmp_path / "left" / places.LEFT)
    assert attributes["groups_of_before"] == 0
    assert attributes["tokens"] == chunks.only(tokens).n_tokens
