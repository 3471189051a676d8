"""The stage `tokenize`: against the tokenizer document by document, under ranks, after kills, on damaged files."""

import json
import os
import re
import subprocess
import time
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import zstandard
from pyarrow import parquet

from jobs.corpus import tokenize
from lib.artifacts import store
from lib.base import blocks, hdf5, mpi, places
from lib.base.errors import TesseraError
from lib.corpus import chunks
from lib.models import loading
from lib.texts import partition, text_files
from lib.tokens import encoders
from tests.support import ranks

WORDS = ["the", "quick", "brown", "fox's", "", "jumps\n\n", "<|endoftext|>", "é", "東京", "12", "it'll", "\t"]
FILES = 7


def text(file: int, document: int) -> str:
    """Documents of many lengths, some of them empty."""
    generator = np.random.default_rng((file, document))
    return " ".join(generator.choice(WORDS, generator.integers(0, 60)))


def put(folder: Path, count: int = FILES) -> Path:
    """Files of unequal sizes; the fourth has no document at all."""
    folder.mkdir()
    for file in range(count):
        found = [text(file, document) for document in range(0 if file == 3 else 5 + 9 * (file % 3))]
        data = b"".join(json.dumps({"text": one}).encode() + b"\n" for one in [*found, *([""] if found else [])])
        (folder / f"part-{file}.jsonl.zst").write_bytes(zstandard.compress(data))
    return folder


