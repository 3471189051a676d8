"""outputs/hub.lock.json: the commit that each branch of the hub was resolved to, and a checksum over them."""

import json
import sys
from pathlib import Path

from lib.artifacts import store
from lib.base import config, files

CHECKSUM = "checksum"  # older files have none


def read(file: Path) -> dict[str, str]:
    """Branch (as `HubItem` is written) -> commit; nothing without the file.

    A damaged one is set aside, and said so: the branches are looked up again.
    """
    try:
        found = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(commit, str) for commit in found.values()):
        return _set_aside(file)
    checksum = found.pop(CHECKSUM, None)
    return found if checksum in (None, config.digest(found)) else _set_aside(file)


def write(file: Path, commits: dict[str, str]) -> None:
    """Write the commits of all branches."""
    store.write_json(file, {**commits, CHECKSUM: config.digest(commits)})


def _set_aside(file: Path) -> dict[str, str]:
    kept = files.set_aside(file)
    print(f"{file}: damaged, or edited; now {kept.name}; its branches are looked up again", file=sys.stderr)
    return {}
