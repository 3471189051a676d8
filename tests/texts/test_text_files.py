import bz2
import gzip
import itertools
import json
import lzma
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pandas
import pyarrow
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from lib.base.errors import TesseraError
from lib.texts import bad_documents, compression, text_files
from lib.texts.text_files import documents

TEXTS = ["one", "", "two\nlines\r\n", "naïve 東京 \U0001f600", "<|endoftext|>", " \t", "x" * 300_000, "last"]
PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
    ".zstd": zstandard.compress,
}
KEEP = {kind + packed: pack for kind in (".jsonl", ".ndjson", ".jsonlines", ".json") for packed, pack in PACK.items()}
ARCHIVES = [f".jsonl{packed}" for packed in PACK if packed]
any_text = st.text(st.characters(codec="utf-8"))


def lines(texts: list[str], ascii_only: bool = False) -> bytes:
    return b"".join(json.dumps({"id": 1, "text": text}, ensure_ascii=ascii_only).encode() + b"\n" for text in texts)


def put(folder: Path, ending: str, data: bytes) -> Path:
    path = folder / f"a{ending}"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("ending", KEEP)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_json_lines_of_every_kind(tmp_path: Path, ending: str, ascii_only: bool) -> None:
    path = put(tmp_path, ending, KEEP[ending](lines(TEXTS, ascii_only)))
    assert list(documents(path)) == TEXTS


def test_every_ending_is_tested() -> None:
    assert set(KEEP) | {f".txt{packed}" for packed in PACK} | {".parquet", ".csv"} == set(text_files.READERS)


@given(st.lists(any_text, max_size=8), st.integers(1, 40))
def test_lines_do_not_depend_on_the_blocks_read(texts: list[str], size: int) -> None:
    data = lines(texts)
    blocks = [data[start : start + size] for start in range(0, len(data), size)]
    assert [json.loads(line)["text"] for line in compression.lines(iter(blocks), 1 << 30) if line] == texts


@given(
    st.lists(st.binary(max_size=9).filter(lambda line: b"\n" not in line), min_size=1),
    st.integers(1, 9),
    st.integers(0, 8),
)
def test_a_line_is_never_held_beyond_the_longest(whole: list[bytes], size: int, longest: int) -> None:
    data = b"\n".join(whole)
    blocks = [data[start : start + size] for start in range(0, len(data), size)]
    found = list(compression.lines(iter(blocks), longest))
    assert len(found) == len(whole)
    for line, true in zip(found, whole):
        assert line == true if line is not None else len(true) > longest
        assert line is None or len(true) <= max(longest, size)


EDGES = st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n"])


@given(st.lists(st.tuples(any_text, EDGES), max_size=8), st.booleans(), st.data())
def test_parts_of_a_file_have_its_documents_in_order(tmp_path_factory, texts, ends, data) -> None:
    """Wherever it is cut, in the middle of a character or of a line end too."""
    whole = b"".join(lines([text]).rstrip(b"\n") + edge for text, edge in texts)
    whole = whole if ends else whole.rstrip()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    path = put(tmp_path_factory.mktemp("parts"), ".jsonl", whole)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compression, "READ_BYTES", data.draw(st.integers(1, 50)))
        parts = [list(documents(path, part=part)) for part in itertools.pairwise([0, *cuts, len(whole)])]
    assert [text for part in parts for text in part] == [text for text, _ in texts] == list(documents(path))


