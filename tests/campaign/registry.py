"""The kinds of faults: each is a function, registered with a name, the layer it belongs to, and what is promised."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.campaign.scene import Scene

LAYERS = ("local", "slurm", "data")

# What a message must say of a cause, and what it must not: the words for other causes.
DAMAGED = r"damaged|not what was written|truncated|cannot be read|is gone|made again|moved aside"
FULL = r"No space left|full|no room"
PERMISSION = r"[Pp]ermission|may not be"
READ_ERROR = r"Input/output error|reports an error|could not be read|read error"
READ_ONLY = r"[Rr]ead-only|may not be written"


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    act: commits the fault. weight: how often it is drawn beside the others. promise: in words.
    needs_shim: shim.c must be compiled. needs_fake: a real SLURM cannot do it. needs_real: the fake one cannot.
    """

    name: str
    layer: str
    act: Callable[["Scene"], None]
    promise: str
    weight: int = 1
    needs_shim: bool = False
    needs_fake: bool = False
    needs_real: bool = False


KINDS: dict[str, Kind] = {}


def kind(layer: str, name: str, promise: str = "", **others) -> Callable[[Callable], Callable]:
    """Register the function below as a kind of fault. promise: its docstring, unless given."""

    def register(act: Callable[["Scene"], None]) -> Callable[["Scene"], None]:
        _add(layer, name, act, promise or (act.__doc__ or "").strip().splitlines()[0], **others)
        return act

    return register


def kinds(
    layer: str, name: str, values: Iterable[str] | dict, promise: str, twice: str = "", **others
) -> Callable[[Callable], Callable]:
    """Register the function below once for every value, which it is given after the scene.

    name: {} in it stands for the value, or for its key if values is a dict. twice: which is drawn twice as often.
    """
    named = values if isinstance(values, dict) else {value: value for value in values}

    def register(act: Callable) -> Callable:
        for key, value in named.items():
            weight = 2 if key == twice else 1
            _add(
                layer, name.format(key), lambda scene, value=value: act(scene, value), promise, weight=weight, **others
            )
        return act

    return register


def _add(layer: str, name: str, act: Callable[["Scene"], None], promise: str, **others) -> None:
    """Raises ValueError for a name that is taken."""
    full = f"{layer}: {name}"
    if full in KINDS or layer not in LAYERS:
        raise ValueError(f"{full}: taken, or no layer of {LAYERS}")
    KINDS[full] = Kind(full, layer, act, promise, **others)
