"""Fetching from a hub on loopback: refusals, branches, cut and slow connections."""

import huggingface_hub
import pytest

from lib.base.errors import TesseraError
from lib.models import hub, hub_fetch
from lib.models.hub import HubItem
from tests.support.hub_server import FIRST, SECOND, HubServer

FILES = {"config.json": b"{}", "model.safetensors": b"weights" * 100, "pytorch_model.bin": b"pickle"}
MODEL = HubItem("model", "lab/model", FIRST)


@pytest.fixture
def server(hub_server: HubServer) -> HubServer:
    hub_server.add("model", "lab/model", FILES)
    hub_server.add("model", "lab/gated", FILES)
    hub_server.add("dataset", "lab/books", {"data/train.parquet": b"rows"})
    hub_server.gated.add("lab/gated")
    return hub_server


def test_a_branch_keeps_the_commit_it_had_when_it_was_first_asked_for(server, tmp_path):
    item = HubItem("model", "lab/model")
    assert hub_fetch.resolve_revision(item, tmp_path / "lock.json") == FIRST
    server.head = SECOND
    assert hub_fetch.resolve_revision(item, tmp_path / "lock.json") == FIRST
    assert hub_fetch.pin([item, item], tmp_path / "lock.json") == [MODEL]
    assert hub_fetch.resolve_revision(item, tmp_path / "another.json") == SECOND


def test_a_commit_is_never_asked_for(server, tmp_path):
    assert hub_fetch.resolve_revision(HubItem("model", "lab/model", SECOND), tmp_path / "lock.json") == SECOND
    assert not server.requests
    assert not (tmp_path / "lock.json").exists()


@pytest.mark.parametrize("damage", [lambda text: "{", lambda text: "[1]", lambda text: text.replace("1111", "1113", 1)])
def test_a_damaged_lock_is_named_set_aside_and_the_branches_are_looked_up_again(server, tmp_path, damage, capsys):
    item, lock = HubItem("model", "lab/model"), tmp_path / "lock.json"
    hub_fetch.resolve_revision(item, lock)
    lock.write_text(damage(lock.read_text()))
    assert hub_fetch.resolve_revision(item, lock) == FIRST
    assert f"{lock}: damaged" in capsys.readouterr().err
    assert list(tmp_path.glob(".damaged-*-lock.json"))
    assert hub_fetch.resolve_revision(item, lock) == FIRST


