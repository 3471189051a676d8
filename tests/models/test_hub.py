"""What is in the hub cache: whole, partial, damaged. Nothing here may use the network after the fetch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import snapshot_download
from hypothesis import given
from hypothesis import strategies as st

from lib.base.errors import TesseraError
from lib.models import hub, hub_fetch
from lib.models.hub import HubItem
from tests.support.hub_server import FIRST, HubServer

SHARDS = {
    "config.json": b"{}",
    "model-1.safetensors": b"first" * 9,
    "model-2.safetensors": b"second" * 9,
    "model.safetensors.index.json": json.dumps(
        {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    ).encode(),
}
SHARDED = HubItem("model", "lab/sharded", FIRST)


@pytest.fixture
def sharded(hub_server: HubServer) -> Path:
    """A fetched model in two shards; the server then forgets what it was asked."""
    hub_server.add("model", "lab/sharded", SHARDS)
    (folder,) = hub_fetch.fetch([SHARDED])
    hub_server.requests.clear()
    return folder


def test_a_whole_snapshot_is_found_without_a_request(sharded, hub_server):
    assert hub.local_snapshot(SHARDED) == sharded
    assert hub.files(SHARDED) == [sharded / name for name in sorted(SHARDS)]
    assert {file.name: file.read_bytes() for file in hub.files(SHARDED)} == SHARDS
    assert not hub_server.requests


def remove(file: Path) -> None:
    file.unlink()


def remove_content(file: Path) -> None:
    file.resolve().unlink()


def cut(file: Path) -> None:
    file.resolve().write_bytes(file.read_bytes()[:-1])


def still_coming(file: Path) -> None:
    """What a killed download leaves: a private file beside where the content will be."""
    blob = file.resolve()
    blob.rename(blob.with_name(f"{blob.name}.0123abcd.incomplete"))


@pytest.mark.parametrize("damage", [remove, remove_content, cut, still_coming])
@pytest.mark.parametrize("name", sorted(SHARDS))
def test_every_way_to_be_partial_is_seen_named_and_mended(sharded, name, damage):
    damage(sharded / name)
    assert not hub.is_cached(SHARDED)
    with pytest.raises(TesseraError, match=rf"model lab/sharded at 1+: the hub cache .* lacks {name} .*make fetch-"):
        hub.local_snapshot(SHARDED)
    assert hub_fetch.lacking([SHARDED]) == {SHARDED: {name: len(SHARDS[name])}}
    hub_fetch.fetch([SHARDED])
    assert {file.name: file.read_bytes() for file in hub.files(SHARDED)} == SHARDS


def test_a_shard_that_the_repository_lacks_is_named(hub_server):
    hub_server.add(
        "model", "lab/sharded", {name: body for name, body in SHARDS.items() if name != "model-2.safetensors"}
    )
    with pytest.raises(TesseraError, match=r"index\.json names model-2\.safetensors, which is not there"):
        hub_fetch.fetch([SHARDED])
    assert not hub.is_cached(SHARDED)


def test_a_cache_without_the_list_of_files_is_not_taken_for_a_whole_one(sharded):
    """As an older client leaves it: nothing tells which files there should be."""
    for listing in sharded.parents[1].glob("trees/*"):
        listing.unlink()
    found = _in_a_new_process("hub.local_snapshot(item)")
    assert "is not known to be whole: the hub cache" in found
    assert "make fetch-" in found


def _in_a_new_process(call: str) -> str:
    code = f"from lib.models import hub\nitem = hub.HubItem('model', 'lab/sharded', '{FIRST}')\n{call}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stderr


def test_nothing_fetched_says_where_it_was_looked_for(hub_server, tmp_path):
    with pytest.raises(TesseraError, match=f"lab/model at {FIRST} is not .* hub cache {tmp_path / 'cache'}.*HF_HOME"):
        hub.local_snapshot(HubItem("model", "lab/model", FIRST))


def test_another_part_of_a_data_set_is_another_item(hub_server):
    files = {"train/00.jsonl": b"a\n", "train/01.jsonl": b"b\n", "README.md": b"card"}
    hub_server.add("dataset", "lab/pile", files)
    first, second = (HubItem("dataset", "lab/pile", FIRST, (f"train/0{n}.jsonl",)) for n in (0, 1))
    (folder,) = hub_fetch.fetch([first])
    assert [file.relative_to(folder).as_posix() for file in folder.rglob("*.*")] == ["train/00.jsonl"]
    assert hub.is_cached(first)
    assert not hub.is_cached(second)
    assert not hub.is_cached(HubItem("dataset", "lab/pile", FIRST)), "without patterns all files are needed"
    with pytest.raises(TesseraError, match=r"lacks train/01\.jsonl"):
        hub.files(second)
    with pytest.raises(TesseraError, match=r"no file matches train/02\.jsonl; it has README.md, train/00.jsonl"):
        hub.files(HubItem("dataset", "lab/pile", FIRST, ("train/02.jsonl",)))


NAMES = st.lists(
    st.lists(st.sampled_from(["train", "a", "b-1", "x.jsonl", "y.parquet"]), min_size=1, max_size=3).map("/".join),
    unique=True, max_size=6,
)  # fmt: skip


@given(NAMES, st.sampled_from(["train/*.jsonl", "*.parquet", "train/a/x.jsonl", "*"]))
def test_what_is_wanted_is_what_the_client_would_download(names, pattern):
    """Oracle: the hub's client matches names with fnmatch."""
    from fnmatch import fnmatchcase

    item = HubItem("dataset", "a/b", FIRST, (pattern,))
    assert item.wanted(names) == sorted(name for name in names if fnmatchcase(name, pattern))


