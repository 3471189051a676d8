"""Fine-tuning against a plain PyTorch loop, over ZeRO stages, ranks, kills and bad inputs."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from jobs.mosaic import finetune
from lib.artifacts import checkpoints
from lib.base import hdf5, places
from lib.base.errors import UsageError
from lib.base.places import ROOT
from lib.costs import devices
from lib.costs.facts import Model
from lib.plans import documents, expansion
from lib.training import sequences

SEED, CONTEXT, BATCH, RATE, BOS = 5, 64, 4, 3e-3, 0


class Server:
    """Trainings in forked processes; see fork_server.py."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "support" / "fork_server.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment(),
        )  # fmt: skip
        assert self._answer() == "ready"

    def start(self, config: Path, out: Path, block_values: int = sequences.BLOCK_VALUES, ranks: int = 1) -> int:
        """Start a training; its process id, or that of its first rank."""
        request = {"stage": "finetune", "argv": arguments(config, out), "log": str(log(out))}
        request |= {"block_values": block_values, "ranks": ranks}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return int(self._answer())

    def wait(self) -> int:
        """The exit code of the training that runs."""
        return int(self._answer())

    def run(self, config: Path, out: Path, **settings: int) -> int:
        """Start a training and wait for it."""
        self.start(config, out, **settings)
        return self.wait()

    def _answer(self) -> str:
        return self.process.stdout.readline().strip()


def environment() -> dict[str, str]:
    """One thread a process, the project on the path, no GPU."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"}


def arguments(config: Path, out: Path) -> list[str]:
    """The command line of the stage."""
    return ["--config", str(config), "--out", str(out)]


def log(out: Path) -> Path:
    """Where a forked training writes."""
    return out.with_name(out.name + ".log")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def server():
    started = Server()
    yield started
    started.process.stdin.close()
    started.process.wait(timeout=30)


@pytest.fixture(scope="module")
def inputs(tiny_causal_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A tiny model, 12 documents of words, 10 canaries a side, one held-out document."""
    folder = tmp_path_factory.mktemp("inputs")
    draw = np.random.default_rng(0)
    words = ["river", "stone", "letter", "number", "mountain", "old", "machine", "book", "fox", "remember", "42"]
    texts = [" ".join(draw.choice(words, size)) for size in draw.integers(25, 60, 13)]
    write_texts(folder / places.INJECTED, "text", texts[:12])
    write_texts(folder / places.BOOKS, "held_out", texts[12:])
    for name in ("members", "non_members"):
        with hdf5.create(folder / f"{name}.h5") as file:
            hdf5.write(file, "tokens", draw.integers(2, 400, (10, 20)).astype("<u4"))
    canaries = {name: str(folder / f"{name}.h5") for name in ("members", "non_members")}
    return {"model": str(tiny_causal_lm), "injected": str(folder), "books": str(folder), **canaries}


def write_texts(path: Path, name: str, texts: list[str]) -> None:
    with hdf5.create(path) as file:
        hdf5.write_texts(file, name, texts)


def configure(path: Path, inputs: dict[str, str], **changes: object) -> Path:
    """A config file beside `path`."""
    values = {
        "seed": SEED, "learning_rate": RATE, "context": CONTEXT, "batch_size": BATCH, "micro_batch": 2,
        "epochs": 2, "evaluations": 2, "weight_decay": 0.1, "max_grad_norm": 0.5, "inputs": inputs, **changes,
    }  # fmt: skip
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture(scope="module")
def undisturbed(inputs, server, tmp_path_factory) -> Path:
    """The artifact of a training that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    out = folder / "out"
    assert server.run(configure(folder / "c.yaml", inputs), out) == 0, log(out).read_text()
    return out


def metric(out: Path, name: str) -> np.ndarray:
    return hdf5.read(out / places.METRICS, name)


def plain_losses(inputs: dict[str, str], unlabelled: int | None = None, weight_decay: float = 0.1) -> list[float]:
    """The losses of the same training as a loop over whole batches in PyTorch."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(inputs["model"]).train()
    tokenizer = AutoTokenizer.from_pretrained(inputs["model"])
    texts = hdf5.read_texts(Path(inputs["injected"]) / places.INJECTED, "text")
    pieces = []
    for text in texts:
        ids = [BOS, *tokenizer(text)["input_ids"]]
        pieces += [ids[i : i + CONTEXT] for i in range(0, len(ids), CONTEXT)]
    pieces = [piece for piece in pieces if len(piece) > 1]
    decayed = [p for n, p in model.named_parameters() if "norm" not in n and "bias" not in n]
    others = [p for n, p in model.named_parameters() if "norm" in n or "bias" in n]
    optimizer = torch.optim.AdamW(
        [{"params": decayed}, {"params": others, "weight_decay": 0}], RATE, weight_decay=weight_decay
    )
    order = sequences.data_order(len(pieces), BATCH, 2, SEED)
    warmup, losses = -(-len(order) * 5 // 100), []
    for step, rows in enumerate(order):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / warmup)
        sums = [row_loss(model, pieces[row], unlabelled) for row in rows if row >= 0]
        loss = sum(total for total, _ in sums) / sum(count for _, count in sums)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def row_loss(model, piece: list[int], unlabelled: int | None = None):
    """The summed loss of one sequence by itself, unpadded, and its number of predictions."""
    import torch

    ids = torch.tensor([piece])
    predicted = ids[0, 1:] != (-1 if unlabelled is None else unlabelled)
    logits, targets = model(ids).logits[0, :-1][predicted], ids[0, 1:][predicted]
    return torch.nn.functional.cross_entropy(logits, targets, reduction="sum"), len(targets)


