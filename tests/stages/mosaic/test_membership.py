"""The membership stages, run as from the command line, against torch's own cross-entropy one text at a time."""

import dataclasses
import shutil
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from lib.artifacts import command
from lib.attacks import evidence
from lib.attacks.scores import compute, estimators
from lib.base import hdf5
from lib.canaries import canaries_file

TEXTS = {
    "members": [
        "The Quick Brown fox jumps over a lazy dog",
        "Rivers, Mountains and OLD machines forget",
        "x = f[0] (y) while many letters were read",
        "Été naïve once in a Book about numbers 123",
    ],
    "non_members": [
        "many Small models remember text repeated",
        "A dog And a fox In a Book: 0123456789!!",
        "others forget What they have read ONCE",
    ],
}
LENGTH = 24


@pytest.fixture(scope="module")
def canaries(tiny_tokenizer: Path, tmp_path_factory) -> dict[str, Path]:
    """members.h5 and non_members.h5: the first 24 ids of each text, and no `text`, as by hand."""
    tokenizer, folder = AutoTokenizer.from_pretrained(tiny_tokenizer), tmp_path_factory.mktemp("canaries")
    files = {}
    for side, texts in TEXTS.items():
        files[side] = folder / f"{side}.h5"
        write_canaries(files[side], [tokenizer(text + text.swapcase())["input_ids"][:LENGTH] for text in texts])
    return files


@pytest.fixture(scope="module")
def reference_lm(tiny_tokenizer: Path, tmp_path_factory) -> Path:
    """A Llama with another seed, whose tokenizer has no BOS: its first token is not scored."""
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=400, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=256, initializer_range=0.3,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("reference")
    LlamaForCausalLM(config).save_pretrained(path)
    tokenizer = AutoTokenizer.from_pretrained(tiny_tokenizer)
    tokenizer.bos_token = None
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def pretrained(tiny_causal_lm: Path, tiny_tokenizer: Path, tmp_path_factory) -> Path:
    """What the target may have been before: a GPT-NeoX of its shape and tokenizer, with other weights."""
    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("pretrained")
    config = AutoConfig.from_pretrained(tiny_causal_lm)
    config.initializer_range = 0.2
    AutoModelForCausalLM.from_config(config).save_pretrained(path)
    AutoTokenizer.from_pretrained(tiny_tokenizer).save_pretrained(path)
    return path


def write_canaries(path: Path, ids) -> None:
    with hdf5.create(path) as file:
        hdf5.write(file, "tokens", np.array(ids))


def run(job: str, out: Path, config: dict) -> int:
    out.parent.mkdir(parents=True, exist_ok=True)
    file = out.parent / f"{out.name}.yaml"
    file.write_text(yaml.safe_dump(config))
    return command.main(job, ["--config", str(file), "--out", str(out)])


def membership_config(target: Path, reference: Path, canaries: dict[str, Path], **settings) -> dict:
    inputs = {"target": str(target), "reference": str(reference)}
    return {"inputs": inputs | {side: str(file) for side, file in canaries.items()}, **settings}