@given(NAMES)
def test_two_stars_match_as_in_a_folder(names):
    """Oracle: pathlib's glob in a folder with these files."""
    import tempfile

    names = [name for name in names if not any(other.startswith(f"{name}/") for other in names)]
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / name).touch()
        below = [file for file in Path(folder).glob("train/**/*.jsonl") if file.is_file()]
        found = sorted(file.relative_to(folder).as_posix() for file in below)
    assert HubItem("dataset", "a/b", FIRST, ("train/**/*.jsonl",)).wanted(names) == found


def test_the_client_downloads_the_same_files(hub_server, tmp_path):
    """Oracle: the client itself, with the same patterns, into another cache."""
    names = ("train/a.jsonl", "train/c1/b.jsonl", "test/a.jsonl", "train/c1/deep/d.jsonl", "train/a.txt")
    hub_server.add("dataset", "lab/deep", {name: name.encode() for name in names})
    item = HubItem("dataset", "lab/deep", FIRST, ("train/**/*.jsonl",))
    hub_fetch.fetch([item])
    other = snapshot_download(
        "lab/deep", repo_type="dataset", revision=FIRST, cache_dir=tmp_path / "other", allow_patterns=item.allowed,
        endpoint=hub_server.url,
    )  # fmt: skip
    downloaded = sorted(file.relative_to(other) for file in Path(other).rglob("*.jsonl"))
    assert downloaded == [file.relative_to(hub.local_snapshot(item)) for file in hub.files(item)]
    assert len(downloaded) == 3


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"HF_HUB_CACHE": "/a"}, "/a"),
        ({"HF_HOME": "/b"}, "/b/hub"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/huggingface/hub"),
        ({"HF_HUB_CACHE": "/a", "HF_HOME": "/b", "XDG_CACHE_HOME": "/c"}, "/a"),
    ],
)
def test_the_cache_is_where_the_hubs_own_client_looks(monkeypatch, settings, expected):
    """Oracle: the client's constants in a fresh process."""
    for name in ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    code = "from huggingface_hub import constants; print(constants.HF_HUB_CACHE)"
    client = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert str(hub.cache()) == client == expected


@pytest.mark.parametrize("repo", ["", "a/b/c", "/data/model", "https://huggingface.co/a/b", "../../etc", "a b/c"])
def test_what_cannot_be_a_repository_is_named(repo):
    with pytest.raises(TesseraError, match="it must be owner/name"):
        HubItem("model", repo)
