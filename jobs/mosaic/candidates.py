"""Candidates: what may replace each token of each canary, computed once for every number of replaced tokens.

python -m jobs candidates --config candidates.yaml --out DIR

    inputs: {canaries: canaries.h5, masked_lm: DIR, target_tokenizer: DIR}
    strategy: mlm          # top_k of the masked LM; mlm_random: its whole vocabulary; random: the target's
    top_k: 10

Writes candidates.h5: `sequences` (target ids of each replacement, ragged), `options` (`mlm`: for each position,
canary by canary, indices into the sequences, likeliest first), `original` and `replaceable` (n x length).
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from lib.artifacts import store
from lib.base import places
from lib.base.config import execution
from lib.canaries import canaries_file

VERSION = 1
INPUTS = ("canaries", "target_tokenizer")
OPTIONAL_INPUTS = ("masked_lm",)
SLUG = ("strategy",)
IMPORTS_TORCH = True


@dataclass(frozen=True)
class Config:
    """`top_k` counts for `mlm` only."""

    strategy: Literal["mlm", "mlm_random", "random"] = "mlm"
    top_k: int = 10
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    device: str = execution("cpu")
    batch_size: int = execution(128)

    def __post_init__(self) -> None:
        """Refuse a choice among nothing."""
        if min(self.top_k, self.batch_size) < 1:
            raise ValueError(f"top_k {self.top_k}, batch_size {self.batch_size}: at least 1 is wanted")


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Compute and write."""
    from lib.models import loading
    from lib.perturbations import candidates_file

    tokenizer = loading.load_tokenizer(inputs["target_tokenizer"])
    tokens = canaries_file.read_ids(store.find(inputs["canaries"], places.CANARIES), len(tokenizer))
    settings = candidates_file.Settings(**asdict(config))
    found = candidates_file.compute(tokens, inputs["target_tokenizer"], inputs.get("masked_lm"), settings)
    print(f"{found.replaceable.sum()} of {found.replaceable.size} positions are replaceable")
    candidates_file.write(out / places.CANDIDATES, tokens, found, settings)
