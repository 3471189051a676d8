"""outputs/hub.lock.json: the commit that each branch of the hub was resolved to."""

import json
from pathlib import Path

from lib.base.errors import TesseraError


def read(file: Path) -> dict[str, str]:
    """Branch (as `HubItem` is written) -> commit; nothing without the file. Raises TesseraError if it is damaged."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise _damaged(file, str(error)) from error
    if not isinstance(found, dict) or not all(isinstance(commit, str) for commit in found.values()):
        raise _damaged(file, "it must map branches to commits")
    return found


def _damaged(file: Path, why: str) -> TesseraError:
    return TesseraError(f"{file}: not a list of commits ({why}); delete it to look the branches up again")
