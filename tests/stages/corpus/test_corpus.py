from dataclasses import replace
from pathlib import Path

import pytest

from jobs.corpus import corpus
from lib.artifacts.command import main
from lib.base import hdf5
from lib.base.errors import TesseraError, UsageError
from lib.models import hub_fetch
from tests.support.hub_server import HubServer, contents


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text('{"text": "a"}\n')


def by_hand(tmp_path: Path, text: str) -> int:
    (tmp_path / "c.yaml").write_text(text)
    return main("corpus", ["--config", str(tmp_path / "c.yaml"), "--out", str(tmp_path / "out")])


def test_by_hand(tmp_path: Path) -> None:
    put(tmp_path / "in", "train/chunk10/0.jsonl", "train/chunk2/0.jsonl", "test/0.jsonl")
    assert by_hand(tmp_path, f"path: {tmp_path}/in\npattern: [train/**/*.jsonl]\ntext_key: text") == 0
    file = tmp_path / "out" / "corpus.h5"
    wanted = [str(tmp_path / "in/train" / name) for name in ("chunk2/0.jsonl", "chunk10/0.jsonl")]
    assert hdf5.read_texts(file, "files") == wanted
    assert hdf5.read(file, "sizes").tolist() == [14, 14]
    assert hdf5.read(file, "mtimes_ns").tolist() == [Path(name).stat().st_mtime_ns for name in wanted]


def test_a_plan_notices_a_changed_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "in", "0.jsonl")
    monkeypatch.chdir(tmp_path)
    pinned = corpus.pin(corpus.Config(path="in"))
    assert pinned.path == str(tmp_path / "in")
    assert corpus.pin(corpus.Config(path="in")) == pinned
    corpus.run(pinned, {}, tmp_path)
    put(tmp_path / "in", "1.jsonl")
    assert corpus.pin(corpus.Config(path="in")).fingerprint != pinned.fingerprint
    with pytest.raises(TesseraError, match="the files changed since this run was planned; submit the sweep again"):
        corpus.run(pinned, {}, tmp_path)


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("train/**/*.jsonl", ["train/chunk2/0.jsonl", "train/chunk10/0.jsonl"]),
        ("*/*.jsonl", ["test/0.jsonl"]),
        ((), ["test/0.jsonl", "train/chunk2/0.jsonl", "train/chunk10/0.jsonl"]),
    ],
)
def test_a_data_set_of_the_hub_cache(tmp_path: Path, hub_server: HubServer, pattern, wanted: list[str]) -> None:
    """Patterns mean what they mean in a folder, whatever else of the repository is in the cache."""
    put(tmp_path / "in", "train/chunk10/0.jsonl", "train/chunk2/0.jsonl", "test/0.jsonl", "dataset_info.json", "a.md")
    hub_server.add("dataset", "lab/pajama", contents(tmp_path / "in"))
    config = corpus.Config(repo="lab/pajama", revision="d" * 40, pattern=pattern)
    assert corpus.pin(config) == config
    (folder,) = hub_fetch.fetch(corpus.hub(config))
    assert set(contents(folder)) >= set(wanted)
    assert all(name.endswith(".jsonl") for name in contents(folder))
    hub_fetch.fetch([replace(corpus.hub(config)[0], patterns=())])
    corpus.run(config, {}, tmp_path)
    assert hdf5.read_texts(tmp_path / "corpus.h5", "files") == [str(folder / name) for name in wanted]


@pytest.mark.parametrize("text", ["{}", "path: a\nrepo: b/c", "path: a\npattern: ../*", "path: a\npattern: [/x/*]"])
def test_a_wrong_configuration(tmp_path: Path, text: str) -> None:
    assert by_hand(tmp_path, text) == 2


def test_nothing_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert by_hand(tmp_path, f"path: {tmp_path}/gone") == 1
    assert "gone: no such file or folder" in capsys.readouterr().err
    with pytest.raises(TesseraError, match="no such file or folder"):
        corpus.pin(corpus.Config(path=str(tmp_path / "gone")))


def test_a_wrong_key_is_a_usage_error() -> None:
    from lib.base import config as base_config

    with pytest.raises(UsageError, match="did you mean 'pattern'"):
        base_config.build(corpus.Config, {"path": "a", "patern": "*"}, "c.yaml")
