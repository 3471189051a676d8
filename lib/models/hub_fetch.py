"""What needs the Hugging Face hub itself: access checked, branches resolved to commits, files downloaded.

The access token comes from HF_TOKEN alone and is never printed.
"""

import os
import re
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import errors as hub_errors
from huggingface_hub.utils import tqdm as hub_tqdm

from lib.artifacts import hub_lock
from lib.base.errors import TesseraError
from lib.base.progress import Advance, unheard
from lib.models import hub
from lib.models.hub import HubItem, is_commit

BARS = [f"huggingface_hub.{name}" for name in ("snapshot_download", "http_get", "xet_get")]  # of bytes that are written


def resolve_revision(item: HubItem, lock: Path) -> str:
    """The commit that `item.revision` means. A branch is looked up once and recorded in the JSON file `lock`.

    Later calls return the recorded commit, so that a sweep submitted again uses the same weights.
    Raises TesseraError when the hub refuses or cannot be reached.
    """
    if is_commit(item.revision):
        return item.revision
    known = hub_lock.read(lock)
    if str(item) not in known:
        known[str(item)] = _ask(item)
        hub_lock.write(lock, known)
    return known[str(item)]


def pin(items: Iterable[HubItem], lock: Path) -> list[HubItem]:
    """The items, each once, at commits (see `resolve_revision`)."""
    return [replace(item, revision=resolve_revision(item, lock)) for item in dict.fromkeys(items)]


def check_access(items: Iterable[HubItem]) -> None:
    """Raise TesseraError that lists every repository that can be neither read on the hub nor found in the cache."""
    absent = [item for item in items if not (is_commit(item.revision) and hub.is_cached(item))]
    problems = []
    for repository, *_ in by_repository(absent):
        try:
            _api().auth_check(repository.repo, repo_type=repository.kind)
            _ask(repository)
        except TesseraError as error:
            problems.append(str(error))
        except Exception as error:
            problems.append(explain(repository, error))
    if problems:
        raise TesseraError("\n".join(problems))


def by_repository(items: Iterable[HubItem]) -> list[list[HubItem]]:
    """The items, each once, those of one repository at one revision together."""
    found: dict[HubItem, list[HubItem]] = {}
    for item in dict.fromkeys(items):
        found.setdefault(replace(item, patterns=()), []).append(item)
    return list(found.values())


def lacking(items: Iterable[HubItem]) -> dict[HubItem, dict[str, int]]:
    """The files of every item that the cache lacks -> bytes.

    The hub is asked, once a repository, if the cache has no list of its files. Raises TesseraError if it cannot be
    asked, or has no such files.
    """
    found: dict[HubItem, dict[str, int]] = {}
    for several in by_repository(items):
        listed = hub.listing(several[0]) if is_commit(several[0].revision) else None
        listed = _listing(several[0]) if listed is None else listed
        found |= {item: hub.lacking(item, listed) for item in several}
    return found


def fetch(items: Iterable[HubItem], advance: Advance = unheard) -> list[Path]:
    """Download the files of every item that the cache lacks, and return the items' folders in it.

    advance: called with the bytes that have come since, by one thread at a time.
    Raises TesseraError that says what to do about a gated, missing or unreachable repository, about a model that has
    no safetensors weights, or about patterns that no file matches.
    """
    bars = _bars(advance)
    return [_fetch(item, missing, bars) for item, missing in lacking(items).items()]


