"""The Hugging Face hub on loopback: its real paths, headers and error codes, over repositories in memory, with faults.

A test points HF_ENDPOINT to `url`. Files that the hub keeps in large-file storage are redirected there, as it does.
"""

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

FIRST, SECOND = "1" * 40, "2" * 40  # commits
TOKEN = "hf_right"
LARGE = (".safetensors", ".parquet", ".arrow", ".zst", ".bin")
PAGE = 5  # entries of a tree in one answer; the hub gives 1,000


@dataclass
class HubServer:
    """repositories: (kind, name) -> files; every commit has the same ones. What is asked for is kept in `requests`.

    gated: names that need TOKEN. cuts: file -> [bytes, times]: the connection is closed after so many bytes.
    slow: file -> seconds that each of its pieces takes.
    """

    url: str
    repositories: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    head: str = FIRST
    gated: set[str] = field(default_factory=set)
    cuts: dict[str, list[float]] = field(default_factory=dict)
    slow: dict[str, float] = field(default_factory=dict)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)  # method, path, token

    @property
    def storage(self) -> str:
        """Where large files are: for the client another host, which must not see the token."""
        return self.url.replace("127.0.0.1", "localhost")

    def add(self, kind: str, repo: str, files: Mapping[str, bytes]) -> None:
        """More files of a repository."""
        self.repositories.setdefault((kind, repo), {}).update(files)

    def sent(self) -> set[tuple[str, str]]:
        """(repository, file) of everything that was downloaded."""
        paths = [path.removeprefix("/datasets") for method, path, _ in self.requests if method == "GET"]
        large = [path.split("/", 5)[3:] for path in paths if path.startswith("/lfs/")]
        small = [path.split("/", 4)[1:] for path in paths if "/resolve/" in path and not path.endswith(LARGE)]
        found = {(f"{owner}/{repo}", name) for owner, repo, name in large}
        return found | {(f"{owner}/{repo}", rest.partition("/")[2]) for owner, repo, _, rest in small}


@contextlib.contextmanager
def serving() -> Iterator[HubServer]:
    """A hub without repositories during the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.hub = HubServer(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server.hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """/api/{models,datasets}/<repo>/{revision,tree,auth-check}, <repo>/resolve/<commit>/<file>, and /lfs/."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.hub: HubServer = self.server.hub
        path = unquote(urlsplit(self.path).path)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        self.hub.requests.append((self.command, path, token))
        if path.startswith("/lfs/"):
            return self.content(*path.removeprefix("/lfs/").split("/", 3))
        kind = "dataset" if "datasets" in path.split("/")[1:3] else "model"
        words = path.removeprefix("/api").removeprefix("/datasets").removeprefix("/models").split("/", 5)[1:]
        if len(words) < 3:
            return self.answer(404)
        return self.repository(kind, "/".join(words[:2]), token, *words[2:])

    def repository(self, kind: str, repo: str, token: str | None, verb: str, *rest: str) -> None:
        if repo in self.hub.gated and token != TOKEN:
            return self.answer(403 if token else 401, error="GatedRepo")
        if (kind, repo) not in self.hub.repositories:
            return self.answer(404, error="RepoNotFound")
        if verb == "auth-check":
            return self.answer(200, {})
        commit = self.hub.head if rest[0] in ("main", "refs") else rest[0]  # refs/pr/1
        if len(commit) != 40:
            return self.answer(404, error="RevisionNotFound")
        if verb == "revision":
            return self.answer(200, {"id": repo, "sha": commit, "siblings": []})
        files = self.hub.repositories[kind, repo]
        return self.tree(files) if verb == "tree" else self.file(kind, repo, commit, "/".join(rest[1:]))

    def tree(self, files: Mapping[str, bytes]) -> None:
        start = int(urlsplit(self.path).query.partition("cursor=")[2] or 0)
        names = sorted(files)
        page = [{"type": "file", "path": name, **_identity(name, files[name])} for name in names[start : start + PAGE]]
        following = f"{self.hub.url}{urlsplit(self.path).path}?recursive=True&cursor={start + PAGE}"
        self.answer(200, page, {"Link": f'<{following}>; rel="next"'} if start + PAGE < len(names) else {})

    def file(self, kind: str, repo: str, commit: str, name: str) -> None:
        files = self.hub.repositories[kind, repo]
        if name not in files:
            return self.answer(404, error="EntryNotFound")
        headers = {"X-Repo-Commit": commit, "ETag": f'"{_identity(name, files[name])["oid"]}"'}
        if not name.endswith(LARGE):
            return self.content(kind, *repo.split("/"), name, headers)
        digest, size = hashlib.sha256(files[name]).hexdigest(), str(len(files[name]))
        headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": size}
        return self.answer(302, headers=headers | {"Location": f"{self.hub.storage}/lfs/{kind}/{repo}/{name}"})

    def content(self, kind: str, owner: str, repo: str, name: str, headers: Mapping[str, str] | None = None) -> None:
        """The bytes of a file, from where the client asks, with the faults that it has."""
        body = self.hub.repositories[kind, f"{owner}/{repo}"][name]
        first = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
        body, whole = body[first:], len(body)
        headers = {**(headers or {}), "Content-Range": f"bytes {first}-{whole - 1}/{whole}"} if first else headers
        self.begin(206 if first else 200, len(body), headers or {})
        if self.command == "HEAD":
            return
        cut = self.hub.cuts.get(name, [0, 0])
        if cut[1] > 0:
            cut[1] -= 1
            self.close_connection = True
            self.wfile.write(body[: int(cut[0])])
            return
        step = max(1, len(body) // 5) if name in self.hub.slow else len(body) or 1
        for place in range(0, len(body), step):
            time.sleep(self.hub.slow.get(name, 0))
            self.wfile.write(body[place : place + step])

    def answer(
        self, status: int, body: object = None, headers: Mapping[str, str] | None = None, error: str = ""
    ) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.begin(status, len(data), {**(headers or {}), **({"X-Error-Code": error} if error else {})})
        if self.command == "GET":
            self.wfile.write(data)

    def begin(self, status: int, length: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(key, value)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """No lines on the terminal."""


def _identity(name: str, body: bytes) -> dict:
    found = {"size": len(body), "oid": _git_name(body)}
    if name.endswith(LARGE):
        digest = hashlib.sha256(body).hexdigest()
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(body)}\n".encode()
        found["oid"], found["lfs"] = _git_name(pointer), {"oid": digest, "size": len(body), "pointerSize": len(pointer)}
    return found


def _git_name(content: bytes) -> str:
    """What `git hash-object` prints."""
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder, as a repository has them."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def list_again(snapshot: Path) -> None:
    """Let the cache take a snapshot that a test has changed for what was fetched: its list of files is of these."""
    from huggingface_hub import _tree_cache

    for file in snapshot.rglob("*"):
        if file.is_symlink():  # to a blob that is named by what it held before
            body = file.read_bytes()
            file.unlink()
            file.write_bytes(body)
    found = contents(snapshot)
    entries = {name: _tree_cache.TreeCacheEntry(len(body), _git_name(body)) for name, body in found.items()}
    _tree_cache.write_tree_cache(str(snapshot.parents[1]), snapshot.name, entries)
