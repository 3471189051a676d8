"""Compute what may replace each token of each canary, once for every number of replaced tokens.

    python -m jobs candidates --config FILE --out DIR

FILE holds:

    inputs: {canaries: canaries.h5, masked_lm: DIR, target_tokenizer: DIR}   # or causal_lm: DIR; random needs neither
    strategy: mlm
    top_k: 10

Result candidates.h5: `sequences` (target ids of each replacement, ragged), `options` (for `mlm` and `clm`: for each
position, canary by canary, indices into the sequences, likeliest first), `original` and `replaceable` (n x length).
"""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from lib.artifacts import store
from lib.base import places
from lib.base.config import added, at_least, execution
from lib.base.progress import Meter
from lib.canaries import canaries_file
from lib.costs import language_models as costs
from lib.costs.facts import Given
from lib.costs.work import PRECISIONS, Work
from lib.perturbations.candidates import PROPOSALS, model_input

VERSION = 1
INPUTS = ("canaries", "target_tokenizer")
OPTIONAL_INPUTS = ("masked_lm", "causal_lm")
SLUG = ("strategy",)
IMPORTS_TORCH = True


@dataclass(frozen=True)
class Config:
    """Where replacements come from.

    strategy: `mlm` takes the `top_k` likeliest tokens of the masked model, which reads the text before and after,
        `mlm_random` its whole vocabulary; `clm` those of the causal model: the text before proposes, the next token
        after decides; `clm_random` its whole vocabulary; `random` that of the target
    top_k: replacements of each position; for `mlm` and `clm` only
    start_token: the token that opens a text for the causal model; null is its BOS
    dtype: the type in which the model computes
    device: where the model runs: cpu, cuda, cuda:1, ...
    batch_size: masked texts, or proposals of the causal model, in one forward pass
    """

    strategy: Literal["mlm", "mlm_random", "clm", "clm_random", "random"] = "mlm"
    top_k: int = 10
    start_token: str | None = added(None)
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    device: str = execution("cpu")
    batch_size: int = execution(128)

    def __post_init__(self) -> None:
        """Raise ValueError for no replacements and for empty batches."""
        at_least(1, top_k=self.top_k, batch_size=self.batch_size)


def check_inputs(config: Config, inputs: Collection[str]) -> None:
    """Raise UsageError if the model of the strategy is not given."""
    model_input(config.strategy, inputs)


def work(config: Config, given: Given) -> Work:
    """For each token one pass over the whole canary, in which it is masked, or over as many tokens as are proposed."""
    found = given.get("masked_lm") or given.get("causal_lm")
    if found is None:
        return Work()
    model, canaries, precision = found.size, given["canaries"], PRECISIONS[config.dtype]
    length = canaries.known("tokens_a_text")
    each = length if "masked_lm" in given else max(config.top_k, PROPOSALS)
    return Work(
        phases=costs.reading(model, canaries.tokens * each, length, precision),
        gpu=costs.reading_memory(model, config.batch_size, length, precision),
        loaded=costs.weights(model, precision),
    )


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Compute and write."""
    from lib.models import loading
    from lib.perturbations import candidates_file

    tokenizer = loading.load_tokenizer(inputs["target_tokenizer"])
    tokens = canaries_file.read_ids(store.find(inputs["canaries"], places.CANARIES), len(tokenizer))
    settings = candidates_file.Settings(**asdict(config))
    with Meter(out, tokens.size, "positions") as meter:
        found = candidates_file.compute(tokens, inputs, settings, meter.advance)
    print(f"{found.replaceable.sum()} of {found.replaceable.size} positions are replaceable")
    candidates_file.write(out / places.CANDIDATES, tokens, found, settings)
