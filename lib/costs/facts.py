"""What is known of a result before it is made, so that a plan can say what its tasks cost.

Facts stand at a node in YAML (`facts:`), or a stage computes them: a module in jobs/ may declare
`facts(config, given)`, which returns the facts of its result. given: input -> the facts of that input.
By the same facts `check(config, given)` of a stage raises ValueError, if it cannot succeed on such inputs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any


class UnknownFact(Exception):
    """A fact that a computation needs is not known. The message names it."""


@dataclass(frozen=True)
class Model:
    """The size of a model.

    parameters: all weights; width: numbers in the hidden state of a token; kv_width: numbers that are kept of a token
    in a layer as key, and as many as value (0 for a recurrent model); state_width: numbers that a recurrent layer keeps
    of a text.
    """

    parameters: float
    layers: int
    width: int
    vocabulary: int
    kv_width: int = 0
    state_width: int = 0


@dataclass(frozen=True)
class Facts:
    """None: not known.

    texts: how many; tokens_a_text: their mean length; held_out: texts beside them that a training is evaluated on;
    parts: into how many a corpus can be cut; text_bytes: of its text, or of a part of it; token_bytes: of a token's
    text, measured on a sample; suffix_tokens: of the true suffix of each prompt.
    """

    model: Model | None = None
    texts: float | None = None
    tokens_a_text: float | None = None
    parts: int | None = None
    text_bytes: float | None = None
    token_bytes: float | None = None
    held_out: float = 0
    suffix_tokens: int | None = None

    def known(self, name: str) -> Any:
        """The fact `name`. Raises UnknownFact if it is not known."""
        value = getattr(self, name)
        if value is None:
            raise UnknownFact(name)
        return value

    @property
    def size(self) -> Model:
        """The model. Raises UnknownFact."""
        return self.known("model")

    @property
    def tokens(self) -> float:
        """The tokens of all texts together, without those held out. Raises UnknownFact."""
        return self.known("texts") * self.known("tokens_a_text")

    def over(self, below: "Facts") -> "Facts":
        """These facts, and where one is not known that of `below`."""
        names = [field.name for field in fields(self)]
        return replace(self, **{name: getattr(below, name) for name in names if getattr(self, name) is None})


def together(several: Sequence[Facts]) -> Facts:
    """The facts of an input that is a list: those of the first, and the text of all; None if one's is not known."""
    sizes = [one.text_bytes for one in several if one.text_bytes is not None]
    return replace(several[0], text_bytes=sum(sizes) if len(sizes) == len(several) else None)


Given = Mapping[str, Facts]  # input -> its facts; of a list what `together` gives
