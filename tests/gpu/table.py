"""The figures of the check: where each is found, what it must reach, and how it is shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.gpu.running import PARTS, Found

NOT_RUN = "not run yet"


@dataclass(frozen=True)
class Figure:
    """A number that a part found. at: `part.key`, or `part.group.key`; unit: what it is divided by, and its name.

    of: what `card` found, of which the figure is a share; least, most: what it must reach, or not exceed.
    """

    label: str
    at: str
    unit: tuple[float, str] = (1, "")
    of: str = ""
    least: float | None = None
    most: float | None = None

    def value(self, found: Found) -> Any:
        """The number (or word), divided by the card's own; None if it was not found."""
        value: Any = found["parts"]
        for key in self.at.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if not self.of or value is None:
            return value
        ceiling = found["parts"].get("card", {}).get(self.of)
        return value / ceiling if ceiling else None

    def judged(self, found: Found) -> bool:
        """Whether the figure counts: speeds of a rehearsal do not."""
        return (self.least, self.most) != (None, None) and not (self.of and found["about"]["tiny"])

    def good(self, found: Found) -> bool:
        """Whether it is as wanted; what is missing or not a number is not."""
        value = self.value(found)
        if value is None:
            return False
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def shown(self, found: Found) -> str:
        """The number for people."""
        value = self.value(found)
        if value is None:
            return "failed" if "failed" in found["parts"].get(self.at.split(".")[0], {}) else NOT_RUN
        if self.of:
            return f"{value:.0%}"
        if not isinstance(value, float):
            return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
        return f"{value / self.unit[0]:.3g} {self.unit[1]}".strip()

    def wanted(self) -> str:
        """What it must reach, in words; empty where it says how fast or large something is."""
        if self.least is True:
            return "yes"
        bounds = [("at least", self.least), ("at most", self.most)]
        return " ".join(f"{word} {bound:{'.0%' if self.of else 'g'}}" for word, bound in bounds if bound is not None)


GIB, RATE, TERA, MS = (1, "GiB"), (1e3, "thousand/s"), (1e12, "T/s"), (1, "ms")


def _training(part: str, name: str, peak: str) -> list[Figure]:
    return [
        Figure(f"{name}: share of the matrix peak", f"{part}.flops", of=peak, least=0.4),
        Figure(f"{name}: tokens", f"{part}.tokens_per_s", RATE),
        Figure(f"{name}: memory", f"{part}.peak_gib", GIB),
        Figure(f"{name}: losses are finite", f"{part}.finite", least=True),
    ]


def _decoding(at: str, name: str) -> list[Figure]:
    return [
        Figure(f"{name}: share of the bandwidth", f"{at}.bytes_per_s", of="bytes_per_s", least=0.5),
        Figure(f"{name}: a step", f"{at}.ms", MS),
        Figure(f"{name}: memory", f"{at}.peak_gib", GIB),
    ]


def _scoring(dtype: str, name: str, peak: str) -> list[Figure]:
    return [
        Figure(f"{name}: share of the matrix peak", f"scoring.{dtype}.flops", of=peak, least=0.5),
        Figure(f"{name}: tokens", f"scoring.{dtype}.tokens_per_s", RATE),
    ]


FIGURES = [
    Figure("copy, bytes read and written", "card.bytes_per_s", TERA),
    Figure("matrix product, bf16", "card.flops_bf16", TERA),
    Figure("matrix product, fp32", "card.flops_fp32", TERA),
    Figure("scores in fp32, relative error", "agreement.scores_fp32", most=2e-4),
    Figure("scores in bf16, relative error", "agreement.scores_bf16", most=3e-2),
    Figure("NLL of suffixes, relative error", "agreement.suffix_nll", most=2e-4),
    Figure("greedy ids that are equal", "agreement.greedy_same", least=0.98),
    Figure("sampled ids that are equal", "agreement.sample_same", least=0.98),
    Figure("candidates that are equal", "agreement.candidates_same", least=0.98),
    *_training("neo", "GPT-Neo 1.3B, bf16", "flops_bf16"),
    *_training("neo_fp32", "GPT-Neo 1.3B, fp32", "flops_fp32"),
    *_training("llama", "Llama 3.2 1B, bf16", "flops_bf16"),
    Figure("resumed: difference of losses", "resume.loss_difference", most=1e-3),
    Figure("resumed: weights have the same bytes", "resume.weights_equal"),
    *_decoding("decode.150x64", "Pythia 1.4B, 64 prompts of 150"),
    *_decoding("decode.150x256", "Pythia 1.4B, 256 prompts of 150"),
    *_decoding("decode.900x64", "Pythia 1.4B, 64 prompts of 900"),
    Figure("Mamba 1.4B: path", "mamba.path"),
    *_decoding("mamba", "Mamba 1.4B, 64 prompts of 150"),
    *_scoring("bfloat16", "scoring in bf16", "flops_bf16"),
    *_scoring("float32", "scoring in fp32", "flops_fp32"),
]
HEAD = {"date": "date", "commit": "commit", "torch": "torch", "transformers": "transformers", "triton": "Triton"}


def passed(found: Found) -> bool:
    """Whether every part that was run came to its end, and every figure of theirs that counts is as wanted."""
    return not _failed(found) and all(figure.good(found) for figure in _counting(found))


def printed(found: Found) -> str:
    """A line for each figure of the parts that were run, then what failed."""
    lines = [
        f"{_verdict(figure, found):4s} {figure.label:48s} {figure.shown(found):>14s}  {figure.wanted()}".rstrip()
        for figure in FIGURES
        if figure.value(found) is not None or figure in _counting(found)
    ]
    note = ["the models were tiny, whatever a line calls them; speeds are not judged"] * found["about"]["tiny"]
    return "\n".join([*lines, *note, *(f"FAIL {name}: {why}" for name, why in _failed(found).items())])


def markdown(results: Sequence[Found]) -> str:
    """The table of README.md: a row for each figure, a column for each result; without results nothing is claimed."""
    cards = [found["about"]["card"] for found in results] or [NOT_RUN]
    rows = [["figure", "wanted", *cards], ["---"] * (2 + len(cards))]
    rows += [[label, "", *_about(results, key)] for key, label in HEAD.items()]
    rows += [[figure.label, figure.wanted(), *_cells(figure, results)] for figure in FIGURES]
    rows += [["seconds, all parts", "", *([f"{_seconds(found):.0f}" for found in results] or [NOT_RUN])]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _about(results: Sequence[Found], key: str) -> list[str]:
    return [str(found["about"].get(key, "none"))[:20] for found in results] or [NOT_RUN]


def _cells(figure: Figure, results: Sequence[Found]) -> list[str]:
    marks = {"FAIL": "**", "ok": "", "": ""}
    return [f"{m}{figure.shown(f)}{m}" for f in results for m in [marks[_verdict(figure, f)]]] or [NOT_RUN]


def _seconds(found: Found) -> float:
    return sum(part["seconds"] for part in found["parts"].values())


def _counting(found: Found) -> list[Figure]:
    return [figure for figure in FIGURES if figure.at.split(".")[0] in found["parts"] and figure.judged(found)]


def _verdict(figure: Figure, found: Found) -> str:
    if figure not in _counting(found):
        return ""
    return "ok" if figure.good(found) else "FAIL"


def _failed(found: Found) -> dict[str, str]:
    return {name: found["parts"][name]["failed"] for name in PARTS if "failed" in found["parts"].get(name, {})}
