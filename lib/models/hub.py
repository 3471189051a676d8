"""Models and data sets of the Hugging Face hub: checked and fetched with a network, read offline elsewhere.

The access token comes from HF_TOKEN alone and is never printed.
"""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import huggingface_hub
from huggingface_hub import errors as hub_errors

from lib.artifacts import store
from lib.base.errors import TesseraError

# Pickled weights (*.bin), other frameworks' weights and examples stay on the hub.
MODEL_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")
CODE, PICKLED = ("*.py",), ("pytorch_model*.bin",)  # what a model needs as well that asks for it


@dataclass(frozen=True)
class HubItem:
    """One repository of the hub at one revision (a commit, or a branch or tag that `pin` turns into one).

    patterns: which files. Empty: MODEL_FILES of a model, every file of a data set.
    """

    kind: Literal["model", "dataset"]
    repo: str
    revision: str = "main"
    patterns: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.repo} at {self.revision}"


def is_commit(revision: str) -> bool:
    """Whether `revision` is a full commit hash, which always names the same files."""
    return re.fullmatch(r"[0-9a-f]{40}", revision) is not None


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
    """Raise TesseraError that lists every item that can be neither read on the hub nor found in the cache."""
    problems = []
    for item in dict.fromkeys(items):
        if is_commit(item.revision) and is_cached(item):
            continue
        try:
            _api().auth_check(item.repo, repo_type=item.kind)
            _ask(item)
        except TesseraError as error:
            problems.append(str(error))
        except Exception as error:
            problems.append(explain(item, error))
    if problems:
        raise TesseraError("\n".join(problems))


def fetch(items: Iterable[HubItem]) -> list[Path]:
    """Download every item into the local hub cache, unless it is there, and return the folders.

    Raises TesseraError that says what to do about a gated, missing or unreachable repository, or about a model
    that has no safetensors weights.
    """
    return [_fetch(item) for item in dict.fromkeys(items)]


def local_snapshot(item: HubItem) -> Path:
    """The folder of `item` in the local hub cache; never uses the network.

    Raises TesseraError when it was not fetched, or only in part.
    """
    try:
        return Path(_download(item, local_files_only=True))
    except hub_errors.LocalEntryNotFoundError as error:
        raise TesseraError(
            f"{item} is not (or not whole) in the hub cache {cache()}; submit the sweep where the hub can be reached "
            "(it fetches), or set HF_HOME to the cache that has it"
        ) from error


def is_cached(item: HubItem) -> bool:
    """Whether `item` is complete in the local hub cache."""
    try:
        return local_snapshot(item).is_dir()
    except TesseraError:
        return False


def cache() -> Path:
    """The hub cache (HF_HUB_CACHE, or `hub` in HF_HOME)."""
    caches = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    home = Path(os.environ.get("HF_HOME", caches / "huggingface"))
    return Path(os.environ.get("HF_HUB_CACHE", home / "hub")).expanduser()


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
        f"{item}: the hub cannot be reached ({type(error).__name__}: {_first_line(error)}); "
        "run this where it can (a login node), or check HTTPS_PROXY and HF_ENDPOINT"
    )


def _fetch(item: HubItem) -> Path:
    if is_commit(item.revision) and is_cached(item):
        return local_snapshot(item)
    try:
        folder = Path(_download(item, local_files_only=False))
    except Exception as error:
        raise TesseraError(explain(item, error)) from error
    weights = ["*.safetensors", *(PICKLED if set(PICKLED) <= set(item.patterns) else ())]
    if item.kind == "model" and not any(file for pattern in weights for file in folder.rglob(pattern)):
        raise TesseraError(f"{item}: no safetensors weights (pickled ones are not read); choose one that has them")
    return folder


def _download(item: HubItem, local_files_only: bool) -> str:
    return huggingface_hub.snapshot_download(
        item.repo, repo_type=item.kind, revision=item.revision, cache_dir=cache(), token=_token(),
        allow_patterns=list(item.patterns or MODEL_FILES) if item.kind == "model" else None,
        endpoint=os.environ.get("HF_ENDPOINT"), local_files_only=local_files_only,
    )  # fmt: skip


def _ask(item: HubItem) -> str:
    try:
        return str(_api().repo_info(item.repo, repo_type=item.kind, revision=item.revision, timeout=30).sha)
    except Exception as error:
        raise TesseraError(explain(item, error)) from error


def _api() -> huggingface_hub.HfApi:
    return huggingface_hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=_token())


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
