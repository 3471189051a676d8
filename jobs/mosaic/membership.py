"""Compute every membership score of every canary, from one forward pass per text and model.

    python -m jobs membership --config FILE --out DIR

FILE holds:

    inputs: {target: DIR, reference: DIR, members: canaries.h5, non_members: canaries.h5, pretrained: DIR}
    batch_size: 32

`target` is a model and tokenizer saved by transformers. `reference` is another one, or a result of the stage
reference_scores. `pretrained` is the target before fine-tuning, in either form; it may be left out. The attacks that
compare token by token (WBC, EZ) read `pretrained`, or else a `reference` that has the target's tokenizer. Without
either they are left out.

Result scores.h5: `members/<score>` and `non_members/<score>` (float64, one per canary, higher means member) for every
attack of lib.attacks and, as `<score>_paper`, for the estimators of published code (only where the tokenizers have the
EOS that it pads with); under `evidence/` what they were computed from, token by token (see lib.attacks.evidence);
attributes `bos`, `recall_prefix_tokens`, `dtype`.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lib.artifacts import store
from lib.attacks import checks, evidence, references, scores
from lib.base import hdf5, places
from lib.base.config import added, at_least, execution
from lib.base.progress import Advance, Meter, divided
from lib.canaries import canaries_file
from lib.costs import language_models as costs
from lib.costs.facts import Given
from lib.costs.work import PRECISIONS, Work
from lib.training.bos import check_training

if TYPE_CHECKING:
    from lib.tokens.tokenization import BosPolicy

VERSION = 3
INPUTS = ("target", "reference", "members", "non_members")
OPTIONAL_INPUTS = ("pretrained",)
SLUG = ()
IMPORTS_TORCH = True
EVIDENCE_BYTES = 48  # of a token in the result, measured

logger = logging.getLogger(__name__)
Sides = Mapping[str, canaries_file.CanaryTexts]


@dataclass(frozen=True)
class Config:
    """How the models read the texts.

    bos_policy: as in the training (stage finetune): `document` opens each text with the target's BOS, if it has one;
        `tokenizer` does so if the tokenizer itself would; `none` opens it with nothing
    trained_bos: `same` stops if texts open in another way than in the training of the target; `any` does not
    recall_shots: non-members in the prefix of ReCaLL; 0 leaves this score out
    reference_bos: what opens a text under a reference model, as `bos` of the stage reference_scores
    dtype: the type in which the models compute
    batch_size: texts in one forward pass
    device: where the models run: cpu, cuda, cuda:1, ..., or auto (a GPU if there is one)
    """

    bos_policy: Literal["document", "tokenizer", "none"] = "document"
    trained_bos: Literal["same", "any"] = added("same")
    recall_shots: int = 1
    reference_bos: str | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    batch_size: int = execution(32)
    device: str = execution("auto")

    def __post_init__(self) -> None:
        """Raise ValueError for counts that are too small."""
        at_least(0, recall_shots=self.recall_shots)
        at_least(1, batch_size=self.batch_size)


def work(config: Config, given: Given) -> Work:
    """Each text as it is, in lower case, and after a prefix of other texts; models that are given are read as well."""
    members, others = given["members"], given["non_members"]
    texts, length = members.known("texts") + others.known("texts"), others.known("tokens_a_text")
    shots, precision = config.recall_shots, PRECISIONS[config.dtype]
    target = given["target"].size
    models = [given[name].size for name in ("reference", "pretrained") if name in given and given[name].model]
    passes = (1 + costs.LOWER_CASE) * texts * length + (texts * (1 + shots) * length if shots else 0)
    longest = length * max(1 + shots, costs.LOWER_CASE)
    return Work(
        phases=(
            *costs.reading(target, passes, longest, precision),
            *(phase for model in models for phase in costs.reading(model, texts * length, length, precision)),
        ),
        gpu=max(costs.reading_memory(model, config.batch_size, longest, precision) for model in [target, *models]),
        loaded=sum(costs.weights(model, precision) for model in [target, *models]),
        results=EVIDENCE_BYTES * texts * length,
    )


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Collect the evidence of both sides, compute every score, write both."""
    sides = {side: canaries_file.read_texts(store.find(inputs[side], places.CANARIES)) for side in canaries_file.SIDES}
    collected, policy = _under_target(config, inputs["target"], sides, out)  # frees its model before the next is loaded
    _add_references(config, inputs, sides, collected, out)
    _warn_without_padding(collected)
    checks.warn_of_shared(*(collected[side]["texts"] for side in canaries_file.SIDES))
    _write(out / places.SCORES, collected, policy)


def _under_target(config: Config, target: Path, sides: Sides, out: Path) -> tuple[dict, dict[str, Any]]:
    """The evidence that the target gives, by side, and what it rests on."""
    from lib.models import likelihoods, loading

    tokenizer = loading.load_tokenizer(target)
    first = likelihoods.opening(tokenizer, policy=config.bos_policy)
    if config.trained_bos == "same":
        check_training(target, first)
    model = loading.load_causal_lm(target, config.dtype, loading.device(config.device))
    with _meter(out, sides, "texts under the target") as meter:
        passed = divided(meter.advance, 2)
        collected = {
            side: _plain(model, tokenizer, given, first, config.batch_size, passed) for side, given in sides.items()
        }
    prefix_tokens = _add_recall(config, model, sides, first, collected, out)
    policy = {"bos": int(first[0]) if len(first) else -1, "recall_prefix_tokens": prefix_tokens, "dtype": config.dtype}
    return collected, policy