def test_row_groups_belong_to_the_part_in_which_they_begin(tmp_path: Path) -> None:
    texts = [str(number) * 50 for number in range(10)]
    path = write_table(tmp_path / "a.parquet", pyarrow.array(texts))  # groups of 3 rows
    size = path.stat().st_size
    for cut in range(0, size, size // 20):
        parts = [list(documents(path, part=part)) for part in ((0, cut), (cut, size))]
        assert [text for part in parts for text in part] == texts
        assert len(parts[0]) in (0, 3, 6, 9, 10)
    path = write_table(path, pyarrow.array([*texts, None]))
    with pytest.raises(TesseraError, match=r"a\.parquet: row 10: 'text' is null"):
        list(documents(path, part=(5, path.stat().st_size)))  # without the first group, at byte 4


def test_what_is_bad_in_a_part_is_named_by_where_the_part_begins(tmp_path: Path) -> None:
    path = put(tmp_path, ".jsonl", lines(["a", "b"]) + b"[]\n")
    start = len(lines(["a"]))
    with pytest.raises(TesseraError, match=rf"a\.jsonl: line 2 from byte {start} on: the line is an array"):
        list(documents(path, part=(start - 3, 10**6)))
    for ending in (".txt", ".jsonl.zst"):
        with pytest.raises(TesseraError, match="are read whole"):
            list(documents(put(tmp_path, ending, b"a"), part=(0, 1)))


def test_blank_lines_and_a_missing_last_line_break(tmp_path: Path) -> None:
    assert list(documents(put(tmp_path, ".jsonl", b'\n{"text": "a"}\r\n \n{"text": "b"}'))) == ["a", "b"]
    assert list(documents(put(tmp_path, ".jsonl", b""))) == []


@pytest.mark.parametrize("ending", ARCHIVES)
def test_archives_of_several_frames_and_members(tmp_path: Path, ending: str) -> None:
    halves = lines(TEXTS[:4]), lines(TEXTS[4:])
    assert list(documents(put(tmp_path, ending, b"".join(map(KEEP[ending], halves))))) == TEXTS


def test_frames_that_zstandard_skips_are_skipped(tmp_path: Path) -> None:
    extra = bytes([0x50, 0x2A, 0x4D, 0x18, 4, 0, 0, 0]) + b"meta"  # pzstd writes such
    for data in (extra + zstandard.compress(lines(TEXTS)), zstandard.compress(lines(TEXTS)) + extra):
        assert list(documents(put(tmp_path, ".jsonl.zst", data))) == TEXTS


@pytest.mark.parametrize("ending", [".jsonl.zst", ".jsonl.gz"])
def test_memory_is_bounded_by_the_longest_line_not_by_what_a_block_unpacks_to(tmp_path: Path, ending: str) -> None:
    size = 1 << 23
    path = put(tmp_path, ending, KEEP[ending](lines(["x" * 1000]) * (size // 1000)))
    tracemalloc.start()
    assert sum(map(len, documents(path))) > size * 0.9
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < size / 4


@pytest.mark.parametrize("ending", ARCHIVES)
def test_an_archive_cut_anywhere_is_an_error(tmp_path: Path, ending: str) -> None:
    whole = KEEP[ending](lines([f"document {number}" for number in range(200)]))
    for length in {*range(0, len(whole), 37), len(whole) - 1}:
        with pytest.raises(TesseraError, match=rf"a{ending}: (truncated or damaged after line \d+|line \d+: not JSON)"):
            list(documents(put(tmp_path, ending, whole[:length])))


@pytest.mark.parametrize("ending", [*ARCHIVES, ".txt.gz"])
def test_what_is_no_archive_is_an_error_of_its_own(tmp_path: Path, ending: str) -> None:
    with pytest.raises(
        TesseraError, match=r"no (gzip|bzip2|xz|zstandard) file, as its ending says: it begins with b'{"
    ):
        list(documents(put(tmp_path, ending, lines(["plain"]))))


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".txt", ".txt.zst"])
def test_a_byte_order_mark_is_no_text(tmp_path: Path, ending: str) -> None:
    bom = b"\xef\xbb\xbf"
    if ending.startswith(".txt"):
        assert list(documents(put(tmp_path, ending, PACK[ending[4:]](bom + b"a\xef\xbb\xbf")))) == ["a\ufeff"]
    else:  # two such files, one behind the other
        data = KEEP[ending](bom + lines(["a", "b"]) + bom + lines(["c"]))
        assert list(documents(put(tmp_path, ending, data))) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (PermissionError(13, "Permission denied"), "may not be read"),
        (OSError(5, "Input/output error"), "cannot be read: Input"),
        (FileNotFoundError(2, "gone"), "no such file"),
    ],
)
@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".jsonl.bz2", ".jsonl.zst", ".txt", ".parquet", ".csv"])
def test_the_systems_errors_keep_their_names(
    tmp_path: Path, monkeypatch, ending: str, error: OSError, word: str
) -> None:
    path = put(tmp_path, ending, b"x")

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(TesseraError, match=rf"a{ending}: {word}"):
        list(documents(path))


def test_another_key(tmp_path: Path) -> None:
    assert list(documents(put(tmp_path, ".jsonl", b'{"text": 1, "body": "x"}'), "body")) == ["x"]


def write_table(path: Path, column: pyarrow.Array, name: str = "text") -> Path:
    parquet.write_table(pyarrow.table({name: column, "n": list(range(len(column)))}), path, row_group_size=3)
    return path