@pytest.fixture(scope="module")
def scores(tiny_causal_lm, reference_lm, pretrained, canaries, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("membership") / "out"
    config = membership_config(tiny_causal_lm, reference_lm, canaries, batch_size=3, pretrained=str(pretrained))
    assert run("membership", out, config) == 0
    return out / "scores.h5"


def nll(directory: Path, ids: list[int], context: list[int]) -> np.ndarray:
    """The losses of `ids` after `context`, in nats, by torch's cross-entropy over the model's own logits."""
    model = AutoModelForCausalLM.from_pretrained(directory)
    everything = torch.tensor([context + ids])
    with torch.no_grad():
        losses = torch.nn.functional.cross_entropy(
            model(everything).logits[0, :-1], everything[0, 1:], reduction="none"
        )
    return losses.numpy().astype(float)[max(0, len(context) - 1) :]


def test_every_score_equals_its_formula_one_text_at_a_time(scores, tiny_causal_lm, reference_lm, canaries):
    tokenizer = AutoTokenizer.from_pretrained(tiny_causal_lm)
    all_ids = {side: hdf5.read(file, "tokens").tolist() for side, file in canaries.items()}
    for side, rows in all_ids.items():
        for row, ids in enumerate(rows):
            text = tokenizer.decode(ids)
            lower_ids = tokenizer(text.lower())["input_ids"]
            x, lower = nll(tiny_causal_lm, ids, [0]), nll(tiny_causal_lm, lower_ids, [0])
            reference_ids = tokenizer(text)["input_ids"]
            reference = nll(reference_lm, reference_ids, [])
            prefix = all_ids["non_members"][1 if (side, row) == ("non_members", 0) else 0]
            prefixed = nll(tiny_causal_lm, ids, [0, *prefix])
            compressed, lowest = len(zlib.compress(text.encode())), np.sort(-x)
            assert len(x) == LENGTH
            assert len(reference) == len(reference_ids) - 1
            expected = {
                "loss": -x.mean(),
                "ratio": reference.mean() - x.mean(),
                "zlib": -x.mean() / compressed,
                "zlib_paper": -x.mean() / (compressed / len(text)),
                "lowercase": lower.sum() / len(text.lower().encode()) - x.sum() / len(text.encode()),
                "min_k": lowest[:4].mean(),  # floor(0.2 * 24)
                "min_k_paper": lowest[:20].mean(),
                "recall": prefixed.mean() / x.mean(),
            }
            found = {name: hdf5.read(scores, f"{side}/{name}")[row] for name in expected}
            assert found == pytest.approx(expected, abs=1e-5), (side, row)


def published_batch(directory: Path, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Losses of all texts in one batch, padded on the right with EOS and 0 after the first padding token, and how many
    positions of each text predict something: all its own, or all but the last of the longest."""
    tokenizer, model = AutoTokenizer.from_pretrained(directory), AutoModelForCausalLM.from_pretrained(directory)
    tokenizer.pad_token, tokenizer.padding_side = tokenizer.eos_token, "right"
    ids, mask = tokenizer(texts, padding="longest", return_tensors="pt", return_token_type_ids=False).values()
    with torch.no_grad():
        logs = model(input_ids=ids, attention_mask=mask).logits.log_softmax(dim=2)
    losses = -logs[:, :-1].gather(2, ids[:, 1:, None])[..., 0] * mask[:, :-1]
    return losses.numpy().astype(float), mask[:, :-1].sum(dim=1).numpy()


def published_perplexity(directory: Path, texts: list[str]) -> np.ndarray:
    losses, targets = published_batch(directory, texts)
    return np.exp(losses.sum(axis=1) / targets)


@pytest.mark.parametrize("lengths", ["equal", "as they come"])
def test_scores_of_published_code_are_what_it_returns(
    lengths, tiny_causal_lm, reference_lm, canaries, tmp_path, monkeypatch
):
    """Target and reference in batches of a whole side, without BOS. Texts of several lengths, which no canaries file
    holds, are padded under the target as well."""
    if lengths != "equal":
        whole = canaries_file.read_texts
        monkeypatch.setattr(canaries_file, "read_texts", lambda file: cut(whole(file)))
    config = membership_config(
        tiny_causal_lm, reference_lm, canaries, bos_policy="none", reference_bos="", batch_size=2
    )
    assert run("membership", tmp_path / "out", config) == 0
    tokenizer, found = AutoTokenizer.from_pretrained(tiny_causal_lm), tmp_path / "out" / "scores.h5"
    for side, file in canaries.items():
        texts = tokenizer.batch_decode(canaries_file.read_texts(file).ids)
        losses, targets = published_batch(tiny_causal_lm, texts)
        ppl = np.exp(losses.sum(axis=1) / targets)
        reference, lower = (
            published_perplexity(reference_lm, texts), published_perplexity(tiny_causal_lm, [t.lower() for t in texts])
        )  # fmt: skip
        compressed = np.array([len(zlib.compress(text.encode())) / len(text) for text in texts])
        expected = {
            "loss": ppl,
            "ratio": ppl / reference,
            "lowercase": ppl / lower,
            "zlib": np.log(ppl) / compressed,
            "min_k": np.sort(losses, axis=1)[:, ::-1][:, :20].mean(axis=1),
        }
        for name, values in expected.items():
            np.testing.assert_allclose(hdf5.read(found, f"{side}/{name}_paper"), -values, rtol=1e-5, err_msg=name)
        assert (lengths == "equal") == (len(set(targets)) == 1)
        unpadded = np.exp(-hdf5.read(found, f"{side}/loss")) / ppl
        assert (lengths == "equal") == np.allclose(unpadded, 1, rtol=1e-5)


def cut(texts: canaries_file.CanaryTexts) -> canaries_file.CanaryTexts:
    return dataclasses.replace(texts, ids=[row[: len(row) - number] for number, row in enumerate(texts.ids)])


def test_without_an_end_token_the_scores_of_published_code_are_absent_and_the_log_says_so(
    tiny_causal_lm, reference_lm, canaries, tmp_path, caplog
):
    target, reference = tmp_path / "target", tmp_path / "reference"
    for original, copy in ((tiny_causal_lm, target), (reference_lm, reference)):
        shutil.copytree(original, copy)
        tokenizer = AutoTokenizer.from_pretrained(copy)
        tokenizer.eos_token = None
        tokenizer.save_pretrained(copy)
    papers = {name for name in estimators() if name.endswith("_paper")} - {"min_k_plus_plus_paper"}  # needs no padding
    for number, (one, other) in enumerate([(target, reference_lm), (tiny_causal_lm, reference)]):
        caplog.clear()
        out = tmp_path / str(number)
        assert run("membership", out, membership_config(one, other, canaries)) == 0
        absent = papers if number == 0 else {"ratio_paper"}
        rows = set(hdf5.rows(out / "scores.h5"))
        assert {name for name in papers if f"members/{name}" not in rows} == absent
        assert f"not scored under the {'reference' if number else 'target'}" in caplog.text


def test_scores_are_float64_of_length_n_for_every_attack(scores):
    with h5py.File(scores) as file:
        names = set(estimators())
        assert set(file["members"]) == set(file["non_members"]) == names
        for side, texts in TEXTS.items():
            for name in names:
                assert file[side][name].shape == (len(texts),)
                assert file[side][name].dtype == np.float64
                assert np.isfinite(file[side][name][()]).all()


def test_min_k_plus_plus_is_brute_force(scores, tiny_causal_lm, canaries):
    model = AutoModelForCausalLM.from_pretrained(tiny_causal_lm)
    ids = torch.tensor(hdf5.read(canaries["members"], "tokens").astype(np.int64))
    ids = torch.cat([torch.zeros(len(ids), 1, dtype=torch.long), ids], dim=1)
    with torch.no_grad():
        log_p = model(ids).logits[:, :-1].double().log_softmax(2).numpy()
    chosen = np.take_along_axis(log_p, ids[:, 1:, None].numpy(), 2)[..., 0]
    mu = (np.exp(log_p) * log_p).sum(2)
    sigma = np.sqrt((np.exp(log_p) * (log_p - mu[..., None]) ** 2).sum(2))
    expected = np.sort((chosen - mu) / sigma, axis=1)[:, :4].mean(1)
    np.testing.assert_allclose(hdf5.read(scores, "members/min_k_plus_plus"), expected, rtol=1e-4)


def test_token_by_token_attacks_read_the_model_before_fine_tuning(scores, tiny_causal_lm, pretrained, canaries):
    """D and the error zone from torch's own logits; windows and sums one at a time."""
    model = AutoModelForCausalLM.from_pretrained(tiny_causal_lm)
    for row, ids in enumerate(hdf5.read(canaries["members"], "tokens").tolist()):
        shift = nll(pretrained, ids, [0]) - nll(tiny_causal_lm, ids, [0])
        with torch.no_grad():
            predicted = model(torch.tensor([[0, *ids]])).logits[0, :-1].argmax(1).tolist()
        zone = [d for d, guess, true in zip(shift, predicted, ids) if guess != true]
        up, down = sum(d for d in zone if d > 0), -sum(d for d in zone if d < 0)
        votes = [
            np.mean([shift[i : i + w].sum() > 0 for i in range(LENGTH - w + 1)])
            for w in (2, 3, 4, 6, 9, 13, 18, 24, 24, 24)
        ]
        assert hdf5.read(scores, "members/ez")[row] == pytest.approx(np.log(up / down), abs=1e-3)
        assert hdf5.read(scores, "members/wbc")[row] == pytest.approx(np.mean(votes), abs=1e-12)


def test_without_a_model_of_the_same_tokens_their_scores_are_absent_and_the_log_says_so(
    tiny_causal_lm, reference_lm, pretrained, canaries, tmp_path, caplog
):
    other = tmp_path / "other"
    shutil.copytree(pretrained, other)
    tokenizer = AutoTokenizer.from_pretrained(other)
    tokenizer.add_tokens(["zzz"])
    tokenizer.save_pretrained(other)
    reasons = {reference_lm: "opens texts in another way than the target", other: "has another tokenizer"}
    for number, (reference, reason) in enumerate(reasons.items()):
        out = tmp_path / str(number)
        assert run("membership", out, membership_config(tiny_causal_lm, reference, canaries)) == 0
        assert {"members/wbc", "members/ez"}.isdisjoint(hdf5.rows(out / "scores.h5"))
        assert f"no wbc and ez scores: the reference {reason}" in caplog.text


def test_a_reference_of_the_same_tokens_serves_as_well(tiny_causal_lm, pretrained, scores, canaries, tmp_path):
    assert run("membership", tmp_path / "out", membership_config(tiny_causal_lm, pretrained, canaries)) == 0
    found = hdf5.read(tmp_path / "out" / "scores.h5", "members/ez")
    np.testing.assert_allclose(found, hdf5.read(scores, "members/ez"), atol=1e-4)


def test_every_score_can_be_computed_again_from_the_evidence(scores):
    for side in canaries_file.SIDES:
        for name, values in compute(evidence.read(scores, side)).items():
            np.testing.assert_array_equal(hdf5.read(scores, f"{side}/{name}"), values)


def test_what_was_done_about_bos_is_recorded(scores):
    found = hdf5.attributes(scores)
    assert (found["bos"], found["recall_prefix_tokens"], found["dtype"]) == (0, LENGTH, "float32")


def test_without_bos_the_first_token_counts_nowhere(tiny_causal_lm, reference_lm, canaries, tmp_path):
    config = membership_config(tiny_causal_lm, reference_lm, canaries, bos_policy="none")
    assert run("membership", tmp_path / "out", config) == 0
    file = tmp_path / "out" / "scores.h5"
    ids = {side: hdf5.read(path, "tokens").tolist() for side, path in canaries.items()}
    losses = nll(tiny_causal_lm, ids["members"][1], [])
    prefixed = nll(tiny_causal_lm, ids["members"][1], ids["non_members"][0])[1:]
    assert len(losses) == len(prefixed) == LENGTH - 1
    assert hdf5.attributes(file)["bos"] == -1
    assert hdf5.read(file, "members/loss")[1] == pytest.approx(-losses.mean(), abs=1e-5)
    assert hdf5.read(file, "members/recall")[1] == pytest.approx(prefixed.mean() / losses.mean(), abs=1e-5)


def test_another_bos_policy_than_in_training_is_refused(tiny_causal_lm, reference_lm, canaries, tmp_path, capsys):
    target = tmp_path / "target"
    shutil.copytree(tiny_causal_lm, target)
    with hdf5.create(target / "metrics.h5") as file:
        file.attrs["bos"] = 0
    assert run("membership", tmp_path / "out", membership_config(target, reference_lm, canaries)) == 0
    config = membership_config(target, reference_lm, canaries, bos_policy="none")
    assert run("membership", tmp_path / "wrong", config) == 1
    assert "trained with BOS 0 (-1: none), but bos_policy gives []" in capsys.readouterr().err
    config = membership_config(target, reference_lm, canaries, bos_policy="none", trained_bos="any")
    assert run("membership", tmp_path / "as_published", config) == 0


def test_reference_scores_once_give_the_same_bytes_whatever_the_batches(
    scores, tiny_causal_lm, reference_lm, pretrained, canaries, tmp_path
):
    config = membership_config(tiny_causal_lm, reference_lm, canaries, batch_size=2)
    config["inputs"] = {"target_tokenizer": config["inputs"].pop("target"), **config["inputs"]}
    assert run("reference_scores", tmp_path / "reference", config["inputs"] | {"batch_size": 2}) == 0
    before = config["inputs"] | {"reference": str(pretrained)}
    assert run("reference_scores", tmp_path / "before", {"inputs": before, "batch_size": 3}) == 0
    shared = membership_config(tiny_causal_lm, tmp_path / "reference", canaries, batch_size=7)
    shared["pretrained"] = str(tmp_path / "before")
    assert run("membership", tmp_path / "out", shared) == 0
    for side in canaries_file.SIDES:
        for name in estimators():
            given = hdf5.read(tmp_path / "out" / "scores.h5", f"{side}/{name}")
            np.testing.assert_allclose(given, hdf5.read(scores, f"{side}/{name}"), atol=1e-5)
    assert run("membership", tmp_path / "again", shared) == 0
    assert (tmp_path / "again" / "scores.h5").read_bytes() == (tmp_path / "out" / "scores.h5").read_bytes()


def test_reference_scores_of_other_texts_are_refused(tiny_causal_lm, reference_lm, canaries, tmp_path, capsys):
    inputs = {"target_tokenizer": str(tiny_causal_lm), "reference": str(reference_lm)}
    swapped = {"members": str(canaries["non_members"]), "non_members": str(canaries["members"])}
    assert run("reference_scores", tmp_path / "reference", {"inputs": inputs | swapped}) == 0
    assert run("membership", tmp_path / "out", membership_config(tiny_causal_lm, tmp_path / "reference", canaries)) == 1
    assert "'members' holds the scores of other texts" in capsys.readouterr().err


def test_reference_bos_by_name(tiny_causal_lm, canaries, tmp_path, capsys):
    """A chat model's BOS may be a chat mark; the token that opens a text can be named."""
    inputs = {"target_tokenizer": str(tiny_causal_lm), "reference": str(tiny_causal_lm)}
    inputs |= {side: str(file) for side, file in canaries.items()}
    for bos, opening in ((None, [0]), ("", []), ("<mask>", [1])):
        assert run("reference_scores", tmp_path / f"out-{bos}", {"inputs": inputs, "bos": bos}) == 0
        ids = hdf5.read(canaries["members"], "tokens").tolist()[2]
        found = hdf5.read(tmp_path / f"out-{bos}" / "reference.h5", "members/log_prob_sums")[2]
        assert found == pytest.approx(-nll(tiny_causal_lm, ids, opening).sum(), abs=1e-4)
    assert run("reference_scores", tmp_path / "wrong", {"inputs": inputs, "bos": "<s>"}) == 1
    assert "'<s>' is not a token of this tokenizer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([[1, 2, 3], [5, 400, 6]], "non_members.h5: row 1: token id 400, but the model's vocabulary has 400 ids"),
        ([[1.5, 2.0]], "'tokens' must be a matrix of integers"),
        (np.zeros((0, 5), dtype=int), "'tokens' has no rows"),
        (np.zeros((2, 0), dtype=int), "non_members.h5: row 0: an empty text"),
        ([1, 2, 3], "'tokens' must be a matrix of integers"),
    ],
)
def test_bad_canaries_name_file_and_row(ids, message, tiny_causal_lm, reference_lm, canaries, tmp_path, capsys):
    wrong = tmp_path / "non_members.h5"
    write_canaries(wrong, ids)
    config = membership_config(tiny_causal_lm, reference_lm, canaries | {"non_members": wrong})
    assert run("membership", tmp_path / "out", config) == 1
    error = capsys.readouterr().err
    assert message in error
    assert str(wrong) in error
    assert not (tmp_path / "out" / "scores.h5").exists()


