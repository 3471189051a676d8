import json
import os
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


def test_what_is_left_out_is_said_and_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "in", "0.jsonl", "1.ndjson", "README.md", "a/b.md", ".git/config", "c.csv")
    assert by_hand(tmp_path, f"path: {tmp_path}/in") == 0
    assert "corpus: 2 files, 0.000 GB; left out: 2 .md, 1 .csv, 1 hidden" in capsys.readouterr().out
    stored = json.loads(hdf5.attributes(tmp_path / "out" / "corpus.h5")["left_out"])
    assert stored == {".md": 2, ".csv": 1, "hidden": 1}


def test_a_plan_sees_changes_in_a_linked_folder(tmp_path: Path) -> None:
    put(tmp_path / "in", "0.jsonl")
    put(tmp_path / "elsewhere", "1.jsonl")
    (tmp_path / "in/linked").symlink_to(tmp_path / "elsewhere")
    config = corpus.Config(path=str(tmp_path / "in"))
    before = corpus.pin(config)
    put(tmp_path / "elsewhere", "2.jsonl")
    assert corpus.pin(config) != before


def test_a_touch_makes_no_new_task_and_a_change_does(tmp_path: Path) -> None:
    put(tmp_path / "in", "0.jsonl", "1.jsonl")
    config, root = corpus.Config(path=str(tmp_path / "in")), tmp_path / "outputs"
    planned = corpus.pin(config, root)
    out = root / "store" / "corpus" / "some-digest"
    out.mkdir(parents=True)
    corpus.run(planned, {}, out)
    made = (out / "corpus.h5").read_bytes()
    os.utime(tmp_path / "in/1.jsonl", ns=(0, 5))
    assert corpus.pin(config) != planned  # a plan that does not know the results
    assert corpus.pin(config, root) == planned
    corpus.run(planned, {}, out)  # an attempt after one that was killed
    assert (out / "corpus.h5").read_bytes() == made
    (tmp_path / "in/1.jsonl").write_text('{"text": "b"}\n')
    assert corpus.pin(config, root) != planned
    (out / "corpus.h5").write_bytes(made[:300])
    assert corpus.pin(config, root) != planned


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
    left_out = json.loads(hdf5.attributes(tmp_path / "corpus.h5")["left_out"])
    assert left_out == {".json": 1, ".md": 1} | ({".jsonl": 3 - len(wanted)} if len(wanted) < 3 else {})


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
