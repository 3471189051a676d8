"""Settings for continuing texts, as configurations give them; lib.generation.next_token applies them."""

from dataclasses import dataclass
from typing import Literal

from lib.base.config import at_least


@dataclass(frozen=True)
class Decoding:
    """temperature, top_k (0: all ids), top_p (1: all mass) and seed are used by `sample` only."""

    kind: Literal["greedy", "sample"]
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse settings out of range, and settings that greedy decoding would silently ignore."""
        at_least(0, top_k=self.top_k, seed=self.seed)
        if not self.temperature > 0:
            raise ValueError(f"temperature is {self.temperature}; it must be above 0")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; it must be above 0 and at most 1")
        if self.kind == "greedy" and (self.temperature, self.top_k, self.top_p) != (1.0, 0, 1.0):
            raise ValueError("temperature, top_k and top_p are for `kind: sample`; leave them out for greedy")
