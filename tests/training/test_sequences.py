"""Training data against brute force: cuts, labels, order, schedule."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base.errors import TesseraError
from lib.training import sequences

documents = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=30), min_size=1, max_size=5)


@given(documents, st.integers(2, 12))
def test_sequences_hold_every_document_in_order(texts, context):
    cut = sequences.sequences([np.array(text) for text in texts], context, bos=7)
    whole = [token for text in texts for token in [7, *text]]
    dropped = [len(text) + 1 for text in texts if (len(text) + 1) % context == 1]
    assert all(2 <= len(row) <= context for row in cut)
    assert sum(map(len, cut)) == len(whole) - len(dropped)
    if not dropped:
        assert np.concatenate(cut).tolist() == whole


def test_sequences_open_each_document_with_one_bos():
    cut = sequences.sequences([np.array([1, 2, 3, 4]), np.array([5])], 3, bos=0)
    assert [row.tolist() for row in cut] == [[0, 1, 2], [3, 4], [0, 5]]
    cut = sequences.sequences([np.array([1, 2, 3, 4])], 3, bos=None)
    assert [row.tolist() for row in cut] == [[1, 2, 3]]


@pytest.mark.parametrize(
    ("texts", "context", "message"),
    [([], 4, "no document"), ([[1, 2], []], 4, "document 1 has 0 tokens"), ([[1, 2]], 1, "at least 2 tokens")],
)
def test_sequences_refuse_what_cannot_be_trained_on(texts, context, message):
    with pytest.raises(TesseraError, match=message):
        sequences.sequences([np.array(text) for text in texts], context, bos=0)


@given(st.integers(1, 40), st.integers(1, 8), st.integers(2, 12), st.booleans(), st.data())
def test_survives_cut_is_what_the_cut_leaves_whole(size, length, context, opened, data):
    length = min(length, size)
    start = data.draw(st.integers(0, size - length))
    document = np.arange(1, size + 1)
    bos = 0 if opened else None
    pieces = [list(row) for row in np.split(sequences.with_bos(document, bos), range(context, size + 1, context))]
    span = list(document[start : start + length])
    brute = any(span == piece[i : i + length] for piece in pieces for i in range(len(piece)))
    assert sequences.survives_cut(np.array([start]), length, context, bos)[0] == brute


def test_a_2048_token_cut_hits_a_100_token_canary_with_4_8_percent():
    cut = ~sequences.survives_cut(np.arange(2048 * 3), 100, 2048, bos=0)
    assert cut.mean() == pytest.approx(99 / 2048)


@given(st.integers(1, 50), st.integers(1, 9), st.integers(1, 3), st.integers(0, 2**31))
def test_each_epoch_sees_each_sequence_once(n, batch_size, epochs, seed):
    order = sequences.data_order(n, batch_size, epochs, seed)
    assert order.shape == (epochs * -(-n // batch_size), batch_size)
    for epoch in np.split(order, epochs):
        assert sorted(epoch[epoch != sequences.EMPTY]) == list(range(n))
        assert (epoch == sequences.EMPTY).sum() == epoch.size - n


def test_data_order_depends_on_seed_and_epoch_alone():
    order = sequences.data_order(64, 8, 2, seed=3)
    assert np.array_equal(order, sequences.data_order(64, 8, 2, seed=3))
    assert not np.array_equal(order, sequences.data_order(64, 8, 2, seed=4))
    assert not np.array_equal(order[:8], order[8:])
    assert np.array_equal(order.ravel()[:64], sequences.data_order(64, 4, 1, seed=3).ravel())


@given(st.lists(st.lists(st.integers(0, 3), max_size=6), min_size=1, max_size=4), st.integers(0, 3))
def test_labels_are_masked_by_length_not_by_pad_id(rows, pad):
    """pad == eos: an end of text inside a document stays a label."""
    made = sequences.batch([np.array(row, dtype=np.int64) for row in rows], pad)
    for row, ids, labels in zip(rows, made["input_ids"], made["labels"]):
        assert ids[: len(row)].tolist() == labels[: len(row)].tolist() == row
        assert (ids[len(row) :] == pad).all()
        assert (labels[len(row) :] == sequences.IGNORED).all()


@given(st.lists(st.lists(st.integers(0, 3), max_size=6), min_size=1, max_size=4), st.integers(0, 3), st.integers(0, 3))
def test_an_unlabelled_id_is_no_label_anywhere(rows, pad, unlabelled):
    """As published: pad == eos, so that an end of text inside a document is masked like padding."""
    made = sequences.batch([np.array(row, dtype=np.int64) for row in rows], pad, unlabelled)
    for row, ids, labels in zip(rows, made["input_ids"], made["labels"]):
        assert ids[: len(row)].tolist() == row
        assert labels[: len(row)].tolist() == [sequences.IGNORED if token == unlabelled else token for token in row]


@given(st.integers(1, 64), st.integers(1, 16), st.integers(1, 8))
def test_ranks_and_passes_make_up_the_global_batch(batch_size, micro_batch, ranks):
    if batch_size % ranks:
        with pytest.raises(TesseraError, match="multiple of the number of ranks"):
            sequences.accumulation(batch_size, micro_batch, ranks)
        return
    rows, passes = sequences.accumulation(batch_size, micro_batch, ranks)
    assert rows * passes * ranks == batch_size
    assert rows <= micro_batch
    assert not [more for more in range(rows + 1, micro_batch + 1) if (batch_size // ranks) % more == 0]


@pytest.mark.parametrize(("total", "n", "steps"), [(10, 2, [0, 5, 10]), (2, 9, [0, 1, 2]), (7, 0, [0]), (1, 1, [0, 1])])
def test_evaluation_steps(total, n, steps):
    assert sequences.evaluation_steps(total, n) == steps


@pytest.mark.parametrize(("total", "every", "steps"), [(10, 4, [0, 4, 8, 10]), (8, 4, [0, 4, 8]), (3, 50, [0, 3])])
def test_evaluations_at_a_distance(total, every, steps):
    assert sequences.evaluation_steps(total, 1, every) == steps


def test_learning_rate_warms_up_from_the_first_step_and_decays():
    scales = {
        name: [sequences.learning_rate_scale(step, 12, 4, name) for step in range(12)]
        for name in ("constant", "linear", "cosine")
    }
    assert all(scale[:4] == [0.25, 0.5, 0.75, 1.0] for scale in scales.values())
    assert set(scales["constant"][4:]) == {1.0}
    assert np.allclose(scales["linear"][4:], np.linspace(1, 0, 9)[:-1])
    assert np.allclose(scales["cosine"][4:], (1 + np.cos(np.linspace(0, np.pi, 9)[:-1])) / 2)


@pytest.mark.parametrize(
    "changes", [{"learning_rate": 0.0}, {"batch_size": 0}, {"warmup_ratio": 1.0}, {"evaluations": -1}, {"seed": -1}]
)
def test_a_recipe_names_the_field_that_makes_no_sense(changes):
    good = {"seed": 1, "learning_rate": 1e-3, "context": 8, "batch_size": 2}
    with pytest.raises(ValueError, match=next(iter(changes))):
        sequences.Recipe(**{**good, **changes})
