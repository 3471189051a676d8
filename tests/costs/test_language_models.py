"""Operations and bytes against published figures, and against what was worked out by hand for real cards."""

import pytest

from lib.base import yamls
from lib.base.places import SWEEPS
from lib.costs import devices
from lib.costs import language_models as costs
from lib.costs.facts import Model

GIB = 1 << 30
SIZES = yamls.read(SWEEPS / "common" / "models.yaml")["vars"]["model_sizes"]


def size(repo: str) -> Model:
    return Model(**SIZES[repo])


def flops(phases) -> float:
    return sum(phase.flops for phase in phases)


def test_gpt_3_took_the_published_operations() -> None:
    """3.14e23 (Brown et al. 2020, table D.1, without attention), from 174.6e9 weights and 300e9 tokens."""
    gpt3 = Model(parameters=174.6e9, layers=96, width=12288, vocabulary=50257)
    assert flops(costs.training(gpt3, 300e9, 2048, "bf16", recompute=False)) == pytest.approx(3.14e23, rel=2e-3)


def test_a_pass_forward_by_hand() -> None:
    """2 operations a weight and token; 4 x 3 layers x 8 width x 5 tokens of attention."""
    small = Model(parameters=100, layers=3, width=8, vocabulary=7, heads=2, kv_width=8)
    assert flops(costs.reading(small, tokens=10, length=5, precision="fp32")) == 10 * (200 + 4 * 3 * 8 * 5)
    assert flops(costs.training(small, 10, 5, "fp32", recompute=True)) == 4 * 10 * (200 + 4 * 3 * 8 * 5)


def test_a_recurrent_model_has_no_pairs_and_a_state_of_fixed_size() -> None:
    mamba = Model(parameters=100, layers=3, width=8, vocabulary=7, state_width=320)
    assert flops(costs.reading(mamba, 10, 5, "fp32")) == 10 * 200
    memory = [costs.continuing_memory(mamba, 1, length, "fp32") for length in (1, 2)]
    assert memory[1] - memory[0] == costs.ACTIVATIONS * 8 * 2  # one more token of activations, nothing kept


def test_rows_are_as_many_as_a_gpu_has_room_for() -> None:
    model = size("EleutherAI/pythia-2.8b")
    rows = costs.together("auto", model, 406, "fp32")
    assert (costs.together(32, model, 406, "fp32"), costs.together("auto", model, 1, "bf16")) == (32, costs.MOST_ROWS)
    memory = devices.DEVICES[devices.DEFAULT].memory
    used = [costs.continuing_memory(model, more, 406, "fp32") for more in (rows, rows + 1)]
    assert used[0] <= costs.AUTO_SHARE * memory < used[1]


def test_optimiser_reads_and_writes_28_bytes_a_weight() -> None:
    assert costs.optimiser_steps(Model(10, 1, 1, 1), 3).moved == 28 * 10 * 3


@pytest.mark.parametrize(
    ("repo", "zero", "step", "gradients"),
    [
        ("EleutherAI/gpt-neo-1.3B", 1, 29, 36),
        ("EleutherAI/gpt-neo-1.3B", 2, 27, 33),
        ("meta-llama/Llama-3.2-1B", 1, 28, 36),
        ("meta-llama/Llama-3.2-1B", 2, 25, 34),
        ("google/gemma-2b", 1, 56, 72),
        ("google/gemma-2b", 2, 51, 68),
        ("microsoft/phi-2", 1, 62, 59),
        ("microsoft/phi-2", 2, 57, 54),
    ],
)
def test_memory_of_training_is_that_worked_out_from_the_packages_code(repo, zero, step, gradients) -> None:
    """In GiB: four sequences of 2,048 tokens in bf16, activations recomputed, one GPU; from a reading of DeepSpeed."""
    model = size(repo)
    state = costs.training_state(model, "bf16", zero)
    assert state.step / GIB == pytest.approx(step, rel=0.1)
    memory = state.gpu + costs.training_memory(model, 4, 2048, "bf16", recompute=True)
    assert memory / GIB == pytest.approx(gradients, rel=0.1)


def test_keys_and_values_by_hand() -> None:
    """Two numbers of two bytes for each layer, width, token and row: 22.6 GiB for Pythia 2.8B, 64 rows, 1,156 ids."""
    model = size("EleutherAI/pythia-2.8b")
    grown = costs.continuing_memory(model, 64, 1156, "bf16") - costs._layer(model, 64, 1156, "bf16")
    kept = grown - costs.weights(model, "bf16") - costs.LOGITS - costs.WORKSPACE
    assert kept == 2 * 2 * 32 * 2560 * 1156 * 64
    assert kept / GIB == pytest.approx(22.6, abs=0.05)


def test_continuing_reads_weights_once_a_step_and_starts_every_layer() -> None:
    model = Model(parameters=1000, layers=3, width=8, vocabulary=7, heads=2, kv_width=8)
    *_, step = costs.continuing(model, texts=10, rows=4, prompt=6, made=5, precision="bf16")
    steps = 5 * 3  # three batches
    assert step.moved == steps * (2000 + 4 * 3 * 2 * 8 * (6 + 2.5) * 2)
    assert step.starts == steps * 3


@pytest.mark.parametrize(
    ("precision", "zero", "checkpoint", "gpu"),
    [("fp32", 0, 12, 16), ("fp32", 2, 16, 20), ("bf16", 2, 14, 18)],
)
def test_states_of_adamw_in_bytes_a_weight(precision: str, zero: int, checkpoint: int, gpu: int) -> None:
    state = costs.training_state(Model(1, 1, 1, 1), precision, zero)
    assert (state.checkpoint, state.gpu) == (checkpoint, gpu)


def test_offload_moves_the_states_to_ram() -> None:
    state = costs.training_state(Model(1, 1, 1, 1), "bf16", 2, offload=True)
    assert (state.gpu, state.ram, state.spread) == (2, 16, 0)
