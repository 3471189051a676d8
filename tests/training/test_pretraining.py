from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.base.errors import TesseraError
from lib.base.seeds import generator
from lib.models import loading, mamba_scan
from lib.tokens import train_bpe
from lib.training import pretraining
from lib.training.pretraining import NOT_CHOSEN, Architecture, Optimisation

TEXTS = [f"Document {n} says that the quick brown fox number {n} jumps over a lazy dog. " * 4 for n in range(40)]
SIZE = Architecture(vocab_size=320, width=32, layers=1, heads=2, context=16)


@pytest.fixture(scope="module")
def causal():
    return train_bpe.train_tokenizer(TEXTS, 320, masked=False)


@pytest.fixture(scope="module")
def masked():
    return train_bpe.train_tokenizer(TEXTS, 320, masked=True)


def quiet(step, loss):
    """Report nothing."""


def test_the_stream_is_the_texts_each_opened_once(causal):
    stream = pretraining.token_stream(causal, TEXTS, 10**9, causal.bos_token_id)
    assert np.count_nonzero(stream == 0) == len(TEXTS)
    assert causal.decode(stream) == "".join(train_bpe.END_OF_TEXT + text for text in TEXTS)


def test_the_stream_stops_when_there_is_enough(causal):
    whole = pretraining.token_stream(causal, TEXTS, 10**9, None)
    part = pretraining.token_stream(causal, TEXTS, 50, None)
    assert 50 <= len(part) < len(whole)
    assert np.array_equal(part, whole[: len(part)])


def test_rows_are_the_stream_and_too_short_a_stream_is_refused():
    assert pretraining.rows(np.arange(7), 3).tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(TesseraError, match="the text has 2 tokens, fewer than one row of 3"):
        pretraining.rows(np.arange(2), 3)


def test_framed_rows_begin_and_end_with_the_special_ids():
    assert pretraining.framed(np.array([[5, 6], [7, 8]]), 0, 2).tolist() == [[0, 5, 6, 2], [0, 7, 8, 2]]


@given(n_rows=st.integers(1, 9), batch_size=st.integers(1, 12), seed=st.integers(0, 5))
def test_batches_take_every_row_equally_often(n_rows, batch_size, seed):
    drawn = np.concatenate(list(islice(pretraining.batches(n_rows, batch_size, seed), n_rows)))
    assert len(drawn) == n_rows * batch_size
    assert np.bincount(drawn, minlength=n_rows).tolist() == [batch_size] * n_rows
    for epoch in drawn.reshape(batch_size, n_rows):
        assert sorted(epoch) == list(range(n_rows))


def test_corruption_is_berts():
    ids = np.full((400, 100), 50)
    ids[:, 0], ids[:, -1] = 0, 2
    inputs, labels = pretraining.corrupt(ids, [0, 1, 2, 3, 4], 4, 320, generator(0, "test"))
    chosen = labels != NOT_CHOSEN
    assert not chosen[:, [0, -1]].any(), "special tokens are never predicted"
    assert np.array_equal(labels[chosen], ids[chosen])
    assert np.array_equal(inputs[~chosen], ids[~chosen])
    share = chosen[:, 1:-1].mean()
    assert abs(share - 0.15) < 4 * np.sqrt(0.15 * 0.85 / chosen[:, 1:-1].size)
    masked, same = (inputs[chosen] == 4).mean(), (inputs[chosen] == 50).mean()
    assert abs(masked - 0.8) < 0.02
    assert abs(same - 0.1) < 0.02
    replaced = inputs[chosen & (inputs != 4) & (inputs != 50)]
    assert replaced.min() >= 5
    assert replaced.max() < 320


def test_the_causal_loss_is_the_mean_next_token_cross_entropy(causal):
    model = pretraining.causal_model(SIZE, causal, seed=0)
    data = np.arange(5 * 16).reshape(5, 16)
    index = next(pretraining.batches(5, 3, 0))
    loss = next(pretraining.causal_losses(model, data, 3, 0))()
    log_p = torch.log_softmax(model(torch.from_numpy(data[index])).logits.double(), dim=-1).detach().numpy()
    expected = [-log_p[i, t, data[row, t + 1]] for i, row in enumerate(index) for t in range(15)]
    assert float(loss.detach()) == pytest.approx(np.mean(expected), rel=1e-5)


def test_the_masked_loss_is_that_of_transformers(masked):
    model = pretraining.masked_model(SIZE, masked, seed=0)
    inputs, labels = pretraining.corrupt(np.arange(64).reshape(4, 16) + 5, range(5), 4, 320, generator(0, "test"), 0.4)
    inputs, labels = torch.from_numpy(inputs), torch.from_numpy(labels)
    ours = pretraining.masked_loss(model, inputs, labels).item()
    assert ours == pytest.approx(model(input_ids=inputs, labels=labels).loss.item(), rel=1e-6)


