"""The input files of a corpus, listed once: local ones, or a data set of the hub that lies in its cache.

python -m jobs corpus --config FILE --out DIR

    path: /data/SlimPajama-627B        # a file, a folder or a glob; or `repo: cerebras/SlimPajama-627B`
    pattern: [train/**/*.jsonl.zst]    # in a folder or data set; without it every file that can be read

Result corpus.h5: texts `files` in the order of the corpus, `sizes` (bytes), `mtimes_ns`.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lib.base import places
from lib.base.errors import TesseraError

if TYPE_CHECKING:
    from lib.models.hub import HubItem
    from lib.texts.listing import Listing

VERSION = 1
INPUTS: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config:
    """text_key: where the text is in JSON lines and Parquet; fingerprint: of local files, filled in when planned."""

    path: str | None = None
    repo: str | None = None
    revision: str = "main"
    pattern: tuple[str, ...] | str = ()
    text_key: str = "text"
    fingerprint: str = ""

    def __post_init__(self) -> None:
        """One place, and patterns that stay inside it."""
        if bool(self.path) == bool(self.repo):
            raise ValueError("give either path (local files) or repo (a data set of the hub)")
        if any(Path(pattern).is_absolute() or ".." in Path(pattern).parts for pattern in _patterns(self)):
            raise ValueError(f"pattern {self.pattern!r}: relative to the folder is wanted, without '..'")


def hub(config: Config) -> "list[HubItem]":
    """What must be in the hub cache before the task runs."""
    from lib.models.hub import HubItem

    return [HubItem("dataset", config.repo, config.revision)] if config.repo else []


def pin(config: Config) -> Config:
    """`config` with an absolute path and the fingerprint of what lies there now, so that new files are a new task."""
    if not config.path:
        return config
    from lib.texts.listing import fingerprint

    path = str(Path(config.path).expanduser().absolute())
    return replace(config, path=path, fingerprint=fingerprint(_listing(config)))


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """List the files. Raises TesseraError when there is none, or they are not those that were planned with."""
    from lib.texts import listing

    found = _listing(config)
    if config.fingerprint and listing.fingerprint(found) != config.fingerprint:
        raise TesseraError(f"{config.path}: the files changed since this run was planned; submit the sweep again")
    listing.write(out / places.CORPUS, found)
    print(f"corpus: {len(found.files)} files, {sum(found.sizes) / 1e9:.3f} GB")


def _listing(config: Config) -> "Listing":
    from lib.texts.listing import list_files

    if config.path:
        return list_files(Path(config.path), _patterns(config), config.text_key)
    from lib.models.hub import local_snapshot

    return list_files(local_snapshot(hub(config)[0]), _patterns(config), config.text_key)


def _patterns(config: Config) -> tuple[str, ...]:
    return (config.pattern,) if isinstance(config.pattern, str) else config.pattern