def test_what_was_fetched_is_read_without_a_request(server):
    items = [MODEL, HubItem("dataset", "lab/books", FIRST)]
    heard = []
    folders = hub_fetch.fetch(items, heard.append)
    assert sum(heard) == len(FILES["config.json"]) + len(FILES["model.safetensors"]) + len(b"rows")
    assert [folder.name for folder in folders] == [FIRST, FIRST]
    assert (folders[0] / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert not (folders[0] / "pytorch_model.bin").exists(), "pickled weights stay on the hub"
    assert (folders[1] / "data/train.parquet").read_bytes() == b"rows"
    server.requests.clear()
    assert [hub.local_snapshot(item) for item in items] == folders
    hub_fetch.check_access(items)
    assert hub_fetch.fetch(items) == folders
    assert not server.requests


def test_a_branch_that_was_fetched_is_read_as_what_the_cache_holds_of_it(server):
    item = HubItem("model", "lab/model")
    (folder,) = hub_fetch.fetch([item])
    server.head = SECOND
    assert hub.local_snapshot(item) == folder
    assert hub_fetch.fetch([item])[0].name == SECOND


def test_every_refusal_is_listed_with_its_remedy(server, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_wrong_and_secret")
    items = [HubItem("model", "lab/gated"), HubItem("dataset", "lab/absent"), HubItem("model", "lab/model", "v9")]
    with pytest.raises(TesseraError) as caught:
        hub_fetch.check_access([*items, HubItem("model", "lab/model")])
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert "gated; ask for access at https://huggingface.co/lab/gated" in lines[0]
    assert "the present one may not" in lines[0]
    assert "not on the hub, or private" in lines[1]
    assert "huggingface.co/datasets/lab/absent" in lines[1]
    assert "no such revision" in lines[2]
    assert "hf_wrong_and_secret" not in str(caught.value)


def test_the_token_comes_from_the_environment_and_opens_gated_repositories(server, monkeypatch):
    item = HubItem("model", "lab/gated", FIRST)
    with pytest.raises(TesseraError, match=r"export HF_TOKEN=.*none is set"):
        hub_fetch.check_access([item])
    with pytest.raises(TesseraError, match="gated"):
        hub_fetch.fetch([item])
    assert {token for _, _, token in server.requests} == {None}
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    hub_fetch.check_access([item])
    assert hub_fetch.fetch([item])[0].name == FIRST
    assert {token for _, path, token in server.requests if path.startswith("/lfs/")} == {None}, "storage sees no token"


@pytest.mark.parametrize("token", ["hf_right\n", " hf_right", "hf_right\r\n"])
def test_space_around_the_token_is_no_part_of_it(server, monkeypatch, token):
    monkeypatch.setenv("HF_TOKEN", token)
    assert hub_fetch.fetch([HubItem("model", "lab/gated", FIRST)])[0].name == FIRST


@pytest.mark.parametrize("token", ["hf_very\nsecret", "hf_very secret", "“hf_verysecret”"])
def test_a_token_that_cannot_be_one_is_refused_and_not_shown(server, monkeypatch, token):
    monkeypatch.setenv("HF_TOKEN", token)
    for ask in (hub_fetch.check_access, hub_fetch.fetch):
        with pytest.raises(TesseraError, match="HF_TOKEN holds characters that no token has") as caught:
            ask([HubItem("model", "lab/gated")])
        assert "secret" not in str(caught.value)
    assert not server.requests


def test_parts_of_one_repository_are_asked_for_once(server):
    server.add("dataset", "lab/pile", {f"{n}.jsonl": b"{}" * n for n in range(4)})
    parts = [HubItem("dataset", "lab/pile", FIRST, (f"{n}.jsonl",)) for n in range(4)]
    hub_fetch.check_access(parts)
    assert len(server.requests) == 2
    trees = []
    for ask in (hub_fetch.lacking, hub_fetch.fetch, hub_fetch.fetch):
        server.requests.clear()
        answer = ask(parts)
        trees.append(len([path for _, path, _ in server.requests if "/tree/" in path]))
        if ask is hub_fetch.lacking:
            assert answer == {part: {f"{n}.jsonl": 2 * n} for n, part in enumerate(parts)}
    assert trees == [1, 2, 0]  # the library asks again when it fetches


def test_a_disk_that_is_full_is_not_taken_for_a_hub_out_of_reach(server, monkeypatch):
    download = huggingface_hub.snapshot_download

    def full(*arguments, **options):
        if options.get("local_files_only"):
            return download(*arguments, **options)
        raise OSError(28, "No space left on device", "/cache/blob")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", full)
    with pytest.raises(TesseraError, match=r"lab/model at 1+: /cache/blob: No space left on device; .*HF_HOME"):
        hub_fetch.fetch([MODEL])


def test_a_model_with_pickled_weights_alone_is_refused_before_anything_is_downloaded(server):
    server.add("model", "lab/pickled", {"config.json": b"{}", "pytorch_model.bin": b"pickle"})
    with pytest.raises(TesseraError, match="no safetensors weights"):
        hub_fetch.fetch([HubItem("model", "lab/pickled", FIRST)])
    assert not server.sent()


def test_pickled_weights_are_fetched_for_a_model_that_asks_for_them(server):
    server.add("model", "lab/pickled", {"README.md": b"card", "pytorch_model.bin": b"pickle"})
    patterns = (*hub.MODEL_FILES, *hub.PICKLED)
    (folder,) = hub_fetch.fetch([HubItem("model", "lab/pickled", FIRST, patterns)])
    assert [file.name for file in folder.iterdir()] == ["pytorch_model.bin"]


def test_a_pattern_that_no_file_matches_is_named(server):
    with pytest.raises(TesseraError, match=r"no file matches \*\.zst; it has data/train\.parquet; change the pattern"):
        hub_fetch.fetch([HubItem("dataset", "lab/books", FIRST, ("*.zst",))])


def test_a_connection_that_is_cut_and_a_slow_one_give_the_whole_file(server):
    """The client goes on where the first answer broke off."""
    server.cuts["model.safetensors"] = [150, 1]
    server.slow["model.safetensors"] = 0.05
    heard = []
    (folder,) = hub_fetch.fetch([MODEL], heard.append)
    assert sum(heard) == len(FILES["config.json"]) + len(FILES["model.safetensors"])  # each byte once
    assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert len([path for method, path, _ in server.requests if method == "GET" and "/lfs/" in path]) == 2


def test_a_connection_that_is_cut_for_good_leaves_what_is_whole_and_a_rerun_fetches_the_rest(server, monkeypatch):
    monkeypatch.setattr(huggingface_hub.file_download.time, "sleep", lambda seconds: None)
    server.cuts["model.safetensors"] = [0, 99]
    with pytest.raises(TesseraError, match=r"lab/model at 1+: the hub cannot be reached, or broke off.*goes on with"):
        hub_fetch.fetch([MODEL])
    assert not hub.is_cached(MODEL)
    assert hub_fetch.lacking([MODEL]) == {MODEL: {"model.safetensors": 700}}
    server.cuts.clear()
    server.requests.clear()
    hub_fetch.fetch([MODEL])
    assert server.sent() == {("lab/model", "model.safetensors")}


def test_a_hub_that_cannot_be_reached_says_so(server, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(TesseraError, match=r"cannot be reached.*login node"):
        hub_fetch.check_access([HubItem("model", "lab/model")])
    with pytest.raises(TesseraError, match=r"cannot be reached.*login node"):
        hub_fetch.fetch([HubItem("model", "lab/model")])


def test_an_offline_setting_is_named(server, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    huggingface_hub.utils.close_session()
    with pytest.raises(TesseraError, match="HF_HUB_OFFLINE is set here; unset it"):
        hub_fetch.resolve_revision(HubItem("model", "lab/model"), tmp_path / "lock.json")
