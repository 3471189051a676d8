"""Files of the hub cache are compared with the names that the hub gave them, linked or copied."""

import subprocess

import pytest

from lib.base.errors import Damaged
from lib.models import hub, hub_blobs, hub_fetch
from lib.models.hub import HubItem
from tests.support.hub_server import FIRST, HubServer

FILES = {"config.json": b"{}", "model.safetensors": b"weights" * 100, "tokenizer.json": b"[1, 2]"}
MODEL = HubItem("model", "lab/model", FIRST)


@pytest.fixture
def server(hub_server: HubServer) -> HubServer:
    hub_server.add("model", "lab/model", FILES)
    hub_fetch.fetch([MODEL])
    return hub_server


def copied() -> None:
    """The cache as it is where there are no links, or after `cp -rL`."""
    for file in hub.local_snapshot(MODEL).iterdir():
        body = file.read_bytes()
        file.resolve().unlink()
        file.unlink()
        file.write_bytes(body)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("damage", ["flip", "another"])
def test_a_damaged_file_is_named_set_aside_and_fetched_again(server, name, links, damage):
    if not links:
        copied()
    file = hub.verify(MODEL) / name
    body = FILES[name]
    changed = bytes(len(body)) if damage == "another" else body[:-1] + bytes([body[-1] ^ 1])
    file.resolve().write_bytes(changed)
    with pytest.raises(Damaged, match=f"{name}: not what the hub has"):
        hub.verify(MODEL)
    assert list(hub.lacking(MODEL, hub.listing(MODEL))) == [name]
    assert not hub.is_cached(MODEL)
    hub_fetch.fetch([MODEL])
    assert {file.name: file.read_bytes() for file in hub.verify(MODEL).iterdir() if file.name in FILES} == FILES


def test_only_what_is_read_is_compared(server):
    (hub.local_snapshot(MODEL) / "model.safetensors").resolve().write_bytes(bytes(700))
    assert hub.verify(MODEL, ["*.json"]).is_dir()


def test_a_file_outside_the_cache_has_no_name(tmp_path):
    (tmp_path / "mine.jsonl").write_text("mine")
    assert not hub_blobs.check_file(tmp_path / "mine.jsonl")


def test_the_name_is_gits_own(tmp_path):
    (tmp_path / "file").write_bytes(b"some content\n")
    answer = subprocess.run(["git", "hash-object", tmp_path / "file"], capture_output=True, text=True, check=True)
    assert hub_blobs.git_name(b"some content\n") == answer.stdout.strip()
