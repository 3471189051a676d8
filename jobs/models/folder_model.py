"""Take a model from a folder of this machine, and check that it can be read.

    python -m jobs folder_model --config FILE --out DIR

It has no inputs. FILE holds:

    path: /data/models/mine       # as transformers' save_pretrained writes it: safetensors, configuration, tokenizer

Result: a copy of these files, so that later tasks read what was checked. Code in the folder is neither copied nor run.
"""

import hashlib
import shutil
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

from lib.base.errors import TesseraError
from lib.texts import listing

VERSION = 1
INPUTS: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config:
    """Which model.

    path: the folder
    fingerprint: 16 hex digits of the names and bytes of its files; a sweep fills it in when it plans, so that other
        files are a new task; leave it out by hand
    """

    path: str
    fingerprint: str = ""


def pin(config: Config, root: Path | None = None) -> Config:
    """`config` with an absolute path and the fingerprint of what lies there now."""
    return replace(config, path=str(Path(config.path).expanduser().absolute()), fingerprint=_fingerprint(config))


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Copy the files, and check them without loading the weights. Raises TesseraError naming what is missing."""
    from lib.models import loading

    if config.fingerprint and _fingerprint(config) != config.fingerprint:
        raise TesseraError(f"{config.path}: the files changed since this run was planned; submit the sweep again")
    for file in _files(config):
        shutil.copyfile(file, out / file.name)
    loading.check(out)
    print(f"folder_model: {config.path}")


def _files(config: Config) -> list[Path]:
    from lib.models import hub

    folder = Path(config.path).expanduser()
    if not folder.is_dir():
        raise TesseraError(f"{config.path}: no such folder; give one that transformers' save_pretrained wrote")
    kept = [file for file in folder.iterdir() if any(fnmatch(file.name, one) for one in hub.MODEL_FILES)]
    return sorted(file for file in kept if file.is_file())


def _fingerprint(config: Config) -> str:
    lines = [f"{file.name} {listing.checksum(file)}" for file in _files(config)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
