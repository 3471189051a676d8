"""Models and data sets of the Hugging Face hub in this machine's cache: which files are needed, and whether all of
them are there. Nothing here uses the network; `hub_fetch` does.
"""

import glob
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import huggingface_hub
from huggingface_hub import errors as hub_errors
from huggingface_hub.utils import filter_repo_objects, validate_repo_id

from lib.base.errors import TesseraError
from lib.models import hub_blobs

# Pickled weights (*.bin), other frameworks' weights and examples stay on the hub.
MODEL_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")
CODE, PICKLED = ("*.py",), ("pytorch_model*.bin",)  # what a model needs as well that asks for it
SEPARATORS = "[-._ 0-9/]"  # around the name of a split in a path
REMEDY = (
    "fetch it where the hub can be reached (make fetch-<sweep>, or launch.py fetch), or set HF_HOME to the cache that "
    "has it"
)


@dataclass(frozen=True)
class HubItem:
    """What is needed of one repository of the hub at one revision (a commit, or a branch or tag that `pin` resolves).

    patterns: which files, as huggingface_hub matches names (`*` matches `/` as well); a leading or inner `**/` also
    stands for no folder. Empty: MODEL_FILES of a model, every file of a data set.
    """

    kind: Literal["model", "dataset"]
    repo: str
    revision: str = "main"
    patterns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise TesseraError for what cannot be the name of a repository."""
        try:
            validate_repo_id(self.repo)
        except hub_errors.HFValidationError as error:
            raise TesseraError(f"repo is {self.repo!r}; it must be owner/name, as the hub has it") from error

    def __str__(self) -> str:
        return f"{self.kind} {self.repo} at {self.revision}"

    @property
    def allowed(self) -> list[str]:
        """The patterns as huggingface_hub takes them."""
        patterns = self.patterns or (MODEL_FILES if self.kind == "model" else ("*",))
        return list(dict.fromkeys(spelled for one in patterns for spelled in (one, one.replace("**/", ""))))

    def wanted(self, names: Iterable[str]) -> list[str]:
        """Those of the repository's file names that are needed, sorted."""
        return sorted(filter_repo_objects(names, allow_patterns=self.allowed))


def is_commit(revision: str) -> bool:
    """Whether `revision` is a full commit hash, which always names the same files."""
    return re.fullmatch(r"[0-9a-f]{40}", revision) is not None


def local_snapshot(item: HubItem) -> Path:
    """The folder of `item` in the hub cache.

    Raises TesseraError unless every file of the item is there with the size that the hub gave it.
    """
    listed = listing(item)
    if listed is None:
        raise TesseraError(
            f"{item} is not known to be whole: the hub cache {cache()} has no list of its files, so it was never "
            f"fetched, or not by this version; {REMEDY}"
        )
    if missing := lacking(item, listed):
        raise TesseraError(f"{item}: the hub cache {cache()} lacks {described(missing)}; {REMEDY}")
    folder = _folder(item)
    assert folder is not None  # it holds the files
    _check_shards(item, folder)
    return folder


def files(item: HubItem) -> list[Path]:
    """The files of `item` in the hub cache, sorted by name. Raises TesseraError unless all are there."""
    folder, listed = local_snapshot(item), listing(item)
    return [folder / name for name in item.wanted(listed or ())]


def verify(item: HubItem, patterns: Sequence[str] = ("*",)) -> Path:
    """The folder of `item` in the hub cache, after comparing its files that match `patterns` with what the hub has.

    Raises TesseraError unless all files are there, and Damaged naming one with other bytes, which is set aside.
    """
    folder, tree = local_snapshot(item), _tree(item) or []
    names = {file.path: file.blob_id for file in tree}
    hub_blobs.check(folder, filter_repo_objects(item.wanted(names), allow_patterns=list(patterns)), names)
    return folder


def data_set(repo: str, revision: str, split: str, data_files: tuple[str, ...]) -> list[HubItem]:
    """What the hub must give of a split of a data set: nothing if `repo` is a local folder.

    data_files: patterns of its files; without them those whose path has the split's name, as the library `datasets`
    finds it: `train-00000-of-00002.parquet`, `data/train/a.parquet`.
    """
    if Path(repo).is_dir():
        return []
    named = (f"{split}{SEPARATORS}*", f"*{SEPARATORS}{split}{SEPARATORS}*")
    return [HubItem("dataset", repo, revision, data_files or named)]


