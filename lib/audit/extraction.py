"""How likely a model is to continue a prompt with the true suffix, from one pass over both.

p_z is the product, over the tokens of the suffix, of the probability that the decoding gives the true token after the
prompt and the true tokens before it (Hayes et al. 2024, arXiv 2410.19482; Cooper et al. 2025, arXiv 2505.12546). With
top-k sampling the probabilities are those of the k likeliest tokens, divided by their sum; any other token has none.
All arrays are (windows, suffix tokens).
"""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating]


def log_p(log_probs: Values) -> NDArray[np.float64]:
    """ln p_z of sampling at temperature 1 from the model's own distribution, (windows,).

    log_probs: ln p of each token.
    """
    return np.sum(log_probs, axis=1, dtype=np.float64)


def log_p_top_k(log_probs: Values, rank: NDArray[np.integer], mass: Values, k: int) -> NDArray[np.float64]:
    """ln p_z of top-k sampling at temperature 1, (windows,): -inf where a token is not among the k likeliest.

    rank: how many ids are likelier than each token; mass: ln of the probability of the k likeliest together.
    """
    kept = np.minimum(log_probs.astype(np.float64) - mass.astype(np.float64), 0)
    return np.where(rank < k, kept, -np.inf).sum(axis=1)


def matched_tokens(rank: NDArray[np.integer]) -> NDArray[np.int64]:
    """How many tokens of each suffix greedy decoding repeats before its first other one, (windows,).

    Greedy decoding goes on with the true token as long as none is likelier, so nothing needs to be generated. A token
    that ties with the likeliest counts as repeated.
    """
    return np.cumprod(rank == 0, axis=1).sum(axis=1)
