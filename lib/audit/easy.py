"""How likely texts are to a reference model, beside the model that is examined."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating]
Counts = NDArray[np.integer]


@dataclass(frozen=True)
class Windows:
    """Windows under both models, each (windows,).

    text: of which text; log_p, size: ln p of the suffix under the examined model, and its bytes; other_log_p,
    other_tokens, other_size: the same under the reference, of what it has of the suffix (0 tokens: nothing).
    """

    text: Counts
    log_p: Values
    size: Counts
    other_log_p: Values
    other_tokens: Counts
    other_size: Counts

    def means(self, n_texts: int) -> NDArray[np.float64]:
        """ln p of a token of the reference's own, (texts,), NaN for a text that it has no token of."""
        return self._of_texts(self.other_log_p, self.other_tokens, n_texts)

    def gap(self, n_texts: int) -> NDArray[np.float64]:
        """ln p of a byte under the examined model, less that under the reference, (texts,), NaN likewise."""
        own = self._of_texts(self.log_p, self.size, n_texts)
        return own - self._of_texts(self.other_log_p, self.other_size, n_texts)

    def _of_texts(self, values: Values, per: Counts, n_texts: int) -> NDArray[np.float64]:
        there = self.other_tokens > 0
        sums, counts = (np.bincount(self.text[there], one[there], n_texts) for one in (values, per))
        return np.divide(sums, counts, out=np.full(n_texts, np.nan), where=counts > 0)