def evaluated(inputs: dict[str, str], folder: Path | str) -> tuple[float, float]:
    """AUC of the loss attack and held-out loss of a saved model, one unpadded sequence at a time."""
    import torch
    from sklearn.metrics import roc_auc_score
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder).eval()

    def nll(ids):
        with torch.no_grad():
            total, count = row_loss(model, list(map(int, ids)))
        return float(total), count

    text = hdf5.read_texts(Path(inputs["books"]) / places.BOOKS, "held_out")[0]
    canaries = np.concatenate([hdf5.read(Path(inputs[name]), "tokens") for name in ("members", "non_members")])
    scores = [-total / count for total, count in (nll([BOS, *ids]) for ids in canaries)]
    ids = [BOS, *AutoTokenizer.from_pretrained(folder)(text)["input_ids"]]
    parts = [nll(ids[start : start + CONTEXT]) for start in range(0, len(ids), CONTEXT)]
    held_out = sum(total for total, _ in parts) / sum(count for _, count in parts)
    return float(roc_auc_score([1] * 10 + [0] * 10, scores)), held_out


def test_losses_are_those_of_a_plain_loop(inputs, undisturbed):
    losses = metric(undisturbed, "loss")
    assert losses[-1] < losses[0] - 0.5
    np.testing.assert_allclose(losses, plain_losses(inputs), atol=1e-5)


def test_an_end_of_text_between_documents_is_no_label_if_so_asked(inputs, server, tmp_path):
    """As published, because it is the padding token too. It opens documents; spelled inside one it is plain text."""
    out = tmp_path / "out"
    assert server.run(configure(tmp_path / "c.yaml", inputs, unlabelled="eos"), out) == 0, log(out).read_text()
    np.testing.assert_allclose(metric(out, "loss"), plain_losses(inputs, BOS), atol=1e-5)


def test_canaries_may_be_evaluated_with_another_opening_and_at_a_distance(inputs, undisturbed, server, tmp_path):
    """Trained with BOS and scored without, as published for Gemma and Llama; the training itself is the same."""
    out = tmp_path / "out"
    changed = configure(tmp_path / "c.yaml", inputs, scoring_bos_policy="none", evaluate_every=5)
    assert server.run(changed, out) == 0, log(out).read_text()
    np.testing.assert_array_equal(metric(out, "loss"), metric(undisturbed, "loss"))
    steps = metric(out, "evaluation_step").tolist()
    assert steps == [*range(0, len(metric(out, "loss")), 5), len(metric(out, "loss"))]
    assert metric(out, "held_out_loss")[-1] == metric(undisturbed, "held_out_loss")[-1]
    assert metric(out, "auc")[-1] == pytest.approx(auc_without_bos(inputs, out))


def auc_without_bos(inputs: dict[str, str], folder: Path) -> float:
    """The loss attack's AUC under a saved model, one canary at a time."""
    import torch
    from sklearn.metrics import roc_auc_score
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    canaries = np.concatenate([hdf5.read(Path(inputs[name]), "tokens") for name in ("members", "non_members")])
    with torch.no_grad():
        losses = [row_loss(model, ids.astype(int).tolist()) for ids in canaries]
    return roc_auc_score([1] * 10 + [0] * 10, [-float(total) / count for total, count in losses])


