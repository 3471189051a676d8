"""How texts are continued, as a configuration says it (lib.generation.next_token does it)."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Decoding:
    """temperature, top_k (0: all ids), top_p (1: all mass) and seed mean something for `sample` only."""

    kind: Literal["greedy", "sample"]
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse settings out of range, and settings that greedy decoding would silently ignore."""
        if not (self.temperature > 0 and self.top_k >= 0 and 0 < self.top_p <= 1 and self.seed >= 0):
            raise ValueError(
                f"decoding: temperature {self.temperature}, top_k {self.top_k}, top_p {self.top_p}, seed {self.seed}: "
                "wanted temperature > 0, top_k >= 0, 0 < top_p <= 1, seed >= 0"
            )
        if self.kind == "greedy" and (self.temperature, self.top_k, self.top_p) != (1.0, 0, 1.0):
            raise ValueError("decoding: temperature, top_k and top_p are for `kind: sample`; leave them out for greedy")