def opened(items: Sequence[HubItem], repo: str, data_files: Sequence[str]) -> tuple[Path, Sequence[str]]:
    """The folder of a `data_set`, and patterns of the files to read in it; those of the hub match its files alone.

    Raises TesseraError unless all of them are in the cache.
    """
    if not items:
        return Path(repo).resolve(), data_files
    return verify(items[0]), [glob.escape(str(file)) for file in files(items[0])]


def is_cached(item: HubItem) -> bool:
    """Whether `item` is complete in the hub cache."""
    try:
        return local_snapshot(item).is_dir()
    except TesseraError:
        return False


def listing(item: HubItem) -> dict[str, int] | None:
    """Every file of the repository -> bytes, as the hub gave them when it was fetched. None if it never was."""
    tree = _tree(item)
    return None if tree is None else {file.path: file.size for file in tree}


def lacking(item: HubItem, listed: Mapping[str, int]) -> dict[str, int]:
    """The files of `item` that the cache lacks, or holds with another size than the hub gave -> bytes on the hub.

    Raises TesseraError if none of the repository's files are those of the item, or none of a model are weights.
    """
    folder, names = _folder(item), item.wanted(listed)
    _check_names(item, names, listed)
    return {name: listed[name] for name in names if folder is None or _size(folder / name) != listed[name]}


def shards(index: Path) -> list[str]:
    """The files of weights that an index names, sorted. Raises TesseraError naming the index if it is none."""
    try:
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TesseraError(f"{index}: not an index of weights ({error!r}); fetch or make the model again") from error


def described(missing: Mapping[str, int]) -> str:
    """Files and their size in one line: the first three by name."""
    more = f" and {len(missing) - 3} more files" if len(missing) > 3 else ""
    return f"{', '.join(list(missing)[:3])}{more} ({gigabytes(sum(missing.values()))})"


def gigabytes(size: int) -> str:
    """Bytes, written in GB with three digits."""
    return f"{size / 1e9:.3g} GB"


def cache() -> Path:
    """The hub cache (HF_HUB_CACHE, or `hub` in HF_HOME)."""
    caches = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    home = Path(os.environ.get("HF_HOME", caches / "huggingface"))
    return Path(os.environ.get("HF_HUB_CACHE", home / "hub")).expanduser()


def _tree(item: HubItem) -> list[huggingface_hub.RepoFile] | None:
    try:
        return huggingface_hub.get_cached_repo_tree(
            item.repo, repo_type=item.kind, revision=item.revision, cache_dir=cache()
        )
    except hub_errors.CachedRepoTreeNotFoundError:
        return None


def _folder(item: HubItem) -> Path | None:
    """The item's folder in the cache, whatever of it is there; None if there is none."""
    try:
        return Path(
            huggingface_hub.snapshot_download(
                item.repo, repo_type=item.kind, revision=item.revision, cache_dir=cache(), local_files_only=True,
                allow_patterns=[],  # none is asked for, so none is found missing
            )
        )  # fmt: skip
    except hub_errors.LocalEntryNotFoundError:
        return None


def _check_names(item: HubItem, wanted: Iterable[str], names: Iterable[str]) -> None:
    if not wanted:
        shown = ", ".join(sorted(names)[:5]) or "no files"
        raise TesseraError(f"{item}: no file matches {', '.join(item.allowed)}; it has {shown}; change the pattern")
    weights = ["*.safetensors", *(PICKLED if set(PICKLED) <= set(item.patterns) else ())]
    if item.kind == "model" and not any(filter_repo_objects(wanted, allow_patterns=weights)):
        raise TesseraError(f"{item}: no safetensors weights (pickled ones are not read); choose one that has them")


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def _check_shards(item: HubItem, folder: Path) -> None:
    """Raise TesseraError if the index of a model's weights names a file that its repository does not have."""
    index = folder / "model.safetensors.index.json"
    if item.kind != "model" or not index.is_file():
        return
    if absent := [name for name in shards(index) if not (folder / name).is_file()]:
        raise TesseraError(f"{item}: {index.name} names {absent[0]}, which is not there; choose another revision")