def _meter(out: Path, sides: Sides, unit: str) -> Meter:
    return Meter(out, sum(len(given.ids) for given in sides.values()), unit, rated="texts")


def _plain(
    model: Any, tokenizer: Any, texts: canaries_file.CanaryTexts, first: np.ndarray, batch_size: int, advance: Advance
) -> dict[str, Any]:
    from lib.models import likelihoods

    with canaries_file.naming(texts.file):  # checks the ids as well, before anything decodes them
        padding = likelihoods.padding_id(tokenizer)
        rows = likelihoods.under_target(model, texts.ids, first, batch_size, padding, advance)
    strings = references.strings(texts, tokenizer)
    with canaries_file.naming(texts.file, " (lowercased)"):
        lower = likelihoods.lowercased(model, tokenizer, strings, first, batch_size, advance)
    return {**rows, **lower, "texts": strings}


def _add_recall(config: Config, model: Any, sides: Sides, first: np.ndarray, collected: dict, out: Path) -> int:
    """Add the rows after a prefix of non-members. Returns the tokens of the prefix, 0 where it is left out."""
    from lib.models import likelihoods

    room = min(likelihoods.prefix_room(model, given.ids, first) for given in sides.values())
    if _no_recall(config.recall_shots, len(sides["non_members"].ids), room):
        return 0
    common, own = likelihoods.recall_prefixes(sides["non_members"].ids, config.recall_shots)
    prefixes = {"members": [common] * len(sides["members"].ids), "non_members": own}
    with _meter(out, sides, "texts after a prefix") as meter:
        for side, given in sides.items():
            cut = [prefix[max(0, len(prefix) - room) :] for prefix in prefixes[side]]
            rows = likelihoods.after_prefix(model, given.ids, cut, first, config.batch_size, meter.advance)
            collected[side]["prefixed_log_probs"] = rows
    return min(room, len(common))


def _no_recall(shots: int, n_non_members: int, room: int) -> bool:
    if shots and n_non_members <= shots:
        logger.warning("no recall scores: %d non-members are too few for a prefix of %d", n_non_members, shots)
    elif shots and room == 0:
        logger.warning("no recall scores: the texts fill the positions of the model and leave no room for a prefix")
    return shots == 0 or n_non_members <= shots or room == 0


def _add_references(config: Config, inputs: dict[str, Path], sides: Sides, collected: dict, out: Path) -> None:
    """Add the means of the reference model and, where a model has them, rows of the stored ids (see above)."""
    under = partial(_under_reference, config, inputs["target"], sides, collected, out)
    scored = under(inputs["reference"], config.reference_bos, "document")
    for side, given in scored.items():
        collected[side].update(given.means)
    if "pretrained" in inputs:
        scored = under(inputs["pretrained"], None, config.bos_policy)
    if _comparable(scored, collected):
        for side, given in scored.items():
            collected[side]["reference_log_probs"] = given.log_probs


def _warn_without_padding(collected: dict) -> None:
    for name in ("padding_log_probs", "reference_padded_means"):
        if any(name not in given for given in collected.values()):
            model = "reference" if name.startswith("reference") else "target"
            logger.warning(
                "some scores of published code are left out: its padding token, EOS, is not scored under "
                "the %s; its tokenizer has none, or the reference scores are of an older version",
                model,
            )


def _under_reference(
    config: Config,
    target: Path,
    sides: Sides,
    collected: dict,
    out: Path,
    reference: Path,
    bos: str | None,
    policy: "BosPolicy",
) -> dict[str, references.Scored]:
    from lib.models import loading

    texts = {side: given["texts"] for side, given in collected.items()}
    if reference.is_file() or (reference / places.REFERENCE).is_file():
        return references.read(store.find(reference, places.REFERENCE), texts)
    settings = references.Settings(bos, config.dtype, config.batch_size, config.device, policy)
    with _meter(out, sides, "texts under a reference") as meter:
        return references.compute(settings, reference, loading.load_tokenizer(target), sides, texts, meter.advance)


def _comparable(scored: dict[str, references.Scored], collected: dict) -> bool:
    """Whether the rows of a reference cover the tokens that the target's do; the log says why not."""
    if any(given.log_probs is None for given in scored.values()):
        logger.warning(
            "no wbc and ez scores: the reference has another tokenizer; name the target's `pretrained` model"
        )
        return False
    lengths = [
        [list(map(len, rows)) for rows in (given.log_probs or [], collected[side]["log_probs"])]
        for side, given in scored.items()
    ]
    if any(one != other for one, other in lengths):
        logger.warning(
            "no wbc and ez scores: the reference opens texts in another way than the target; see its key bos"
        )
    return all(one == other for one, other in lengths)


def _write(path: Path, collected: dict[str, dict[str, Any]], policy: dict[str, Any]) -> None:
    with hdf5.create(path) as file:
        file.attrs.update(policy)
        for side, given in collected.items():
            for name, values in scores.compute(given).items():
                hdf5.write(file, f"{side}/{name}", values)
            evidence.write(file.create_group(f"evidence/{side}"), given)
