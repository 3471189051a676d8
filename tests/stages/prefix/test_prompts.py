"""Prompts from every source, through the command line and by `run`."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import yaml

from jobs.prefix import prompts
from lib.artifacts import command
from lib.base import config as base_config
from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.models import hub_fetch, loading
from lib.models.hub import HubItem
from lib.prefix import prompts_file
from tests.support import tiny_hub

WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "lazy", "dog", "while", "small", "models", "remember"]


def text(number: int) -> str:
    """Of another beginning and length for every number."""
    draws = np.random.default_rng(number)
    return f"{number} " + " ".join(draws.choice(WORDS, 3 * number))


TEXTS = [text(number) for number in range(40)]
SUBSETS = ["code" if number % 2 else "Été" for number in range(40)]
SIZES = {"n_prompts": 6, "prompt_tokens": 8, "suffix_tokens": 5}


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, Path]:
    """The same texts as every source."""
    root = tmp_path_factory.mktemp("sources")
    found = {name: root / name for name in ("passages", "text", "files", "hub")}
    for folder in found.values():
        folder.mkdir()
    with hdf5.create(found["passages"] / "passages.h5") as file:
        hdf5.write_texts(file, "passages", TEXTS)
        hdf5.write(file, "subset", prompts_file.fixed_bytes(SUBSETS))
        hdf5.write(file, "repetitions", np.arange(40, dtype="<u4"))
    with hdf5.create(found["text"] / "text.h5") as file:
        hdf5.write_texts(file, "train", TEXTS)
    for part in range(2):
        lines = [json.dumps({"text": line}) for line in TEXTS[20 * part : 20 * part + 20]]
        (found["files"] / f"part{part}.jsonl").write_text("\n".join(lines))
    table = pyarrow.table({"text": TEXTS, "meta": [{"pile_set_name": subset} for subset in SUBSETS]})
    pyarrow.parquet.write_table(table, found["hub"] / "train-00000-of-00001.parquet")
    return found


def drawn(out: Path, sources: dict[str, Path], tokenizer: Path, **changes) -> prompts_file.Prompts:
    out.mkdir(exist_ok=True)
    config = {"source": "passages", **SIZES, **changes}
    name = prompts.NEEDS.get(config["source"])
    inputs = {"tokenizer": tokenizer} | ({name: sources[config["source"]]} if name else {})
    prompts.run(prompts.Config(**config), inputs, out)
    return prompts_file.read(out / "prompts.h5")


def test_every_source_gives_the_same_prompts(sources, tiny_tokenizer, tmp_path) -> None:
    wanted = drawn(tmp_path / "a", sources, tiny_tokenizer)
    hub = {"source": "hub", "repo": str(sources["hub"]), "subset_column": "meta.pile_set_name"}
    for number, changes in enumerate([{"source": "text", "subset": "x"}, {"source": "files"}, hub]):
        found = drawn(tmp_path / str(number), sources, tiny_tokenizer, **changes)
        np.testing.assert_array_equal(found.prompt, wanted.prompt)
        np.testing.assert_array_equal(found.suffix, wanted.suffix)
        np.testing.assert_array_equal(found.document, wanted.document)
        subsets = {"text": [b"x"] * 6, "files": [b""] * 6, "hub": wanted.subset.tolist()}[changes["source"]]
        assert found.subset.tolist() == subsets
    assert wanted.repetitions.tolist() == wanted.document.tolist()


def test_a_prompt_leads_to_its_file_and_the_field_of_the_text_has_a_name(sources, tiny_tokenizer, tmp_path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for part in range(2):
        lines = [json.dumps({"body": line}) for line in TEXTS[20 * part : 20 * part + 20]]
        (folder / f"part{part}.jsonl").write_text("\n".join(lines))
    mine = {**sources, "files": folder}
    found = drawn(tmp_path / "out", mine, tiny_tokenizer, source="files", text_column="body")
    files, numbers = prompts_file.sources(found.file)
    for document, file, number in zip(found.document.tolist(), files, numbers, strict=True):
        assert (file, number) == (str(folder / f"part{document // 20}.jsonl"), document % 20 + 1)
    with pytest.raises(TesseraError, match=r"has: body.*text_column"):
        drawn(tmp_path / "no", mine, tiny_tokenizer, source="files")
    other = drawn(tmp_path / "other", sources, tiny_tokenizer)
    assert set(zip(*prompts_file.sources(other.file))) == {("", 0)}


def test_prompt_and_suffix_are_tokens_of_one_document_verbatim(sources, tiny_tokenizer, tmp_path) -> None:
    found = drawn(tmp_path / "out", sources, tiny_tokenizer, n_prompts=0)
    tokenizer = loading.load_tokenizer(tiny_tokenizer)
    positions = hdf5.read(tmp_path / "out" / "prompts.h5", "position")
    long = [n for n, line in enumerate(TEXTS) if len(tokenizer.encode(line, add_special_tokens=False)) >= 13]
    assert found.document.tolist() == long
    for row, number in enumerate(long):
        ids = tokenizer.encode(TEXTS[number], add_special_tokens=False)
        both = [*found.prompt[row], *found.suffix[row]]
        assert ids[positions[row] : positions[row] + 13] == both


def test_all_lengths_of_a_sweep_share_document_position_and_suffix(sources, tiny_tokenizer, tmp_path) -> None:
    lengths = [
        drawn(tmp_path / str(n), sources, tiny_tokenizer, prompt_tokens=n, max_prompt_tokens=20) for n in (3, 8, 20)
    ]
    for found in lengths:
        np.testing.assert_array_equal(found.suffix, lengths[-1].suffix)
        np.testing.assert_array_equal(found.document, lengths[-1].document)
        np.testing.assert_array_equal(found.prompt, lengths[-1].prompt[:, -found.prompt.shape[1] :])


def test_a_special_tokens_spelling_is_text(tiny_tokenizer, tmp_path) -> None:
    with hdf5.create(tmp_path / "text.h5") as file:
        hdf5.write_texts(file, "train", ["many <|endoftext|> small <|endoftext|> models"])
    changes = {"source": "text", "n_prompts": 1, "prompt_tokens": 10, "suffix_tokens": 10}
    found = drawn(tmp_path / "out", {"text": tmp_path}, tiny_tokenizer, **changes)
    assert 0 not in found.prompt
    assert 0 not in found.suffix


@pytest.mark.parametrize("source", ["files", "hub"])
def test_bad_documents_are_skipped_counted_and_keep_their_numbers(tiny_tokenizer, tmp_path, source) -> None:
    texts = [None if number % 10 == 3 else line for number, line in enumerate(TEXTS)]
    folder = tmp_path / source
    folder.mkdir()
    (folder / "train.jsonl").write_text("\n".join(json.dumps({"text": line}) for line in texts), encoding="utf-8")
    changes = {"source": source, "n_prompts": 0, "max_bad_documents": 4, "repo": str(folder)}
    where = "train.jsonl: line 4" if source == "files" else "hub: row 3 of split 'train'"
    with pytest.raises(TesseraError, match=f"{where}: 'text' is null; .*set on_bad_document: skip"):
        drawn(tmp_path / "fail", {"files": folder}, tiny_tokenizer, **changes)
    changes["on_bad_document"] = "skip"
    found = drawn(tmp_path / "out", {"files": folder}, tiny_tokenizer, **changes)
    stored = hdf5.attributes(tmp_path / "out" / "prompts.h5")
    assert (stored["documents"], stored["bad_documents"]) == (40, 4)
    assert where in json.loads(stored["bad_documents_first"])[0]
    assert not {3, 13, 23, 33} & set(found.document.tolist())
    assert max(found.document) == 39
    with pytest.raises(TesseraError, match=r"4 of .* documents are bad"):
        drawn(tmp_path / "more", {"files": folder}, tiny_tokenizer, **changes | {"max_bad_documents": 3})


def test_subsets_are_chosen_and_counted_apart(sources, tiny_tokenizer, tmp_path) -> None:
    both = drawn(tmp_path / "both", sources, tiny_tokenizer, per_subset=True)
    assert sorted(both.subset.tolist()) == [b"code"] * 6 + ["Été".encode()] * 6
    one = drawn(tmp_path / "one", sources, tiny_tokenizer, subsets=("code",))
    np.testing.assert_array_equal(one.document, both.document[both.subset == b"code"])


def test_too_few_long_documents_are_counted(sources, tiny_tokenizer, tmp_path) -> None:
    with pytest.raises(
        TesseraError, match=r"asked for 9 prompts, but 9 documents give only \d of 13 tokens, at most 1 each"
    ):
        drawn(tmp_path / "out", sources, tiny_tokenizer, max_documents=9, n_prompts=9, max_prompt_tokens=8)
    with pytest.raises(TesseraError, match=r"\(by subset: none\)"):
        drawn(tmp_path / "out", sources, tiny_tokenizer, n_prompts=0, suffix_tokens=5000)
    with pytest.raises(TesseraError, match=r"19 prompts of each subset, but .* code \d+, Été \d+"):
        drawn(tmp_path / "out", sources, tiny_tokenizer, n_prompts=19, per_subset=True)
    with pytest.raises(TesseraError, match="40 documents give only 0"):
        drawn(tmp_path / "out", sources, tiny_tokenizer, subsets=("prose",))
    assert not list((tmp_path / "out").iterdir())


def test_several_prompts_of_a_document_fill_what_one_each_cannot(sources, tiny_tokenizer, tmp_path) -> None:
    one = drawn(tmp_path / "one", sources, tiny_tokenizer, n_prompts=0)
    wanted = len(one.document) + 20
    found = drawn(tmp_path / "several", sources, tiny_tokenizer, n_prompts=wanted, per_document=4)
    assert len(found.document) == wanted
    assert set(found.document) == set(one.document)
    assert np.bincount(found.document.astype(int)).max() <= 4


def test_a_file_without_documents_is_one_document(tiny_tokenizer, tmp_path) -> None:
    (tmp_path / "book.txt").write_text(" ".join(TEXTS))
    found = drawn(tmp_path / "out", {"files": tmp_path / "book.txt"}, tiny_tokenizer, source="files", per_document=50)
    assert (found.document.tolist(), len(np.unique(found.prompt, axis=0))) == ([0] * 6, 6)


def test_fewer_prompts_are_enough_where_that_is_asked_for(sources, tiny_tokenizer, tmp_path, capsys) -> None:
    few = {"max_documents": 9, "n_prompts": 900, "max_prompt_tokens": 8}
    found = drawn(tmp_path / "out", sources, tiny_tokenizer, **few, enough=2)
    assert 2 <= len(found.document) <= 9
    assert f"prompts: {len(found.document)} of 900 asked for" in capsys.readouterr().out
    with pytest.raises(TesseraError, match=r"asked for 300 prompts, but 9 documents give only \d"):
        drawn(tmp_path / "out", sources, tiny_tokenizer, **few, enough=300)


def test_an_empty_corpus_is_an_error(tiny_tokenizer, tmp_path) -> None:
    with hdf5.create(tmp_path / "text.h5") as file:
        hdf5.write_texts(file, "train", [])
    with pytest.raises(TesseraError, match="0 documents give only 0"):
        drawn(tmp_path / "out", {"text": tmp_path}, tiny_tokenizer, source="text")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text_column": "body"}, "no column 'body'; it has text, meta"),
        ({"subset_column": "meta.name"}, "no column 'meta.name'"),
        ({"text_column": "meta"}, "row 0 of split 'train': 'meta' is an object"),
        ({"split": "test"}, "no data set with a split 'test'"),
    ],
)
def test_a_data_set_without_the_columns_is_refused(sources, tiny_tokenizer, tmp_path, changes, message) -> None:
    with pytest.raises(TesseraError, match=message):
        drawn(tmp_path / "out", sources, tiny_tokenizer, source="hub", repo=str(sources["hub"]), **changes)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_prompt_tokens": 7, "prompt_tokens": 8}, "must be at least prompt_tokens"),
        ({"suffix_tokens": 0}, "at least 1"),
        ({"per_document": 0}, "at least 1"),
        ({"n_prompts": 5, "enough": 6}, "at most n_prompts"),
        ({"source": "hub"}, "give repo"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prompts.Config(**{"source": "text", **wrong})


def test_what_the_hub_must_hold() -> None:
    commit, file = "0" * 40, ("train/00.jsonl.zst",)
    assert prompts.hub(prompts.Config("text")) == []
    config = prompts.Config("hub", "a/b", commit, data_files=file)
    assert prompts.hub(config) == [HubItem("dataset", "a/b", commit, file)]


def test_a_key_that_is_gone_stays_part_of_the_digest() -> None:
    """So that prompts that were drawn while there was one are not drawn again."""
    assert base_config.digest(base_config.science(prompts.Config("text"))) == "3453db208376"


@pytest.mark.parametrize(
    "pattern", ["train/00.jsonl.zst", "data/Gutenberg (PG-19)/train/*.arrow", "2021_train/*.parquet"]
)
def test_prompts_of_the_hub_are_read_from_the_fetched_files_alone(
    hub_server, sources, tiny_tokenizer, tmp_path, pattern
) -> None:
    """In every format that the sweeps name; the same documents as those of a folder, without a request."""
    commit = "0" * 40
    config = {"source": "hub", "repo": "lab/pile", "revision": commit, "data_files": (pattern,), "text_column": "text"}
    (item,) = prompts.hub(prompts.Config(**config))
    tiny_hub.publish(hub_server, [item], tiny_tokenizer)
    (folder,) = hub_fetch.fetch([item])
    hub_server.requests.clear()
    found = drawn(tmp_path / "hub", sources, tiny_tokenizer, **config, subset_column="meta.pile_set_name")
    assert not hub_server.requests
    assert len(found.prompt) == 6
    assert set(found.subset.tolist()) == {b"CommonCrawl", b"Github"}
    local = config | {"repo": str(folder), "revision": "main"}
    same = drawn(tmp_path / "folder", sources, tiny_tokenizer, **local, subset_column="meta.pile_set_name")
    np.testing.assert_array_equal(found.prompt, same.prompt)
    np.testing.assert_array_equal(found.document, same.document)


def test_the_command_line(sources, tiny_tokenizer, tmp_path, capsys) -> None:
    config = {"inputs": {"tokenizer": str(tiny_tokenizer), "passages": str(sources["passages"])}, **SIZES}
    for changes, code in (({"source": "passages"}, 0), ({"source": "passages", "sufix_tokens": 3}, 2)):
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config | changes))
        assert (
            command.main("prompts", ["--config", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "out")]) == code
        )
    assert "did you mean 'suffix_tokens'" in capsys.readouterr().err
    assert (tmp_path / "out" / "DONE.json").is_file()
