"""Score every canary under a model that never saw it, once for all fine-tuned models.

    python -m jobs reference_scores --config FILE --out DIR

FILE holds:

    inputs: {reference: DIR, target_tokenizer: DIR, members: canaries.h5, non_members: canaries.h5}
    bos: <|endoftext|>

Result reference.h5: for `members` and `non_members` `log_prob_sums` (float64, nats) and `tokens` (how many), each over
the reference model's own tokens, the hash of the texts, so that they are never taken for those of others, and, if the
reference's tokenizer has an EOS, `padding_log_probs` (float64: see lib.attacks.padding). If the
reference has the target's tokenizer (the target before fine-tuning), also `log_probs` and `log_probs_offsets`: rows of
log-probabilities of the stored ids themselves, for the attacks that compare token by token.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from lib.artifacts import store
from lib.attacks import references
from lib.base import hdf5, places
from lib.base.config import added, execution
from lib.base.progress import Meter
from lib.canaries import canaries_file
from lib.costs import language_models as costs
from lib.costs.facts import Given
from lib.costs.work import PRECISIONS, Work

VERSION = 3
INPUTS = ("reference", "members", "non_members", "target_tokenizer")
SLUG = ()
IMPORTS_TORCH = True


@dataclass(frozen=True)
class Config:
    """How the reference model reads the texts.

    bos: the token that opens each text; null is the tokenizer's own BOS by `bos_policy`; "" opens with nothing
    bos_policy: `document` is the BOS, if the tokenizer has one; `tokenizer` is the BOS if the tokenizer itself begins
        texts with it; `none` opens with nothing
    dtype: the type in which the model computes
    batch_size: texts in one forward pass
    device: where the model runs: cpu, cuda, cuda:1, ..., or auto (a GPU if there is one)
    """

    bos: str | None = None
    bos_policy: Literal["document", "tokenizer", "none"] = added("document")
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    batch_size: int = execution(32)
    device: str = execution("auto")


def work(config: Config, given: Given) -> Work:
    """One pass over all texts."""
    model, members, others = given["reference"].size, given["members"], given["non_members"]
    length, precision = members.known("tokens_a_text"), PRECISIONS[config.dtype]
    return Work(
        phases=costs.reading(model, members.tokens + others.tokens, length, precision),
        gpu=costs.reading_memory(model, config.batch_size, length, precision),
        loaded=costs.weights(model, precision),
    )


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Score both sides, write."""
    from lib.models import loading

    target = loading.load_tokenizer(inputs["target_tokenizer"])
    sides = {side: canaries_file.read_texts(store.find(inputs[side], places.CANARIES)) for side in canaries_file.SIDES}
    texts = {side: references.strings(given, target) for side, given in sides.items()}
    settings = references.Settings(**asdict(config))
    with Meter(out, sum(map(len, texts.values())), "texts") as meter:
        found = references.compute(settings, inputs["reference"], target, sides, texts, meter.advance)
    with hdf5.create(out / places.REFERENCE) as file:
        for side, scored in found.items():
            group = file.create_group(side)
            references.write(group, scored)
            group.attrs["texts_sha256"] = canaries_file.digest(texts[side])
