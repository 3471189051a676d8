"""Which run a plan is: its sweep, its profile, and the settings that change its results.

Each run has a folder of its own, named by these three alone, so that whoever types the same PROFILE and SET, wherever,
means the same run. Which settings count, changes.py finds out.
"""

import re
import shlex
from collections.abc import Mapping
from typing import Any

from lib.base import config, places, yamls

DEFAULT = "laptop"  # the profile whose run without settings has the short name
SMOKE = "smoke"  # the profile whose numbers mean nothing
SEPARATOR = "--"  # between the parts of a run's name
READABLE = 40  # characters of the settings in a name
VERBS = {"sweep": "submit", "tables": "collect"}  # what `make` calls a command -> what the launcher does
DIGITS = 8  # of the digest in a name


def name(sweep: str, profile: str, settings: Mapping[str, Any]) -> str:
    """The name of a run and its folder: `near_dupls`, `near_dupls--paper`, `near_dupls--laptop--seeds-2-1f0c9a3e`."""
    short = sweep.replace("-", "_")
    if profile == DEFAULT and not settings:
        return short
    parts = [short, places.slug(profile)]
    if settings:
        readable = re.sub("-+", "-", places.slug("-".join(map(_short, assignments(settings)))))
        digest = config.digest(assignments(settings))[:DIGITS]
        parts.append(f"{readable[:READABLE].strip('-._')}-{digest}")
    return SEPARATOR.join(parts)


def sweep_and_profile(run: str) -> tuple[str, str]:
    """The sweep and the profile in a run's name."""
    sweep, *rest = run.split(SEPARATOR)
    return sweep, rest[0] if rest else DEFAULT


def assignments(settings: Mapping[str, Any]) -> list[str]:
    """The settings as `key=value`, sorted."""
    return [f"{key}={yamls.spelled(value)}" for key, value in sorted(settings.items())]


def command(sweep: str, profile: str, settings: Mapping[str, Any], verb: str = "sweep") -> str:
    """The shell line that repeats a run, or asks for its status or end (`verb` as `make` calls it): with `make`, or
    with the launcher if a value would not pass through `make`."""
    given = assignments(settings)
    if any(re.search(r"[\s'$#]", setting) for setting in given):
        words = [".venv/bin/python", "launch.py", VERBS.get(verb, verb), sweep, f"--profile={profile}"]
        return shlex.join([*words, *(f"--set={setting}" for setting in given)])
    line = f"make {verb}-{sweep.replace('_', '-')} PROFILE={profile}"
    quote = "'" if '"' in "".join(given) else '"'
    return f"{line} SET={quote}{' '.join(given)}{quote}" if given else line


def _short(assignment: str) -> str:
    return assignment.removeprefix("nodes.").replace(".config.", ".", 1)