def test_every_position_of_the_context_can_be_read(causal, masked):
    ids = torch.full((1, SIZE.context), 7)
    assert torch.isfinite(pretraining.causal_model(SIZE, causal, 0)(ids).logits).all()
    assert torch.isfinite(pretraining.masked_model(SIZE, masked, 0)(ids).logits).all()


@pytest.mark.parametrize("architecture", sorted(pretraining.CAUSAL))
@pytest.mark.parametrize("seeds", [(3, 3), (3, 4)])
def test_initial_weights_depend_on_the_seed_and_on_nothing_else(causal, seeds, architecture):
    made = pretraining.CAUSAL[architecture]
    torch.manual_seed(seeds[0])
    before = torch.random.get_rng_state()
    size = replace(SIZE, layers=2)  # the least that an RWKV-4 has
    first = made(size, causal, seeds[0]).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before), "the caller's stream is left alone"
    torch.manual_seed(99)
    second = made(size, causal, seeds[1]).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first) == (seeds[0] == seeds[1])


@pytest.mark.parametrize(("step", "expected"), [(0, 0.1), (9, 1.0), (10, 1.0), (104, 0.5504), (199, 0.1)])
def test_the_rate_warms_up_and_falls_to_a_tenth(step, expected):
    optimisation = Optimisation(learning_rate=1.0, steps=200)
    assert pretraining.learning_rate(step, optimisation) == pytest.approx(expected, abs=5e-3)


@given(steps=st.integers(1, 300))
def test_the_rate_is_positive_and_never_above_the_full_one(steps):
    rates = [pretraining.learning_rate(step, Optimisation(2.0, steps)) for step in range(steps)]
    assert min(rates) > 0
    assert max(rates) == pytest.approx(2.0)


def trained(tokenizer, kind, seed=0, steps=25):
    stream = pretraining.token_stream(tokenizer, TEXTS, 10**9, None)
    optimisation = Optimisation(learning_rate=1e-2, steps=steps)
    if kind != "masked":
        size = replace(SIZE, layers=2 if kind == "rwkv" else 1)
        model, data = pretraining.CAUSAL[kind](size, tokenizer, seed), pretraining.rows(stream, 16)
        losses = pretraining.causal_losses(model, data, 8, seed)
    else:
        model, data = pretraining.masked_model(SIZE, tokenizer, seed), pretraining.rows(stream, 14)
        losses = pretraining.masked_losses(model, pretraining.framed(data, 0, 2), tokenizer, 8, seed)
    with pretraining.threads(1):
        return model, pretraining.train(model, losses, optimisation, quiet)


@pytest.mark.parametrize("kind", ["gpt_neox", "mamba", "rwkv", "masked"])
def test_training_learns_and_repeats_bit_for_bit(causal, masked, kind):
    tokenizer = masked if kind == "masked" else causal
    first, loss = trained(tokenizer, kind)
    again, repeated = trained(tokenizer, kind)
    assert np.array_equal(loss, repeated)
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values()))
    assert loss[0] == pytest.approx(np.log(320), abs=0.3), "before training every id is about equally likely"
    assert loss[-5:].mean() < loss[0] - 1
    assert not np.array_equal(trained(tokenizer, kind, seed=1, steps=3)[1], loss[:3])


def test_embeddings_are_untied_and_mamba_has_the_wanted_state(causal):
    size = Architecture(vocab_size=320, width=32, layers=3, heads=2, context=16, state_size=5)
    for name in ("gpt_neox", "rwkv", "mamba"):
        model = pretraining.CAUSAL[name](size, causal, 0)
        assert model.get_input_embeddings().weight is not model.get_output_embeddings().weight
        assert model.config.num_hidden_layers == 3
    assert model.backbone.layers[0].mixer.A_log.shape == (64, 5)
    assert isinstance(model.backbone.layers[0].mixer, mamba_scan.FastMambaMixer)


def test_a_loss_that_is_no_number_stops_the_training(causal):
    model = pretraining.causal_model(SIZE, causal, 0)
    losses = iter([lambda: sum(weight.sum() for weight in model.parameters()) * float("nan")])
    with pytest.raises(TesseraError, match="the loss is nan at step 0; lower the learning rate"):
        pretraining.train(model, losses, Optimisation(1e-3, 1), quiet)


def test_a_saved_model_gives_the_same_logits(causal, tmp_path):
    model, _ = trained(causal, "gpt_neox", steps=3)
    loading.save(model, causal, tmp_path)
    ids = torch.arange(16)[None]
    assert torch.equal(loading.load_causal_lm(tmp_path)(ids).logits, model.eval()(ids).logits)


def test_precision_is_as_wanted_and_automatic_where_the_hardware_decides(monkeypatch):
    assert [pretraining.choose_precision(name) for name in ("bf16", "fp32")] == ["bf16", "fp32"]
    for able, expected in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda able=able: able)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        assert pretraining.choose_precision("auto") == expected
