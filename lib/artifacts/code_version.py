"""Which code this is: the commit of its checkout, or the copy of one that queued tasks run."""

import functools
import hashlib
import os
import subprocess

from lib.base import places

ROOT = places.ROOT
COMMIT = "TESSERA_COMMIT"  # the variable that tells the processes of a copy what was copied
UNKNOWN, NO_GIT, CHANGED = "unknown", "no git", " with uncommitted changes"


def version() -> str:
    """The snapshot's hash, or the commit, with `+<hash of the changes>` if the checkout differs from it."""
    if _is_copy():
        return f"snapshot {ROOT.name}"
    try:
        found = _git("rev-parse", "HEAD").decode().strip()
        changes = _git("diff", "HEAD", "--", "jobs", "lib", "launch.py")
    except (OSError, subprocess.CalledProcessError):
        return "unknown (no git checkout)"
    return found + (f"+{hashlib.sha256(changes).hexdigest()[:8]}" if changes else "")


def commit() -> str:
    """The commit, with " with uncommitted changes" if files of the code are not those of it; `no git` without one.

    A copy has no git: there it is what the submission recorded when it made the copy, `unknown` for older ones.
    """
    return os.environ.get(COMMIT, UNKNOWN) if _is_copy() else _of_checkout()


def _is_copy() -> bool:
    return ROOT.parent.name == "snapshots"


@functools.cache
def _of_checkout() -> str:
    if not (ROOT / ".git").exists():  # a checkout inside another one would give that one's commit
        return NO_GIT
    try:
        changed = _git("status", "--porcelain", "--", "jobs", "lib", "sweeps", "env", "launch.py")
        return _git("rev-parse", "HEAD").decode().strip() + (CHANGED if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return NO_GIT


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout
