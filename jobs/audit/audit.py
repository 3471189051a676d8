"""What the scored windows say of each text: what of it is extracted, and how its membership scores.

    python -m jobs audit --config FILE --out DIR

FILE holds:

    inputs: {windows: [DIR, ...], texts: audited.h5}     # all parts of the stage score_windows

and, for the controls that they make, `reference: [DIR, ...]` (all parts of the stage reference_windows); `fuzzy_texts:
DIR` (of the stage fuzzy_windows), `fuzzy: DIR` (of score_windows, of these), `fuzzy_reference: DIR` (of
reference_windows, of these).

Result audit.h5. One row a window in the group `windows`: `text`, `start`, `log_p` (ln p_z of top-k sampling at
temperature 1, -inf where it cannot draw the suffix), `log_p_own` (of the model's own distribution), `matched` (tokens
that greedy decoding repeats); with a reference `bytes` of the suffix, and `reference_log_p` and `reference_bytes` (of
its tokens that the reference has, 0 for none). One row a text in the group `texts`: `tokens`, `windows`; `examined`
(tokens in a suffix); for each of `thresholds` of p_z `covered` (tokens in suffixes of windows that reach it),
`span_begin`, `span_end` (the longest run of such tokens); `scores/<attack>`, membership by the tokens of all suffixes,
higher = member, NaN without windows; with a reference `gap`, the log-probability of a byte of the suffixes, less that
under the reference. One row a window with fuzzy duplicates in the group `fuzzy`: `text`, `start`; `margin` (windows,
numbers of replaced tokens, variations), ln p of the window less that of each duplicate; with a reference `gap`, the
margin less the reference's. Attribute `replaced_tokens`: the numbers.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lib.artifacts import store
from lib.audit import easy, fuzzy, membership, respelled, summary, texts_file
from lib.audit.summary import Scored
from lib.audit.texts_file import AuditedTexts
from lib.audit.windows import Cut
from lib.base import hdf5, places
from lib.base.config import added
from lib.base.errors import TesseraError, UsageError, counted, suggestion

VERSION = 1
INPUTS = ("windows", "texts")
OPTIONAL_INPUTS = ("reference", "fuzzy_texts", "fuzzy", "fuzzy_reference")
LISTS = ("windows", "reference")
CUT = ("prompt_tokens", "suffix_tokens", "stride")
SAME = (*CUT, "top_k", "bos", "dtype", "parts")
OF_REFERENCE = (*CUT, "bos", "dtype", "parts")
COLUMNS = ("text", "start", "log_probs", "rank", "top_k_mass")
MOMENTS = ("mu", "sigma")


@dataclass(frozen=True)
class Config:
    """When a window counts as extracted, and which scores of membership there are.

    thresholds: of p_z under top-k sampling, rising; the first one is the one that excerpts and sentences use
    attacks: scores of membership; min_k_plus_plus needs windows that were scored with `moments`; with a reference there
        is `ratio` as well
    """

    thresholds: tuple[float, ...] = summary.THRESHOLDS
    attacks: tuple[str, ...] = added(("loss", "min_k"))

    def __post_init__(self) -> None:
        """Raise ValueError for thresholds that are no probabilities, or do not rise, and for other attacks."""
        if not self.thresholds or list(self.thresholds) != sorted(set(self.thresholds)):
            raise ValueError(f"thresholds is {list(self.thresholds)}; it must be at least one number, rising")
        if not all(0 < one <= 1 for one in self.thresholds):
            raise ValueError(f"thresholds is {list(self.thresholds)}; each must be above 0 and at most 1")
        for name in self.attacks:
            if name not in membership.ATTACKS:
                raise ValueError(f"attacks has {name}{suggestion(name, membership.ATTACKS)}")
        if "loss" not in self.attacks:
            raise ValueError(f"attacks is {list(self.attacks)}; it must have loss, which the others are compared with")


def check_inputs(config: Config, inputs: Collection[str]) -> None:
    """Raise UsageError for scores of fuzzy duplicates without the duplicates, or the other way round."""
    if ("fuzzy" in inputs) != ("fuzzy_texts" in inputs):
        raise UsageError("give the inputs fuzzy (scores) and fuzzy_texts (what was scored) both, or none of them")
    if "fuzzy_reference" in inputs and "fuzzy" not in inputs:
        raise UsageError("the input fuzzy_reference is of fuzzy duplicates; give fuzzy and fuzzy_texts as well")


def run(config: Config, inputs: dict[str, Any], out: Path) -> None:
    """Put the parts together, sum up, write."""
    texts = texts_file.read(store.find(inputs["texts"], places.AUDITED))
    scored, about = together([store.find(path, places.WINDOWS) for path in inputs["windows"]])
    if "min_k_plus_plus" in config.attacks and scored.mu is None:
        raise TesseraError(f"{inputs['windows'][0]}: min_k_plus_plus needs windows that were scored with moments: true")
    of_windows = summary.of_windows(scored)
    other = _reference(inputs, scored, texts, of_windows["log_p_own"]) if "reference" in inputs else None
    made = fuzzy.read(store.find(inputs["fuzzy_texts"], places.FUZZY_WINDOWS)) if "fuzzy" in inputs else None
    with hdf5.create(out / places.AUDIT) as file:
        file.attrs.update({**about, "thresholds": np.array(config.thresholds)})
        windows = {"text": scored.text, "start": scored.start, **of_windows}
        _write(file.create_group("windows"), {**windows, **(_beside(other) if other else {})})
        _write(file.create_group("texts"), _of_texts(config, scored, texts, of_windows["log_p"], other))
        means = other.means(len(texts.text)) if other else None
        _write(file.create_group("texts/scores"), membership.of_texts(scored, texts, config.attacks, means))
        if made:
            _write(file.create_group("fuzzy"), _fuzzy(inputs, made, about))
            file.attrs["replaced_tokens"] = np.array(made.replaced)
    share = (of_windows["log_p"] >= np.log(config.thresholds[0])).mean()
    print(
        f"audit: {100 * share:.3g} % of {counted(len(scored.text), 'window')} have p_z of at least "
        f"{config.thresholds[0]:g}"
    )


def together(files: Sequence[Path]) -> tuple[Scored, dict[str, Any]]:
    """The windows of all parts, and what they were made with. Raises TesseraError unless every part is there once."""
    kept = [name for name in MOMENTS if name in hdf5.rows(files[0])]
    columns, about = _parts(files, (*COLUMNS, *kept), SAME)
    cut = Cut(*(int(about[name]) for name in CUT))
    return Scored(**columns, cut=cut, top_k=int(about["top_k"])), about


def _parts(
    files: Sequence[Path], names: Sequence[str], same: Sequence[str]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Columns of all parts in order, and the attributes `same`, which all must share."""
    about = [hdf5.attributes(file) for file in files]
    parts, more = sorted(int(one["part"]) for one in about), len(files) - 1
    if parts != list(range(int(about[0]["parts"]))) or any(one[key] != about[0][key] for one in about for key in same):
        raise TesseraError(f"{files[0]} and {more} more are not all parts of one scoring; give each part once")
    ordered = [file for _, file in sorted(zip((int(one["part"]) for one in about), files))]
    columns = {name: np.concatenate([hdf5.read(file, name) for file in ordered]) for name in names}
    return columns, {name: about[0][name] for name in same}


def _of_texts(
    config: Config, scored: Scored, texts: AuditedTexts, log_p: np.ndarray, other: easy.Windows | None
) -> dict[str, Any]:
    """The columns of texts, but for their scores."""
    lengths = texts.lengths()
    counts = np.bincount(scored.text, minlength=len(lengths))
    found = summary.of_texts(scored, log_p, lengths, config.thresholds)
    return {"tokens": lengths, "windows": counts, **found, **({"gap": other.gap(len(lengths))} if other else {})}


def _reference(inputs: dict[str, Any], scored: Scored, texts: AuditedTexts, log_p: np.ndarray) -> easy.Windows:
    """What the reference model says of the same windows. log_p: of the examined model, (windows,)."""
    files = [store.find(path, places.REFERENCE_WINDOWS) for path in inputs["reference"]]
    other, _ = _parts(files, ("text", "start", "log_p", "tokens", "bytes"), OF_REFERENCE)
    if not (np.array_equal(other["text"], scored.text) and np.array_equal(other["start"], scored.start)):
        raise TesseraError(f"{files[0]}: not the windows of {inputs['windows'][0]}; score the same texts, cut alike")
    where = zip(scored.text.tolist(), scored.start.tolist())
    size = np.array([respelled.suffix_bytes(texts, *place, scored.cut) for place in where], dtype=np.uint32)
    return easy.Windows(scored.text, log_p, size, other["log_p"], other["tokens"], other["bytes"])


def _beside(other: easy.Windows) -> dict[str, np.ndarray]:
    """The columns of windows that a reference adds."""
    return {"bytes": other.size, "reference_log_p": other.other_log_p, "reference_bytes": other.other_size}


def _fuzzy(inputs: dict[str, Any], made: fuzzy.Made, about: dict[str, Any]) -> dict[str, np.ndarray]:
    """Margins of windows over their fuzzy duplicates, and these less the margins of the reference."""
    file = store.find(inputs["fuzzy"], places.WINDOWS)
    rows, how = together([file])
    if any(how[key] != about[key] for key in ("prompt_tokens", "suffix_tokens", "bos", "dtype")):
        raise TesseraError(f"{file}: scored in another way than {inputs['windows'][0]}; score both alike")
    margin = fuzzy.margins(summary.of_windows(rows)["log_p_own"], made)
    found = {"text": made.text, "start": made.start, "margin": margin}
    if "fuzzy_reference" not in inputs:
        return found
    file = store.find(inputs["fuzzy_reference"], places.REFERENCE_WINDOWS)
    other, _ = _parts([file], ("log_p", "tokens"), OF_REFERENCE)
    others = fuzzy.margins(np.where(other["tokens"] > 0, other["log_p"], np.nan), made)
    return {**found, "gap": margin - others}


def _write(group: Any, columns: dict[str, Any]) -> None:
    for name, values in columns.items():
        hdf5.write(group, name, np.asarray(values))
