"""Attacks on made-up models, few enough prompts to count by hand."""

import numpy as np

from lib.studies.prefix.tables import Attack, Texts

NASTY = ["a,b", 'with "quotes"', "line\nend", "carriage\rreturn", "ünï ♞", " spaces ", "", "last"]


def attack(model: str = "small", exact=(0, 1, 1, 0, 1, 0), **changes) -> Attack:
    exact = np.array(exact, dtype=bool)
    n = len(exact)
    columns = {
        "exact": exact, "matched_tokens": np.where(exact, 4, 1), "edit_similarity": np.where(exact, 1.0, 0.25),
        "bleu": np.where(exact, 1.0, 0.1), "suffix_in_prompt": np.arange(n) == 1,
        "suffix_nll": np.where(exact, 0.5, 12.0), "suffix_log_p": np.where(exact, 0.0, -np.inf),
    }  # fmt: skip
    words = [NASTY[i % len(NASTY)] for i in range(n)]
    values = {
        "model": model, "family": "gpt_neox", "n_parameters": 1000, "prompt_tokens": 8, "suffix_tokens": 4,
        "decoding": "greedy", "prompts": "these", "corpus": np.full(n, ""), "draw": np.zeros(n, np.int64),
        "asked": np.full(n, n), "document": np.arange(n) * 10, "subset": np.array((["code", "prose"] * n)[:n]),
        "repetitions": np.array(([1, 1, 16] * n)[:n]), "columns": columns,
        "evidence": {
            "large": np.linspace(1, 2, n), "small": np.linspace(3, 2, n), "lower": np.linspace(1, 3, n),
            "zlib_bytes": np.arange(n) + 50,
        },
        "texts": Texts(words, words[::-1], words, [a + b for a, b in zip(words, words[::-1])]),
    }  # fmt: skip
    return Attack(**{**values, **changes})


def mamba(exact=(1, 1, 1, 0, 1, 1), **changes) -> Attack:
    return attack("rival", exact, **{"family": "mamba", "n_parameters": 1100, **changes})


def two_lengths() -> list[Attack]:
    return [mamba(), attack(), attack(prompt_tokens=16, exact=[1] * 6), mamba(prompt_tokens=16)]


def two_sizes() -> list[Attack]:
    return [*two_lengths(), attack("large", [1] * 6, n_parameters=2_000_000)]
