"""Operations and bytes against published figures, and against what was worked out by hand for real cards."""

import math

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
    small = Model(parameters=100, layers=3, width=8, vocabulary=7, kv_width=8)
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
    ("repo", "zero", "step", "gradients", "loss"),
    [
        ("EleutherAI/gpt-neo-1.3B", 1, 29, 31, 4.6),
        ("EleutherAI/gpt-neo-1.3B", 2, 27, 28, 4.6),
        ("meta-llama/Llama-3.2-1B", 1, 28, 36, 11.7),
        ("meta-llama/Llama-3.2-1B", 2, 25, 34, 11.7),
        ("google/gemma-2b", 1, 56, 72, 23.4),
        ("google/gemma-2b", 2, 51, 68, 23.4),
        ("microsoft/phi-2", 1, 62, 59, 4.7),
        ("microsoft/phi-2", 2, 57, 54, 4.7),
    ],
)
def test_memory_of_training_is_that_worked_out_from_the_packages_code(repo, zero, step, gradients, loss) -> None:
    """In GiB: four sequences of 2,048 tokens in bf16, activations recomputed, one GPU; from a reading of DeepSpeed.

    loss: what of it is for all logits at once; by blocks that is three times those of a block, in fp32.
    """
    model = size(repo)
    state = costs.training_state(model, "bf16", zero)
    assert state.step / GIB == pytest.approx(step, rel=0.1)
    whole, blocks = (costs.training_memory(model, 4, 2048, "bf16", True, logits) for logits in (math.inf, 1 << 26))
    assert (state.gpu + whole) / GIB == pytest.approx(gradients, rel=0.1)
    assert (state.gpu + blocks) / GIB == pytest.approx(gradients - loss + 0.75, rel=0.1)


def test_activations_that_are_kept_by_hand_and_the_head_once_more() -> None:
    """34 bytes a layer, token and number of width in 16 bits (Korthikanti et al. 2022); recomputed, one layer of it."""
    model = Model(parameters=100, layers=3, width=8, vocabulary=7)
    kept, again = (costs.training_memory(model, 2, 5, "bf16", recompute) for recompute in (False, True))
    assert kept - again == 2 * 34 * 5 * 8 * 2 - 2 * 5 * 8 * 2 * 3
    assert costs.head_again(model, 10, "bf16").flops == 2 * 7 * 8 * 10


def test_keys_and_values_by_hand() -> None:
    """Two numbers of two bytes for each layer, width, token and row: 22.6 GiB for Pythia 2.8B, 64 rows, 1,156 ids."""
    model = size("EleutherAI/pythia-2.8b")
    grown = costs.continuing_memory(model, 64, 1156, "bf16") - costs._layer(model, 64, 1156, "bf16")
    kept = grown - costs.weights(model, "bf16") - costs.LOGITS - costs.WORKSPACE
    assert kept == 2 * 2 * 32 * 2560 * 1156 * 64
    assert kept / GIB == pytest.approx(22.6, abs=0.05)


def test_continuing_reads_weights_once_a_step_and_starts_every_layer() -> None:
    model = Model(parameters=1000, layers=3, width=8, vocabulary=7, kv_width=8)
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
