import hashlib
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub
import pytest

from lib.base.errors import TesseraError
from lib.models import hub
from lib.models.hub import HubItem

FIRST, SECOND = "1" * 40, "2" * 40
FILES = {"config.json": b"{}", "model.safetensors": b"weights", "pytorch_model.bin": b"pickle"}
BOOKS = {"data/train.parquet": b"rows"}


class Hub(BaseHTTPRequestHandler):
    """The few answers of the hub's HTTP interface that a client needs, and its error codes."""

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.server.requests.append((self.path, self.headers.get("Authorization")))
        path = self.path.partition("?")[0]
        if "gated" in path and self.headers.get("Authorization") != "Bearer hf_right":
            return self.answer(403 if self.headers.get("Authorization") else 401, error="GatedRepo")
        if "absent" in path:
            return self.answer(404, error="RepoNotFound")
        if "/resolve/" in path:
            return self.file(path)
        if path.endswith("/auth-check"):
            return self.answer(200, {})
        if "/tree/" in path:
            return self.answer(200, [self.entry(name, body) for name, body in self.files(path).items()])
        revision = path.rpartition("/revision/")[2]
        if revision not in ("main", FIRST, SECOND):
            return self.answer(404, error="RevisionNotFound")
        sha = self.server.head if revision == "main" else revision
        return self.answer(200, {"id": "lab/model", "sha": sha, "siblings": []})

    def files(self, path):
        if "datasets" in path:
            return BOOKS
        return {"pytorch_model.bin": b"pickle"} if "pickled" in path else FILES

    def entry(self, name, body):
        return {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}

    def file(self, path):
        commit, _, name = path.partition("/resolve/")[2].partition("/")
        body = self.files(path)[name]
        self.answer(200, body, {"ETag": f'"{hashlib.sha1(body).hexdigest()}"', "X-Repo-Commit": commit})

    def answer(self, status, body=b"", headers=None, error=None):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for key, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(key, value)
        if error:
            self.send_header("X-Error-Code", error)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *arguments):
        """No lines on the terminal."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.head, server.requests = FIRST, []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield server
    huggingface_hub.utils.close_session()  # one made while offline was set would stay offline
    server.shutdown()
    server.server_close()


def test_a_branch_keeps_the_commit_it_had_when_it_was_first_asked_for(server, tmp_path):
    item = HubItem("model", "lab/model")
    assert hub.resolve_revision(item, tmp_path / "lock.json") == FIRST
    server.head = SECOND
    assert hub.resolve_revision(item, tmp_path / "lock.json") == FIRST
    assert hub.pin([item, item], tmp_path / "lock.json") == [HubItem("model", "lab/model", FIRST)]
    assert hub.resolve_revision(item, tmp_path / "another.json") == SECOND


def test_a_commit_is_never_asked_for(server, tmp_path):
    assert hub.resolve_revision(HubItem("model", "lab/model", SECOND), tmp_path / "lock.json") == SECOND
    assert not server.requests
    assert not (tmp_path / "lock.json").exists()


def test_a_damaged_lock_is_named(server, tmp_path):
    (tmp_path / "lock.json").write_text("{")
    with pytest.raises(TesseraError, match=r"lock\.json: not valid JSON"):
        hub.resolve_revision(HubItem("model", "lab/model"), tmp_path / "lock.json")


def test_what_was_fetched_is_read_without_a_request(server):
    items = [HubItem("model", "lab/model", FIRST), HubItem("dataset", "lab/books", FIRST)]
    folders = hub.fetch(items)
    assert [folder.name for folder in folders] == [FIRST, FIRST]
    assert (folders[0] / "model.safetensors").read_bytes() == b"weights"
    assert not (folders[0] / "pytorch_model.bin").exists(), "pickled weights stay on the hub"
    assert (folders[1] / "data/train.parquet").read_bytes() == b"rows"
    server.requests.clear()
    assert [hub.local_snapshot(item) for item in items] == folders
    hub.check_access(items)
    assert hub.fetch(items) == folders
    assert not server.requests


def test_a_partial_snapshot_is_not_taken_for_a_whole_one(server):
    item = HubItem("model", "lab/model", FIRST)
    (hub.fetch([item])[0] / "model.safetensors").unlink()
    assert not hub.is_cached(item)
    assert (hub.fetch([item])[0] / "model.safetensors").read_bytes() == b"weights"


def test_nothing_fetched_says_where_it_was_looked_for(server, tmp_path):
    with pytest.raises(TesseraError, match=f"lab/model at {FIRST} is not .* hub cache {tmp_path / 'cache'}.*HF_HOME"):
        hub.local_snapshot(HubItem("model", "lab/model", FIRST))


def test_every_refusal_is_listed_with_its_remedy(server, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_wrong_and_secret")
    items = [HubItem("model", "lab/gated"), HubItem("dataset", "lab/absent"), HubItem("model", "lab/model", "v9")]
    with pytest.raises(TesseraError) as caught:
        hub.check_access([*items, HubItem("model", "lab/model")])
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
        hub.check_access([item])
    with pytest.raises(TesseraError, match="gated"):
        hub.fetch([item])
    assert {header for _, header in server.requests} == {None}
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    hub.check_access([item])
    assert hub.fetch([item])[0].name == FIRST


def test_a_model_with_pickled_weights_alone_is_refused(server):
    with pytest.raises(TesseraError, match="no safetensors weights"):
        hub.fetch([HubItem("model", "lab/pickled", FIRST)])


def test_a_hub_that_cannot_be_reached_says_so(server, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(TesseraError, match=r"cannot be reached.*login node"):
        hub.check_access([HubItem("model", "lab/model")])
    with pytest.raises(TesseraError, match=r"cannot be reached.*login node"):
        hub.fetch([HubItem("model", "lab/model")])


def test_an_offline_setting_is_named(server, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    huggingface_hub.utils.close_session()
    with pytest.raises(TesseraError, match="HF_HUB_OFFLINE is set here; unset it"):
        hub.resolve_revision(HubItem("model", "lab/model"), tmp_path / "lock.json")


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


def test_pickled_weights_are_fetched_for_a_model_that_asks_for_them(server):
    patterns = (*hub.MODEL_FILES, *hub.PICKLED)
    (folder,) = hub.fetch([HubItem("model", "lab/pickled", FIRST, patterns)])
    assert [file.name for file in folder.iterdir()] == ["pytorch_model.bin"]
