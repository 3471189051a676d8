"""List the input files of a corpus once: local files, or a data set in the hub cache.

    python -m jobs corpus --config FILE --out DIR

It has no inputs. FILE holds:

    path: /data/SlimPajama-627B        # a file, a folder or a glob; or `repo: cerebras/SlimPajama-627B`
    pattern: [train/**/*.jsonl.zst]    # which files of a folder or data set; without it, every file that can be read

Linked folders are followed. What is in the folder and is not read is counted, by the ending of its name.

Result corpus.h5: texts `files` in the order of the corpus, `sizes` (bytes), `mtimes_ns`, `xxh3` (checksums, of a corpus
of at most 10 GB), attributes `text_key` and `left_out` (JSON: ending, or hidden, folders, records of a run -> count).
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lib.base import places
from lib.base.errors import TesseraError, counted
from lib.costs.facts import Facts, Given
from lib.texts import listing, partition, samples

if TYPE_CHECKING:
    from lib.models.hub import HubItem

VERSION = 1
INPUTS: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config:
    """Give either `path` or `repo`.

    path: a file, a folder or a glob of local files; natural order (chunk2 before chunk10)
    repo: a data set of the Hugging Face hub, `owner/name`, which `fetch` brings into the cache of this machine
    revision: the commit of `repo`; a branch means what the cache holds of it
    pattern: one glob or a list of globs that choose files, relative to the folder or data set; empty takes every file
        that can be read; of a data set only these are fetched
    text_key: the field that holds the text, in JSON lines, CSV and Parquet files
    fingerprint: 16 hex digits of the names, sizes and times of local files; a sweep fills it in when it plans, so that
        new files are a new task (not those that were listed before, up to 10 GB, if only their times are new); leave it
        out by hand
    """

    path: str | None = None
    repo: str | None = None
    revision: str = "main"
    pattern: tuple[str, ...] | str = ()
    text_key: str = "text"
    fingerprint: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError unless there is one place, and patterns that stay inside it."""
        if bool(self.path) == bool(self.repo):
            raise ValueError("give either path (local files) or repo (a data set of the hub)")
        if any(Path(pattern).is_absolute() or ".." in Path(pattern).parts for pattern in _patterns(self)):
            raise ValueError(f"pattern is {self.pattern!r}; it must be relative to the folder, without '..'")


def hub(config: Config) -> "list[HubItem]":
    """What must be in the hub cache before the task runs."""
    from lib.models.hub import HubItem

    if not config.repo:
        return []
    return [HubItem("dataset", config.repo, config.revision, _patterns(config) or listing.READABLE)]


def pin(config: Config, root: Path | None = None) -> Config:
    """`config` with an absolute path and the fingerprint of what lies there now, so that new files are a new task.

    root: the folder of outputs: files that an earlier task listed, and that have new times alone, keep its fingerprint.
    """
    if not config.path:
        return config
    path = str(Path(config.path).expanduser().absolute())
    found = _listing(config)
    for file in sorted(places.artifacts(root, "corpus").glob(f"*/{places.CORPUS}")) if root else ():
        if earlier := _earlier(file, found):
            return replace(config, path=path, fingerprint=listing.fingerprint(earlier))
    return replace(config, path=path, fingerprint=listing.fingerprint(found))


def facts(config: Config, given: Given) -> Facts:
    """Into how many parts the local files that are there now can be cut, how much text they hold, and of how many bytes
    a token of it is, about."""
    if not config.path:
        return Facts()
    from lib.tokens import gpt2

    found = _listing(config)
    parts, sample = partition.most_parts(found.sizes, found.can_be_cut), samples.drawn(found)
    return Facts(parts=parts, text_bytes=listing.text_bytes(found), token_bytes=gpt2.token_bytes(sample))


def _earlier(file: Path, found: listing.Listing) -> listing.Listing | None:
    """What a task listed earlier, if it is what is found now, byte for byte."""
    try:
        earlier = listing.read(file)
    except TesseraError:  # whoever reads it as an input names the damage
        return None
    return earlier if listing.same_bytes(earlier, found) else None


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """List the files. Raises TesseraError when it finds none, or when they have changed since the task was planned."""
    found = _listing(config)
    if (out / places.CORPUS).is_file():  # by an attempt that was killed; only the times may be new since
        found = _earlier(out / places.CORPUS, found) or found
    if config.fingerprint and listing.fingerprint(found) != config.fingerprint:
        raise TesseraError(f"{config.path}: the files changed since this run was planned; submit the sweep again")
    listing.write(out / places.CORPUS, listing.summed(found))
    print(
        f"corpus: {counted(len(found.files), 'file')}, {sum(found.sizes) / 1e9:.3f} GB; "
        f"{listing.spelled(found.left_out)}"
    )


def _listing(config: Config) -> listing.Listing:
    if config.path:
        return listing.list_files(Path(config.path), _patterns(config), config.text_key)
    from lib.models import hub as hub_cache

    item = hub(config)[0]
    found = listing.list_files(hub_cache.local_snapshot(item), _patterns(config), config.text_key)
    return listing.among(found, list(hub_cache.listing(item) or ()))


def _patterns(config: Config) -> tuple[str, ...]:
    return (config.pattern,) if isinstance(config.pattern, str) else config.pattern
