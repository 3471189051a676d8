"""The largest numbers of rows against torch's own selection."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lib.kernels.largest import FEW, largest

NUMBERS = st.one_of(st.integers(-3, 3).map(float), st.floats(-(2.0**99), 2.0**99, width=32))


@given(st.data(), arrays.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 2 * FEW)), elements=NUMBERS))
def test_equals_torch_and_names_the_first_of_equals(data: st.DataObject, values: np.ndarray) -> None:
    k = data.draw(st.integers(1, values.shape[1]))
    found, places = largest(torch.from_numpy(values), k)
    torch.testing.assert_close(found, torch.from_numpy(values).topk(k).values, rtol=0, atol=0)
    torch.testing.assert_close(torch.from_numpy(values).gather(1, places), found, rtol=0, atol=0)
    assert all(len(set(row)) == k for row in places.tolist())
    if k <= FEW:
        wanted = np.argsort(-values, axis=1, kind="stable")[:, :k]
        np.testing.assert_array_equal(places, wanted)


def test_rows_that_hold_too_few_numbers() -> None:
    values = torch.tensor([[-torch.inf, 2.0, -torch.inf], [-torch.inf] * 3])
    found, places = largest(values, 2)
    assert found.tolist() == [[2.0, -torch.inf], [-torch.inf, -torch.inf]]
    assert places.tolist() == [[1, 0], [0, 0]]


def test_views_and_other_types_are_taken_too() -> None:
    values = torch.arange(24).view(4, 6)
    for given_values in (values.T.float(), values.double(), values):
        found, places = largest(given_values, 2)
        torch.testing.assert_close(found, given_values.topk(2).values)
        torch.testing.assert_close(places, given_values.topk(2).indices)
