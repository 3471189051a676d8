"""What each token has of the windows that hold it, against a loop over windows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lib.audit import tokens, windows
from lib.audit.windows import Cut


@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=4),
    st.builds(Cut, st.integers(1, 3), st.integers(1, 4), st.integers(1, 5)),
    st.randoms(use_true_random=False),
)
def test_a_token_has_the_value_of_the_window_with_the_largest_key(lengths, cut, draws) -> None:
    text, start = windows.of_texts(lengths, cut)
    order = draws.sample(range(len(text)), len(text))  # parts may come in any order
    text, start = text[order], start[order]
    key = np.array(draws.sample(range(100), len(text)))
    values = np.arange(len(text) * cut.suffix_tokens).reshape(len(text), cut.suffix_tokens)
    found = tokens.of_texts(values, key, text, start, lengths, cut, nothing=-1)
    assert [len(row) for row in found] == lengths
    for number, row in enumerate(found):
        for token, value in enumerate(row.tolist()):
            begins = (start + cut.prompt_tokens).tolist()
            held = [w for w, b in enumerate(begins) if text[w] == number and b <= token < b + cut.suffix_tokens]
            best = max(held, key=lambda w: key[w], default=None)
            assert value == (-1 if best is None else values[best, token - begins[best]])
    shared = tokens.of_texts(key[:, None], key, text, start, lengths, cut, nothing=-1)
    assert {value for row in shared for value in row.tolist()} <= {-1, *key.tolist()}