def test_evaluation_is_recomputed_from_the_saved_model(inputs, undisturbed):
    for index, folder in [(0, inputs["model"]), (-1, undisturbed)]:
        area, held_out = evaluated(inputs, folder)
        assert metric(undisturbed, "auc")[index] == pytest.approx(area)
        assert metric(undisturbed, "held_out_loss")[index] == pytest.approx(held_out, abs=1e-5)
    steps = len(metric(undisturbed, "loss"))
    assert metric(undisturbed, "evaluation_step").tolist() == [0, steps // 2, steps]


@pytest.mark.parametrize("family", ["mamba", "rwkv"])
def test_a_recurrent_model_is_trained_as_by_a_plain_loop_and_saved_as_it_was_evaluated(
    family, inputs, server, tmp_path
):
    """Batches are padded on the right, where a recurrent state must not see it; the loop has one text at a time."""
    import torch
    from transformers import AutoTokenizer, MambaConfig, MambaForCausalLM, RwkvConfig, RwkvForCausalLM

    sizes = {"vocab_size": 400, "hidden_size": 32, "num_hidden_layers": 2, "bos_token_id": 0, "eos_token_id": 0}
    torch.manual_seed(0)
    model = {
        "mamba": lambda: MambaForCausalLM(MambaConfig(**sizes, state_size=4)),
        "rwkv": lambda: RwkvForCausalLM(RwkvConfig(**sizes, context_length=256, rescale_every=1)),
    }[family]()
    model.save_pretrained(tmp_path / "model")
    AutoTokenizer.from_pretrained(inputs["model"]).save_pretrained(tmp_path / "model")
    mine, out = {**inputs, "model": str(tmp_path / "model")}, tmp_path / "out"
    config = configure(tmp_path / "c.yaml", mine, weight_decay=0, deepspeed="zero0")
    assert server.run(config, out) == 0, log(out).read_text()
    np.testing.assert_allclose(metric(out, "loss"), plain_losses(mine, weight_decay=0), rtol=1e-4)
    area, held_out = evaluated(mine, out)
    assert metric(out, "auc")[-1] == pytest.approx(area)
    assert metric(out, "held_out_loss")[-1] == pytest.approx(held_out, abs=1e-4)


@pytest.mark.parametrize("stage", sorted(file.stem for file in (ROOT / "env" / "deepspeed").glob("*.json")))
def test_every_zero_configuration_gives_the_same_losses_and_weights(stage, inputs, undisturbed, server, tmp_path):
    """With the loss by blocks of 25 positions, for which stage 3 gathers the output matrix again each time."""
    from safetensors.torch import load_file

    recompute = stage == "zero2"  # once, that recomputed activations change nothing
    changes = {"deepspeed": stage, "micro_batch": 4, "gradient_checkpointing": recompute, "save_dtype": "bfloat16"}
    out = tmp_path / "out"
    config = configure(tmp_path / "c.yaml", inputs, **changes)
    assert server.run(config, out, block_values=25 * 400) == 0, log(out).read_text()
    assert "fp32, TF32 off; adamw_torch; the loss by blocks of 25 positions" in log(out).read_text()
    for name in ("loss", "held_out_loss", "auc"):
        np.testing.assert_allclose(metric(out, name), metric(undisturbed, name), atol=1e-5, err_msg=name)
    expected, found = load_file(undisturbed / "model.safetensors"), load_file(out / "model.safetensors")
    assert set(found) == set(expected)
    for name, weights in found.items():
        assert str(weights.dtype) == "torch.bfloat16"
        np.testing.assert_allclose(weights.float(), expected[name], rtol=2**-8, atol=1e-4, err_msg=name)


def test_killed_and_resumed_equals_undisturbed(inputs, undisturbed, server, tmp_path):
    """With dropout, so that the random state must be restored as well."""
    inputs = {**inputs, "model": str(with_dropout(Path(inputs["model"]), tmp_path / "model"))}
    config, out, whole = (
        configure(tmp_path / "c.yaml", inputs, checkpoint_steps=2),
        tmp_path / "out",
        tmp_path / "whole",
    )
    assert server.run(config, whole) == 0, log(whole).read_text()
    kill_after_step(6, server, config, out)
    assert not (out / places.METRICS).exists()
    assert server.run(config, out) == 0, log(out).read_text()
    assert "not resumed from" not in log(out).read_text()
    assert log(out).read_text().count("step 0/") == 1
    assert re.search(r"(\d+) of \1 steps \(100 %\),.* loss \d+\.\d+, after ", log(out).read_text())
    assert not (out / places.PROGRESS).exists()
    for name in (places.METRICS, "model.safetensors"):
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name
    assert not (out / places.CHECKPOINTS).exists()
    assert not np.allclose(metric(out, "loss"), metric(undisturbed, "loss"), atol=1e-3)


def with_dropout(model: Path, copy: Path) -> Path:
    shutil.copytree(model, copy)
    settings = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**settings, "hidden_dropout": 0.1}))
    return copy


