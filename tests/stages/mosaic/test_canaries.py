"""The stage `canaries`, by the command line and as a function."""

from pathlib import Path

import numpy as np
import pytest

from jobs.mosaic import canaries
from lib.artifacts.command import main
from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.models import loading
from lib.tokens.tokenization import encode


def make(out: Path, model: Path, exclude: Path | None = None, **settings) -> Path:
    """Canaries of a model with random weights: its texts share most tokens, so the overlap rule is wide."""
    config = canaries.Config(**{"n": 6, "length": 8, "max_jaccard": 0.6, "sampled_tokens": 10, **settings})
    inputs = {"reference": model, "target": model} | ({"exclude": exclude} if exclude else {})
    out.mkdir(parents=True)
    canaries.run(config, inputs, out)
    return out / "canaries.h5"


@pytest.fixture(scope="module")
def members(tiny_causal_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("canaries") / "members", tiny_causal_lm)


def test_canaries_are_ids_of_the_target_that_their_text_gives(members: Path, tiny_causal_lm: Path) -> None:
    tokens, texts = hdf5.read(members, "tokens"), hdf5.read_texts(members, "text")
    tokenizer = loading.load_tokenizer(tiny_causal_lm)
    assert tokens.shape == (6, 8)
    assert tokens.dtype == np.uint32
    assert [encode(tokenizer, text) for text in texts] == tokens.tolist()
    assert not np.isin(tokens, [0, 1]).any()  # end of text, mask


def test_rejections_add_up_to_the_draws(members: Path) -> None:
    attributes = hdf5.attributes(members)
    rejected = sum(int(value) for name, value in attributes.items() if name.startswith("rejected_"))
    assert attributes["drawn"] == rejected + 6
    assert hdf5.read(members, "draw")[-1] == attributes["drawn"] - 1


def test_batch_size_changes_nothing(members: Path, tiny_causal_lm: Path, tmp_path: Path) -> None:
    assert make(tmp_path / "small", tiny_causal_lm, batch_size=3).read_bytes() == members.read_bytes()


def test_more_canaries_keep_the_first_ones(members: Path, tiny_causal_lm: Path, tmp_path: Path) -> None:
    more = hdf5.read(make(tmp_path / "more", tiny_causal_lm, n=8), "tokens")
    np.testing.assert_array_equal(more[:6], hdf5.read(members, "tokens"))


def test_non_members_come_from_another_stream_and_keep_their_distance(
    members: Path, tiny_causal_lm: Path, tmp_path: Path
) -> None:
    path = make(tmp_path / "non", tiny_causal_lm, exclude=members, role="non_member")
    inside, outside = hdf5.read(members, "tokens"), hdf5.read(path, "tokens")
    overlaps = [len({*a} & {*b}) / len({*a} | {*b}) for a in inside.tolist() for b in outside.tolist()]
    assert max(overlaps) < 0.6


def test_excluded_canaries_are_not_drawn_again(members: Path, tiny_causal_lm: Path, tmp_path: Path) -> None:
    others = make(tmp_path / "others", tiny_causal_lm, exclude=members, n=2)  # the same stream of texts
    inside, outside = hdf5.read(members, "tokens"), hdf5.read(others, "tokens")
    assert not {*map(tuple, inside.tolist())} & {*map(tuple, outside.tolist())}


@pytest.mark.parametrize("seed", [10, 1, 0])
def test_no_seed_makes_members_equal_other_seeds_non_members(seed: int, tiny_causal_lm: Path, tmp_path: Path) -> None:
    """The published code drew non-members with seed * 10: members of seed 10 were non-members of seed 1."""
    inside = hdf5.read_texts(make(tmp_path / "a", tiny_causal_lm, seed=seed, n=3), "text")
    outside = hdf5.read_texts(make(tmp_path / "b", tiny_causal_lm, seed=1, n=3, role="non_member"), "text")
    assert not set(inside) & set(outside)


def test_exhaustion_is_an_error_that_names_the_cause(tiny_causal_lm: Path, tmp_path: Path) -> None:
    with pytest.raises(TesseraError, match=r"only \d of 6 canaries in 20 draws .*rejected: \w+ \d+"):
        make(tmp_path / "out", tiny_causal_lm, max_draws=20)


def test_unknown_start_token_is_refused(tiny_causal_lm: Path, tmp_path: Path) -> None:
    with pytest.raises(TesseraError, match="start_token '<nowhere>'"):
        make(tmp_path / "out", tiny_causal_lm, start_token="<nowhere>")


def test_by_hand(tiny_causal_lm: Path, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        f"inputs: {{reference: {tiny_causal_lm}, target: {tiny_causal_lm}}}\n"
        "n: 2\nlength: 8\nmax_jaccard: 0.9\nstart_token: <|endoftext|>\n"
    )
    assert main("canaries", ["--config", str(file), "--out", str(tmp_path / "out")]) == 0
    assert hdf5.read(tmp_path / "out" / "canaries.h5", "tokens").shape == (2, 8)


def test_texts_with_a_special_token_are_sampled_and_thrown_away(tiny_causal_lm: Path) -> None:
    """As published: an end of text has its probability, and what holds one is no canary."""
    tokenizer = loading.load_tokenizer(tiny_causal_lm)
    config = canaries.Config(length=8, sampled_tokens=60, end_of_text="discard")
    texts = canaries._sampler(config, tiny_causal_lm, tokenizer)(range(200))
    special = len(set(tokenizer.all_special_ids)) / len(tokenizer)  # random weights: all ids are about as likely
    thrown_away, expected = texts.count(None), 200 * (1 - (1 - special) ** 60)
    assert abs(thrown_away - expected) < 5 * np.sqrt(expected)
    assert not [text for text in texts if text and tokenizer.eos_token in text]


def test_texts_without_tokens_are_refused():
    """0 is no way to write `null`, the twice `length` of the default."""
    with pytest.raises(ValueError, match="sampled_tokens is 0"):
        canaries.Config(sampled_tokens=0)