@pytest.fixture(scope="module")
def inputs(tiny_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {"corpus": put(tmp_path_factory.mktemp("corpus") / "in"), "tokenizer": tiny_tokenizer}


def make(out: Path, inputs: dict[str, Path], **settings) -> list[Path]:
    (out / places.BLOCKS).mkdir(parents=True, exist_ok=True)
    tokenize.run(tokenize.Config(**{"chunks": 3, **settings}), inputs, out)
    return chunks.paths([out])


def documents_of(chunk: chunks.Chunk) -> list[list[int]]:
    return [chunk.tokens[start:stop].tolist() for start, stop in zip(chunk.offsets, chunk.offsets[1:])]


def digests(out: Path) -> dict[str, str]:
    return {file.name: store.sha256(file) for file in sorted(out.glob(places.CHUNKS))}


def test_every_document_as_the_tokenizer_has_it_in_input_order(inputs: dict[str, Path], tmp_path: Path) -> None:
    found = [chunks.open_chunk(path) for path in make(tmp_path, inputs, batch_characters=300)]
    original = encoders.Original(loading.load_tokenizer(inputs["tokenizer"]))
    everything = [one for file in sorted(inputs["corpus"].iterdir()) for one in text_files.documents(file)]
    assert [ids for chunk in found for ids in documents_of(chunk)] == [
        original.encode([one]).ids.tolist() for one in everything
    ]
    assert "" in everything
    assert len(found) == 3
    for chunk in found:
        chunks.check(chunk, 0, chunk.n_tokens)
        assert chunk.checksums is not None
        sums = hdf5.read(chunk.path, "offsets_checksums")
        assert sums.tolist() == chunks.checksums(chunk.offsets).tolist()
        attributes = hdf5.attributes(chunk.path)
        assert chunk.tokens.dtype == np.uint16
        assert {key: attributes[key] for key in ("vocab_size", "engine", "fallback_files", "tokenizer")} == {
            "vocab_size": original.vocab_size, "engine": "tiktoken", "fallback_files": 0, "tokenizer": original.name
        }  # fmt: skip
        assert (attributes["n_tokens"], attributes["n_documents"]) == (chunk.n_tokens, len(chunk.offsets) - 1)


def test_one_chunk_alone_is_the_same_file(inputs: dict[str, Path], tmp_path: Path) -> None:
    make(tmp_path / "all", inputs)
    make(tmp_path / "one", inputs, chunk=1, batch_characters=10)
    assert digests(tmp_path / "one") == {"chunk-01.h5": digests(tmp_path / "all")["chunk-01.h5"]}


def test_ranks_write_the_same_bytes(inputs: dict[str, Path], tmp_path: Path) -> None:
    make(tmp_path / "alone", inputs)
    ended = ranks.run_ranks("tokenize", {"inputs": inputs, "chunks": 3}, tmp_path / "ranks", 3)
    assert ended.returncode == 0, ended.stderr
    assert all(f"rank {rank}: " in ended.stdout for rank in range(3))
    assert ended.stdout.count("tokenize: tiktoken") == 1
    assert digests(tmp_path / "ranks") == digests(tmp_path / "alone")
    assert not (tmp_path / "ranks" / places.BLOCKS).exists()


def test_killed_and_resumed_by_another_number_of_ranks(inputs: dict[str, Path], tmp_path: Path) -> None:
    """Only blocks that are missing are encoded again; the bytes are those of one go."""
    many, out = put(tmp_path / "many", 60), tmp_path / "killed"
    config = {"inputs": {**inputs, "corpus": many}, "chunks": 3}
    make(tmp_path / "whole", config["inputs"])
    n_blocks = len(blocks.names(tmp_path / "whole" / places.BLOCKS))
    done = _kill(config, out, 4)
    assert 4 <= done < n_blocks
    ended = ranks.run_ranks("tokenize", config, out, 2)
    assert ended.returncode == 0, ended.stderr
    totals = dict(re.findall(r"rank (\d): (\d+) blocks made", ended.stdout))
    assert sum(map(int, totals.values())) == n_blocks - done
    assert digests(out) == digests(tmp_path / "whole")


def _kill(config: dict, out: Path, after: int) -> int:
    """Start the stage on one rank and kill it when `after` files are done; returns how many were."""
    file = out.with_name("killed.yaml")
    file.write_text(json.dumps(config, default=str))
    environment = {**os.environ, **ranks.ENVIRONMENT}
    command = ranks.command("tokenize", file, out, 1)
    running = subprocess.Popen(command, cwd=ranks.ROOT, env=environment, stdout=subprocess.DEVNULL)
    while running.poll() is None and len(list((out / places.BLOCKS).glob("0*.h5"))) < after:
        time.sleep(0.02)
    running.kill()
    running.wait()
    return len(list((out / places.BLOCKS).glob("0*.h5")))


def test_a_file_whose_ids_would_differ_goes_through_the_tokenizer(
    inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "right", inputs)
    build = encoders.fast_bpe.build

    def wrong(tokenizer, original):
        right = build(tokenizer, original)
        marked = text(4, 0)[: encoders.EXCERPT]  # in part-4 alone
        return lambda texts: right([one.replace("quick", "slow") if one == marked else one for one in texts])

    assert "quick" in text(4, 0)
    monkeypatch.setattr(encoders.fast_bpe, "build", wrong)
    make(tmp_path / "wrong", inputs)
    printed = capsys.readouterr().out
    assert "part-4.jsonl.zst: document 0: other ids through tiktoken than through the tokenizer; the whole" in printed
    found = [hdf5.attributes(path)["fallback_files"] for path in chunks.paths([tmp_path / "wrong"])]
    assert sum(found) == 1
    for right, checked in zip(chunks.open_chunks([tmp_path / "right"]), chunks.open_chunks([tmp_path / "wrong"])):
        assert documents_of(right) == documents_of(checked)


def test_a_tokenizer_that_is_no_byte_level_bpe(
    inputs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tokenizers import Tokenizer, pre_tokenizers
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: 7 * index for index, word in enumerate(["?", "the", "quick", "fox"])} | {"far": 70_000}
    backend = Tokenizer(WordLevel(vocabulary, unk_token="?"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="?").save_pretrained(tmp_path / "words")
    paths = make(tmp_path / "out", {**inputs, "tokenizer": tmp_path / "words"})
    assert "tokenize: tokenizers (not through tiktoken: " in capsys.readouterr().out
    found = chunks.open_chunks(paths)
    assert {chunk.tokens.dtype for chunk in found} == {np.dtype(np.uint32)}  # ids beyond 2^16
    assert sum(int(hdf5.attributes(path)["fallback_files"]) for path in paths) == FILES
    assert set(np.concatenate([chunk.tokens for chunk in found]).tolist()) <= set(vocabulary.values())


def test_damaged_and_changed_files_are_named(
    inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = put(tmp_path / "in")
    bad = folder / "part-2.jsonl.zst"
    bad.write_bytes(bad.read_bytes()[:-9])
    with pytest.raises(TesseraError, match=r"part-2\.jsonl\.zst: truncated or damaged after line \d+"):
        make(tmp_path / "cut", {**inputs, "corpus": folder})
    assert not list((tmp_path / "cut").glob(places.CHUNKS))
    assert not (tmp_path / "cut" / places.BLOCKS / "00000002.h5").exists()
    read = text_files.documents

    def touching(path: Path, text_key: str, skipped: None, part: None):
        yield from read(path, text_key)
        os.utime(path, ns=(0, 0))

    monkeypatch.setattr(text_files, "documents", touching)
    with pytest.raises(TesseraError, match="changed since the corpus was listed"):
        make(tmp_path / "changed", {**inputs, "corpus": put(tmp_path / "other")})


BAD = [b'{"text": null}', b"[1]", b'{"text": "\xff"}', b'{"text"', b'{"body": 1}']


def spoil(folder: Path) -> list[bytes]:
    """Put every bad document between good ones, in several files; returns the lines of all."""
    put(folder)
    every = []
    for index, bad in enumerate(BAD):
        file = folder / f"part-{index}.jsonl.zst"
        lines = zstandard.decompress(file.read_bytes()).splitlines()
        lines.insert(len(lines) // 2, bad)
        file.write_bytes(zstandard.compress(b"\n".join(lines)))
    for file in sorted(folder.iterdir()):
        every += zstandard.decompress(file.read_bytes()).splitlines()
    return every


@pytest.mark.parametrize("most", [len(BAD), 0.2])
def test_bad_documents_are_skipped_counted_and_keep_their_numbers(
    inputs: dict[str, Path], tmp_path: Path, most: int | float
) -> None:
    every = spoil(tmp_path / "in")
    given = {**inputs, "corpus": tmp_path / "in"}
    settings = {"chunks": 1, "on_bad_document": "skip", "max_bad_documents": most}
    (path,) = make(tmp_path / "out", given, **settings)
    original = encoders.Original(loading.load_tokenizer(inputs["tokenizer"]))
    texts = ["" if line in BAD else json.loads(line)["text"] for line in every]
    assert documents_of(chunks.open_chunk(path)) == [original.encode([one]).ids.tolist() for one in texts]
    stored = hdf5.attributes(path)
    assert stored["bad_documents"] == 5
    assert json.loads(stored["bad_documents_by_reason"]) == {
        "no key": 1, "not JSON": 1, "not UTF-8": 1, "not an object": 1, "null": 1
    }  # fmt: skip
    first = json.loads(stored["bad_documents_first"])
    assert [Path(one.split(": line")[0]).name for one in first] == [f"part-{index}.jsonl.zst" for index in range(5)]


def test_more_bad_documents_than_allowed_are_an_error_with_counts(inputs: dict[str, Path], tmp_path: Path) -> None:
    spoil(tmp_path / "in")
    given = {**inputs, "corpus": tmp_path / "in"}
    for most in (4, 0.01):
        with pytest.raises(TesseraError, match=r"5 of \d+ documents are bad \(no key 1, .*first: .*part-0.*line"):
            make(tmp_path / "out", given, chunks=1, on_bad_document="skip", max_bad_documents=most)
    with pytest.raises(TesseraError, match=r"part-\d.*: line \d+: .* set on_bad_document: skip"):
        make(tmp_path / "fail", given, chunks=1)
    with pytest.raises(ValueError, match=r"max_bad_documents is 1\.5; it must be a count"):
        tokenize.Config(max_bad_documents=1.5)


def test_a_damaged_block_is_named_and_made_again(
    inputs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [path.read_bytes() for path in make(tmp_path, inputs)]
    block = tmp_path / places.BLOCKS / "00000001.h5"
    block.write_bytes(block.read_bytes()[:300])
    assert [path.read_bytes() for path in make(tmp_path, inputs)] == made
    assert "00000001.h5: damaged; it is made again" in capsys.readouterr().out


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_one_large_file_serves_many_chunks_and_blocks(inputs, tmp_path, monkeypatch, ending) -> None:
    monkeypatch.setattr(partition, "LEAST_PIECE", 1)
    monkeypatch.setattr(partition, "PIECES", 2)
    texts = [text(1, document) for document in range(120)]
    path = tmp_path / f"all{ending}"
    if ending == ".jsonl":
        path.write_text("".join(json.dumps({"text": one}) + "\n" for one in texts), encoding="utf-8")
    else:
        parquet.write_table(
            pyarrow.table({"text": texts}), path, row_group_size=9, compression=None, use_dictionary=False
        )
    given = {**inputs, "corpus": path}
    whole = chunks.open_chunk(make(tmp_path / "one", given, chunks=1)[0])
    found = chunks.open_chunks(make(tmp_path / "four", given, chunks=4))
    assert [one for chunk in found for one in documents_of(chunk)] == documents_of(whole)
    assert len(documents_of(whole)) == len(texts)
    assert max(chunk.n_tokens for chunk in found) < whole.n_tokens / 2
    monkeypatch.setattr(partition, "LARGEST_PIECE", path.stat().st_size // 5)
    monkeypatch.setattr(tokenize, "GROUPED", 0)
    again = make(tmp_path / "blocks", given, chunks=1)[0]
    assert len(blocks.names(again.parent / places.BLOCKS)) > 4
    assert again.read_bytes() == whole.path.read_bytes()


def test_small_files_share_blocks_and_give_the_same_chunk(inputs, tmp_path, monkeypatch) -> None:
    """One of them goes through the original tokenizer, alone, as if each file had a block of its own."""
    folder = put(tmp_path / "in", count=30)
    compared = encoders.Encoder.compared

    def differing(self, batch: list[str], first: int):
        if batch[0] == text(5, 0):
            raise encoders.Disagreement("document 0")
        return compared(self, batch, first)

    monkeypatch.setattr(encoders.Encoder, "compared", differing)
    given = {**inputs, "corpus": folder}
    alone = make(tmp_path / "alone", given, chunks=2)
    monkeypatch.setattr(partition, "PIECES", 4)
    shared = make(tmp_path / "shared", given, chunks=2)
    assert len(blocks.names(tmp_path / "alone" / places.BLOCKS)) == 30
    assert len(blocks.names(tmp_path / "shared" / places.BLOCKS)) < 12
    assert [path.read_bytes() for path in shared] == [path.read_bytes() for path in alone]
    assert sum(hdf5.attributes(path)["fallback_files"] for path in shared) == 1


def test_more_chunks_than_files_and_wrong_settings(inputs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(TesseraError, match=f"{FILES} files cannot fill 8 chunks"):
        make(tmp_path, inputs, chunks=8)
    for wrong in ({"chunks": 0}, {"chunk": 3}, {"chunk": -1}):
        with pytest.raises(ValueError, match="it must be"):
            tokenize.Config(**{"chunks": 3, **wrong})


def test_positions_beyond_32_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second block of a chunk is put behind 2^32 + 5 tokens; a sparse file stands for those."""
    from lib.corpus import chunk_writer

    first, second, path = tmp_path / "a.h5", tmp_path / "b.h5", tmp_path / "chunk-00.h5"
    _block(first, [0])
    _block(second, [1, 0, 2])
    far = (1 << 32) + 5
    real = chunk_writer._size
    monkeypatch.setattr(
        chunk_writer, "_size", lambda part: chunk_writer.Size(far, 1, 0) if part == first else real(part)
    )
    monkeypatch.setattr(chunk_writer, "put_checksums", lambda *_: None)  # of 8 GiB of nothing
    chunk_writer.assemble(path, [first, second], np.dtype("<u2"), {"vocab_size": 10}, mpi.world())
    with hdf5.opened(path) as file:
        assert file["offsets"][()].tolist()[2:] == [far + 1, far + 1, far + 3]
        assert chunks.memmap(path, file["tokens"])[far:].tolist() == [1, 2, 3]


def _block(path: Path, lengths: list[int]) -> None:
    with blocks.create(path) as file:
        hdf5.append(file, "tokens", np.arange(1, sum(lengths) + 1).astype("<u2"))
        hdf5.append(file, "lengths", np.array(lengths, "<u8"))
        hdf5.write(file, "original", np.zeros(1, "u1"))
