"""Membership-inference attacks: one file each, every score oriented so that higher means member.

An attack is a module with `score(...)` and, where published code computes something else, `paper(...)`. The names
of their parameters say what evidence they need, a key of the mapping that `compute` is given:

    log_probs            rows of l_t = log p(x_t | x_<t), the natural logarithm, under the target model
    mu, sigma            rows: mean and standard deviation of log p(. | x_<t) under the target's own distribution
    top_log_probs        rows: the largest log p(. | x_<t) under the target; x_t is predicted where l_t equals it
    texts                the strings that were scored
    lower_log_probs      rows of l_t of the lowercased texts, re-tokenised
    prefixed_log_probs   rows of l_t of the same tokens after a prefix of non-members
    reference_means      mean l_t under the reference model, each text over the reference model's own tokens
    padding_log_probs, lower_padding_log_probs, reference_padded_means
                         what published code counts beside these: see `lib.attacks.padding`
    reference_log_probs  rows of l_t of the same tokens under a model with the same tokenizer: the target before it
                         was fine-tuned, where it is at hand, else such a reference model

A new attack is a new file here and its name in NAMES.
"""

import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.attacks import checks
from lib.base import modules
from lib.base.errors import TesseraError, suggestion

NAMES = (
    "loss",
    "ratio",
    "zlib",
    "zlib_bits",
    "lowercase",
    "min_k",
    "min_k_plus_plus",
    "recall",
    "wbc",
    "ez",
)
EVIDENCE = (
    "log_probs", "mu", "sigma", "top_log_probs", "texts", "lower_log_probs", "prefixed_log_probs", "reference_means",
    "reference_log_probs", "padding_log_probs", "lower_padding_log_probs", "reference_padded_means",
)  # fmt: skip


def load(name: str) -> ModuleType:
    """The file of an attack: `score`, `paper` where there is a published variant, `LABEL` and `STYLE` for figures."""
    return modules.load("lib.attacks", name, ("score", "LABEL", "STYLE"))


def compute(evidence: Mapping[str, Any]) -> dict[str, NDArray[np.float64]]:
    """Every score that the evidence allows, {"<attack>" or "<attack>_paper": float64 array of shape (n,)}.

    The log says what makes scores worth less (`lib.attacks.checks`).
    """
    checks.warn(evidence)
    return {
        name: np.asarray(function(**{key: evidence[key] for key in needs(function)}), dtype=np.float64)
        for name, function in estimators().items()
        if all(key in evidence for key in needs(function))
    }


def estimators() -> dict[str, Callable[..., NDArray[np.float64]]]:
    """The functions that compute the scores, {"<attack>" or "<attack>_paper": function}."""
    found = {}
    for name in NAMES:
        module = load(name)
        found[name] = module.score
        if hasattr(module, "paper"):
            found[f"{name}_paper"] = module.paper
    return found


def needs(function: Callable[..., Any]) -> list[str]:
    """The evidence an estimator needs: its parameters without a default. Raises TesseraError for an unknown one."""
    parameters = inspect.signature(function).parameters.values()
    names = [parameter.name for parameter in parameters if parameter.default is inspect.Parameter.empty]
    for name in names:
        if name not in EVIDENCE:
            where = inspect.getsourcefile(function)
            raise TesseraError(f"{where}: there is no evidence '{name}'{suggestion(name, EVIDENCE)}")
    return names
