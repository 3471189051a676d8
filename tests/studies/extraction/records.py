"""What made-up models repeat of made-up canaries."""

import numpy as np

from lib.studies.extraction.tables import Extracted

S = 4  # tokens of a suffix


def record(seed: int, level: int, kind: str = "exact", model: str = "m", repeats: bool = False) -> Extracted:
    stream = np.random.default_rng([seed, level])

    def side(n: int) -> dict[str, np.ndarray]:
        return {
            "continuation": np.zeros((n, S), int), "exact": stream.random(n) < level / 10,
            "matched_tokens": stream.integers(0, S + 1, n), "edit_similarity": stream.random(n),
            "bleu": stream.random(n), "word_bleu": stream.random(n) / 2,
            "samples_needed": 10 ** stream.uniform(0, 6, (n, 3)),
        }  # fmt: skip

    labels = {"model": model, "seed": seed, "kind": kind, "level": level, "setting": ""}
    return Extracted(labels, {"members": side(20), "non_members": side(30)}, level - 0.5, repeats)