def test_one_non_member_leaves_recall_out_and_says_so(tiny_causal_lm, reference_lm, canaries, tmp_path, caplog):
    single = tmp_path / "one.h5"
    write_canaries(single, hdf5.read(canaries["non_members"], "tokens")[:1])
    config = membership_config(tiny_causal_lm, reference_lm, canaries | {"non_members": single})
    assert run("membership", tmp_path / "out", config) == 0
    assert "no recall scores: 1 non-members are too few for a prefix of 1" in caplog.text
    assert "members/recall" not in hdf5.rows(tmp_path / "out" / "scores.h5")


def test_texts_of_the_model_s_length_leave_no_room_for_a_prefix(tiny_causal_lm, reference_lm, tmp_path, caplog):
    files = {side: tmp_path / f"{side}.h5" for side in canaries_file.SIDES}
    for side, first in zip(files, (20, 30)):
        write_canaries(files[side], [[first + row] * 255 for row in range(3)])
    config = membership_config(tiny_causal_lm, reference_lm, files)
    assert run("membership", tmp_path / "out", config) == 0
    assert "leave no room for a prefix" in caplog.text


def test_settings_out_of_range_are_usage_errors(tiny_causal_lm, reference_lm, canaries, tmp_path):
    for settings in ({"batch_size": 0}, {"recall_shots": -1}, {"batchsize": 4}):
        config = membership_config(tiny_causal_lm, reference_lm, canaries, **settings)
        assert run("membership", tmp_path / "out", config) == 2