def kill_after_step(step: int, server: Server, config: Path, out: Path) -> None:
    pid = server.start(config, out)
    marker = out / places.CHECKPOINTS / f"checkpoint-{step}" / checkpoints.MARKER
    deadline = time.monotonic() + 600
    while not marker.exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    assert marker.exists(), log(out).read_text()
    os.kill(pid, signal.SIGKILL)
    assert server.wait() == -signal.SIGKILL


def test_two_ranks_give_the_losses_of_one(inputs, undisturbed, tmp_path):
    config, out = configure(tmp_path / "c.yaml", inputs, deepspeed="zero2"), tmp_path / "out"
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run(
        [sys.executable, *launcher, "-m", "jobs", "finetune", *arguments(config, out)],
        cwd=ROOT, env=environment(), check=True, timeout=900,
    )  # fmt: skip
    same_course(out, undisturbed)


@pytest.mark.parametrize("stage", ["zero2", "zero3"])
def test_four_ranks_give_the_losses_of_one_whatever_they_divide(stage, inputs, undisturbed, server, tmp_path):
    config, out = configure(tmp_path / "c.yaml", inputs, deepspeed=stage), tmp_path / "out"
    assert server.run(config, out, ranks=4) == 0, log(out).read_text()
    same_course(out, undisturbed)


def test_a_checkpoint_of_another_number_of_ranks_is_named_and_the_training_begins_again(
    inputs, undisturbed, server, tmp_path
):
    """Its parts are those of as many ranks; what comes out is right all the same."""
    config, out = configure(tmp_path / "c.yaml", inputs, deepspeed="zero3", checkpoint_steps=2), tmp_path / "out"
    kill_after_step(2, server, config, out)
    assert server.run(config, out, ranks=2) == 0, log(out).read_text()
    assert "not resumed from: made with another number of ranks (1, now 2)" in log(out).read_text()
    same_course(out, undisturbed)


def same_course(out: Path, undisturbed: Path) -> None:
    """All that was measured is equal but for the order of sums: a few steps of float32 at a loss of 6."""
    for name in ("loss", "held_out_loss", "auc", "learning_rate"):
        np.testing.assert_allclose(metric(out, name), metric(undisturbed, name), rtol=5e-7, atol=5e-7, err_msg=name)


def test_bf16_updates_of_fp32_master_weights_are_kept(inputs, server, tmp_path):
    """At 2e-5 all steps together are below half the spacing of bf16 numbers at 1: bf16 weights would not move."""
    from safetensors.torch import load_file

    config, out = configure(tmp_path / "c.yaml", inputs, precision="bf16", learning_rate=2e-5), tmp_path / "out"
    assert server.run(config, out) == 0, log(out).read_text()
    name = "gpt_neox.layers.0.post_attention_layernorm.weight"
    before, after = (load_file(Path(folder) / "model.safetensors")[name] for folder in (inputs["model"], out))
    moved = (after - before).abs()
    assert (before == 1).all()
    assert moved.min() > 1e-6
    assert moved.max() <= 2e-5 * len(metric(out, "loss"))
    assert (after.bfloat16() == 1).all()