@pytest.mark.parametrize(
    "kind", [pyarrow.string(), pyarrow.large_string(), pyarrow.dictionary(pyarrow.int32(), "string")]
)
def test_parquet(tmp_path: Path, kind: pyarrow.DataType) -> None:
    column = pyarrow.array(TEXTS).cast(kind)
    assert list(documents(write_table(tmp_path / "a.parquet", column))) == TEXTS


def test_bad_parquet_is_named(tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.parquet", pyarrow.array(["a", "b", "c", "d", None]))
    with pytest.raises(TesseraError, match=r"a\.parquet: row 4: 'text' is null"):
        list(documents(path))
    with pytest.raises(TesseraError, match=r"no column 'body' \(has: text, n\); set text_key"):
        list(documents(path, "body"))
    with pytest.raises(TesseraError, match="row 0: 'text' is a number"):
        list(documents(write_table(tmp_path / "b.parquet", pyarrow.array([1, 2]))))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TesseraError, match=r"a\.parquet: truncated or damaged"):
        list(documents(path))


def test_plain_text_is_one_document(tmp_path: Path) -> None:
    assert list(documents(put(tmp_path, ".txt", "a\r\nb é".encode()))) == ["a\r\nb é"]
    with pytest.raises(TesseraError, match=r"a\.txt: not UTF-8"):
        list(documents(put(tmp_path, ".txt", b"\xff")))


def test_a_missing_file_and_an_unknown_kind(tmp_path: Path) -> None:
    with pytest.raises(TesseraError, match=r"gone\.jsonl: no such file"):
        list(documents(tmp_path / "gone.jsonl"))
    with pytest.raises(TesseraError, match=r"a\.tsv: unknown kind of file; give JSON lines \(\.jsonl, "):
        list(documents(tmp_path / "a.tsv"))


@given(st.lists(st.tuples(any_text, any_text).filter(lambda row: not set("\r\0") & set("".join(row)))))
def test_csv_as_pandas_writes_it(tmp_path_factory, rows: list[tuple[str, str]]) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.CSV"
    pandas.DataFrame(rows, columns=["text", "other"]).to_csv(path, index=False)
    assert list(documents(path)) == [text for text, _ in rows]
    assert list(documents(path, "other")) == [other for _, other in rows]


def test_bad_csv_is_named_or_skipped(tmp_path: Path) -> None:
    path = put(tmp_path, ".csv", b'\xef\xbb\xbfid,text\n1,"two\nlines"\n\n2\n3,x,y\n4,\n')
    with pytest.raises(TesseraError, match=r"a\.csv: line 5: not as many values as the first line has names; repair"):
        list(documents(path))
    skipped = bad_documents.Skipped(2)
    assert list(documents(path, skipped=skipped)) == ["two\nlines", "", "", ""]
    assert skipped.reasons == {"not even": 2}
    with pytest.raises(TesseraError, match=r"no column 'body' \(has: id, text\); set text_key"):
        list(documents(path, "body"))
    with pytest.raises(TesseraError, match=r"a\.csv: not a CSV file in UTF-8"):
        list(documents(put(tmp_path, ".csv", b"text\n\xff\n")))
    assert list(documents(put(tmp_path, ".csv", b""))) == []


def test_natural_order() -> None:
    names = ["train/chunk10/a_2.zst", "train/chunk2/a_10.zst", "train/chunk2/a_9.zst", "a", "10", "9"]
    assert sorted(names, key=text_files.natural) == [
        "9", "10", "a", "train/chunk2/a_9.zst", "train/chunk2/a_10.zst", "train/chunk10/a_2.zst"
    ]  # fmt: skip


names = st.lists(st.text("01a-_/.", min_size=1, max_size=6), unique=True, max_size=6)


@given(names, st.randoms(use_true_random=False))
def test_the_order_depends_on_names_alone(given: list[str], random) -> None:
    """Names that mean the same number (part-1, part-01) stand in one order, from whatever set they come."""
    shuffled = random.sample(given, len(given))
    assert sorted(shuffled, key=text_files.natural) == sorted(given, key=text_files.natural)
    assert all(text_files.natural(a) != text_files.natural(b) for a, b in itertools.combinations(given, 2))


def test_names_that_tie_are_ordered() -> None:
    tied = ["part-01", "part-001", "part-1", "part-2"]
    orders = {tuple(sorted(order, key=text_files.natural)) for order in itertools.permutations(tied)}
    assert orders == {("part-001", "part-01", "part-1", "part-2")}
