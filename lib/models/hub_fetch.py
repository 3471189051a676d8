"""What needs the Hugging Face hub itself: access checked, branches resolved to commits, files downloaded.

The access token comes from HF_TOKEN alone and is never printed.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import errors as hub_errors

from lib.artifacts import store
from lib.base.errors import TesseraError
from lib.models import hub
from lib.models.hub import HubItem, is_commit


def resolve_revision(item: HubItem, lock: Path) -> str:
    """The commit that `item.revision` means. A branch is looked up once and recorded in the JSON file `lock`.

    Later calls return the recorded commit, so that a sweep submitted again uses the same weights.
    Raises TesseraError when the hub refuses or cannot be reached.
    """
    if is_commit(item.revision):
        return item.revision
    known = _read_lock(lock)
    if str(item) not in known:
        known[str(item)] = _ask(item)
        store.write_json(lock, known)
    return known[str(item)]


def pin(items: Iterable[HubItem], lock: Path) -> list[HubItem]:
    """The items, each once, at commits (see `resolve_revision`)."""
    return [replace(item, revision=resolve_revision(item, lock)) for item in dict.fromkeys(items)]


def check_access(items: Iterable[HubItem]) -> None:
    """Raise TesseraError that lists every repository that can be neither read on the hub nor found in the cache."""
    absent = [item for item in items if not (is_commit(item.revision) and hub.is_cached(item))]
    problems = []
    for repository in dict.fromkeys(replace(item, patterns=()) for item in absent):
        try:
            _api().auth_check(repository.repo, repo_type=repository.kind)
            _ask(repository)
        except TesseraError as error:
            problems.append(str(error))
        except Exception as error:
            problems.append(explain(repository, error))
    if problems:
        raise TesseraError("\n".join(problems))


def lacking(item: HubItem) -> dict[str, int]:
    """The files of `item` that the cache lacks -> bytes. The hub is asked if the cache has no list of its files.

    Raises TesseraError if it cannot be asked, or has no such files.
    """
    listed = hub.listing(item) if is_commit(item.revision) else None
    return hub.lacking(item, _listing(item) if listed is None else listed)


def fetch(items: Iterable[HubItem]) -> list[Path]:
    """Download the files of every item that the cache lacks, and return the items' folders in it.

    Raises TesseraError that says what to do about a gated, missing or unreachable repository, about a model that has
    no safetensors weights, or about patterns that no file matches.
    """
    return [_fetch(item) for item in dict.fromkeys(items)]


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
    return (
        f"{item}: the hub cannot be reached, or broke off ({type(error).__name__}: {_first_line(error)}); "
        "run this where it can be (a login node), or check HTTPS_PROXY and HF_ENDPOINT; the same command goes on with "
        "the files that are missing"
    )


def _fetch(item: HubItem) -> Path:
    missing = lacking(item)
    try:
        if missing or not is_commit(item.revision):
            _download(item, missing)
    except Exception as error:
        raise TesseraError(explain(item, error)) from error
    return hub.local_snapshot(item)


def _download(item: HubItem, missing: Iterable[str]) -> None:
    """The missing files. Those that are there, but cut off, are replaced: the library would take them as they are."""
    common: dict[str, Any] = {
        "repo_type": item.kind, "revision": item.revision, "cache_dir": hub.cache(), "token": _token(),
        "endpoint": _endpoint(),
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
    return os.environ.get("HF_TOKEN") or False  # False: no token that some other login left on this machine


def _token_remedy() -> str:
    if os.environ.get("HF_TOKEN"):
        return "give HF_TOKEN a token whose account may read it (the present one may not)"
    return "export HF_TOKEN=<a read token from https://huggingface.co/settings/tokens> (none is set)"


def _read_lock(lock: Path) -> dict[str, str]:
    try:
        return json.loads(lock.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise TesseraError(f"{lock}: not valid JSON ({error}); delete it to look the branches up again") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no message")