def explain(item: HubItem, error: Exception) -> str:
    """What went wrong with `item` and how to fix it, in one line."""
    where = f"https://huggingface.co/{'datasets/' if item.kind == 'dataset' else ''}{item.repo}"
    if isinstance(error, hub_errors.GatedRepoError):
        return f"{item}: gated; ask for access at {where} and {_token_remedy()}"
    if isinstance(error, hub_errors.RepositoryNotFoundError):
        return f"{item}: not on the hub, or private; check the name at {where}; if it is private, {_token_remedy()}"
    if isinstance(error, hub_errors.RevisionNotFoundError):
        return f"{item}: no such revision; see {where}/commits/main"
    if isinstance(error, hub_errors.OfflineModeIsEnabled):
        return f"{item}: HF_HUB_OFFLINE is set here; unset it where models are fetched"
    if isinstance(error, hub_errors.HfHubHTTPError) and error.response.status_code in (401, 403):
        return f"{item}: the hub refuses ({error.response.status_code}); {_token_remedy()}"
    if isinstance(error, OSError) and error.filename:
        return f"{item}: {error.filename}: {error.strerror}; the hub cache must be writable and have room (HF_HOME)"
    return (
        f"{item}: the hub cannot be reached, or broke off ({type(error).__name__}: {_first_line(error)}); "
        "run this where it can be (a login node), or check HTTPS_PROXY and HF_ENDPOINT; the same command goes on with "
        "the files that are missing"
    )


def _bars(advance: Advance) -> type[hub_tqdm]:
    """Bars of huggingface_hub that show nothing and pass on how many bytes of files were written.

    Beside them it has bars of bytes that were sent and of files, which are not counted.
    """
    lock = threading.Lock()

    class Heard(hub_tqdm):
        def __init__(self, *args: Any, name: str = "", **options: Any) -> None:
            self.counts = name in BARS
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> None:
            if self.counts and n:
                with lock:
                    advance(n)

    return Heard


def _fetch(item: HubItem, missing: Iterable[str], bars: type[hub_tqdm]) -> Path:
    try:
        if missing or not is_commit(item.revision):
            _download(item, missing, bars)
    except Exception as error:
        raise TesseraError(explain(item, error)) from error
    return hub.local_snapshot(item)


def _download(item: HubItem, missing: Iterable[str], bars: type[hub_tqdm]) -> None:
    """The missing files. Those that are there, but cut off, are replaced: the library would take them as they are."""
    common: dict[str, Any] = {
        "repo_type": item.kind, "revision": item.revision, "cache_dir": hub.cache(), "token": _token(),
        "endpoint": _endpoint(), "tqdm_class": bars,
    }  # fmt: skip
    folder = Path(huggingface_hub.snapshot_download(item.repo, allow_patterns=item.allowed, **common))
    listed = hub.listing(item) or {}
    for name in missing:
        if (folder / name).stat().st_size != listed.get(name):
            huggingface_hub.hf_hub_download(item.repo, name, force_download=True, **common)


def _listing(item: HubItem) -> dict[str, int]:
    _ask(item)  # says at once if the hub is out of reach; the list would be tried for half a minute
    try:
        tree = _api().list_repo_tree(item.repo, recursive=True, revision=item.revision, repo_type=item.kind)
        return {file.path: file.size for file in tree if isinstance(file, huggingface_hub.RepoFile)}
    except Exception as error:
        raise TesseraError(explain(item, error)) from error


def _ask(item: HubItem) -> str:
    try:
        return str(_api().repo_info(item.repo, repo_type=item.kind, revision=item.revision, timeout=30).sha)
    except Exception as error:
        raise TesseraError(explain(item, error)) from error


def _api() -> huggingface_hub.HfApi:
    return huggingface_hub.HfApi(endpoint=_endpoint(), token=_token())


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT")


def _token() -> str | bool:
    """HF_TOKEN without space around it; False: no token, nor one that some other login left on this machine.

    Raises TesseraError for characters that no token has: the library would show them, and all others, in its error.
    """
    token = os.environ.get("HF_TOKEN", "").strip()
    if not re.fullmatch(r"[!-~]*", token):
        raise TesseraError("HF_TOKEN holds characters that no token has (a quote, a space or a line end); set it again")
    return token or False


def _token_remedy() -> str:
    if _token():
        return "give HF_TOKEN a token whose account may read it (the present one may not)"
    return "export HF_TOKEN=<a read token from https://huggingface.co/settings/tokens> (none is set)"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no message")
