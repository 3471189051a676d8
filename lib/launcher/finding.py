"""What a check of `doctor` finds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """The result of one check. level: ok, warn (a run may work without it) or fail."""

    level: str
    what: str
    remedy: str = ""