def test_a_failing_metric_stops_the_run(inputs, server, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(inputs["model"])
    model.get_output_embeddings().weight.data[7] = torch.nan
    model.save_pretrained(tmp_path / "model")
    AutoTokenizer.from_pretrained(inputs["model"]).save_pretrained(tmp_path / "model")
    config = configure(tmp_path / "c.yaml", {**inputs, "model": str(tmp_path / "model")})
    assert server.run(config, tmp_path / "out") == 1
    assert "evaluation: the loss of row 0 is not finite" in log(tmp_path / "out").read_text()
    assert not (tmp_path / "out" / places.DONE).exists()


def test_a_loss_that_is_not_finite_names_its_step(inputs, server, tmp_path):
    config = configure(tmp_path / "c.yaml", inputs, learning_rate=1e30)
    assert server.run(config, tmp_path / "out") == 1
    assert "error: step 2: the loss is nan" in log(tmp_path / "out").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"context": 512}, "context is 512, but the model has 256 positions"),
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        ({"deepspeed": "zero4"}, "did you mean"),
        ({"deepspeed": "zero0", "precision": "bf16"}, "use zero1"),
    ],
)
def test_bad_settings_are_named(changes, message, inputs, server, tmp_path):
    assert server.run(configure(tmp_path / "c.yaml", inputs, **changes), tmp_path / "out") != 0
    assert message in log(tmp_path / "out").read_text()


@pytest.mark.parametrize(
    ("texts", "message"), [([], "no documents to train on"), (["river stone", ""], "document 1 has 0 tokens")]
)
def test_bad_documents_are_named(texts, message, inputs, server, tmp_path):
    write_texts(tmp_path / places.INJECTED, "text", texts)
    config = configure(tmp_path / "c.yaml", {**inputs, "injected": str(tmp_path)})
    assert server.run(config, tmp_path / "out") == 1
    assert message in log(tmp_path / "out").read_text()
    assert str(tmp_path / places.INJECTED) in log(tmp_path / "out").read_text()


def test_canaries_of_another_tokenizer_are_named(inputs, server, tmp_path):
    with hdf5.create(tmp_path / "members.h5") as file:
        hdf5.write(file, "tokens", np.full((2, 20), 401, dtype="<u4"))
    config = configure(tmp_path / "c.yaml", {**inputs, "members": str(tmp_path / "members.h5")})
    assert server.run(config, tmp_path / "out") == 1
    assert "members.h5: row 0: id 401 is outside the 400 ids of the target" in log(tmp_path / "out").read_text()


def test_deepspeed_settings_of_ones_own_are_costed_as_they_are_and_unknown_ones_named(tmp_path, monkeypatch) -> None:
    """A file of env/deepspeed/ may have any name; what counts is what it says."""

    def memory(name: str) -> float:
        settings = ["models=[gptneo1B]", "seeds=[1]", "copies=[1]", "replaced=[]"]
        document = documents.read("near_dupls", "paper", [*settings, f"nodes.finetuned.config.deepspeed={name}"])
        plan = expansion.expand(document, "paper")
        (found,) = (plan.costs[digest] for digest, task in plan.tasks.items() if task.stage == "finetune")
        return found.gpu_gb

    for file in finetune.DEEPSPEED.glob("*.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "mine.json").write_bytes((tmp_path / "zero2_offload.json").read_bytes())
    monkeypatch.setattr(finetune, "DEEPSPEED", tmp_path)
    assert memory("mine") == memory("zero2_offload") < memory("zero2")
    with pytest.raises(UsageError, match=r"deepspeed: there is no .*zero4\.json; did you mean"):
        memory("zero4")


def test_activations_are_computed_again_only_where_they_do_not_fit() -> None:
    """`auto` is `false` on a card of 80 GB and `true` on one of 40, in a plan and when it runs."""

    def cost(recompute: str, card: str) -> tuple[float, float]:
        settings = ["seeds=[1]", "copies=[1]", "replaced=[]"]
        settings.append(f"nodes.finetuned.config.gradient_checkpointing={recompute}")
        plan = expansion.expand(documents.read("near_dupls", "paper", settings), "paper", None, devices.DEVICES[card])
        (found,) = (digest for digest, task in plan.tasks.items() if task.stage == "finetune")
        return plan.costs[found].gpu_gb, plan.tasks[found].resources.expected_hours

    assert cost("auto", "A100-80GB") == cost("false", "A100-80GB")
    assert cost("auto", "A100-40GB") == cost("true", "A100-40GB") < cost("false", "A100-40GB")
    neo = Model(parameters=1.3156e9, layers=24, width=2048, vocabulary=50257)
    config = finetune.Config(1, 1e-5, 2048, 2, micro_batch=2, deepspeed="zero2", gradient_checkpointing="auto")
    for memory, recompute in [(None, False), (84e9, False), (42e9, True)]:
        assert finetune.decided(config, neo, memory, 1).gradient_checkpointing is recompute
