"""What sweeps there are, the variables of each (meaning, and value in every profile), and which models are gated."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lib.base import yamls
from lib.plans import documents

NOT_TIMED = "not timed"  # of a sweep that does not say how long it takes


@dataclass(frozen=True)
class Entry:
    """A sweep: its name, what it answers (else its title), how long that takes in the profile `laptop` on two cores."""

    name: str
    question: str
    laptop: str


@dataclass(frozen=True)
class Variable:
    """A variable of a sweep, which `--set` can change. values: profile -> value, where it has one."""

    name: str
    meaning: str
    values: dict[str, Any]


def sweeps() -> list[Entry]:
    """All sweeps, by name."""
    found = [(name, yamls.read(documents.FOLDER / f"{name}.yaml")) for name in documents.names()]
    return [
        Entry(name, document.get("question") or document.get("title", ""), document.get("laptop", NOT_TIMED))
        for name, document in found
    ]


def gated_models() -> set[str]:
    """The repositories whose licence has to be accepted on the hub, by sweeps/common/models.yaml."""
    listed = yamls.read(documents.FOLDER / "common" / "models.yaml")["vars"]["hub_models"]
    return {model["repo"] for model in listed.values() if model.get("gated")}


def variables(name: str) -> list[Variable]:
    """The variables of a sweep: those that its `about`, and that of what it includes, describes.

    Those of a sweep of sweeps are those of its parts, each with the value in the first part that has it.
    Raises UsageError if there is no such sweep.
    """
    found: dict[str, Variable] = {}
    for profile in documents.profiles():
        document = documents.read(name, profile, [])
        for part in document.get("sweeps", [document]):
            for known, meaning in (part.get("about") or {}).items():
                values = found.setdefault(known, Variable(known, meaning, {})).values
                if known in part["vars"]:
                    values.setdefault(profile, part["vars"][known])
    return list(found.values())


def by_value(variable: Variable) -> Iterator[tuple[list[str], Any]]:
    """The profiles that share a value, and the value."""
    left = dict(variable.values)
    while left:
        value = next(iter(left.values()))
        same = [profile for profile, other in left.items() if other == value and type(other) is type(value)]
        yield same, value
        left = {profile: other for profile, other in left.items() if profile not in same}
