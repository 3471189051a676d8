"""Hours from operations and bytes, for the cards in the table."""

import pytest

from lib.base.errors import UsageError
from lib.costs import devices
from lib.costs.work import Phase, Work

A100 = devices.find("A100-80GB", "")


def test_the_card_without_a_name_is_that_of_the_published_study() -> None:
    assert devices.find(None, "") == A100
    with pytest.raises(UsageError, match=r"site: no GPU 'A100-80' in .*did you mean 'A100-80GB'"):
        devices.find("A100-80", "site")


@pytest.mark.parametrize(
    ("phase", "seconds"),
    [
        (Phase(flops=19.5e12), 1 / 0.6),
        (Phase(flops=312e12, precision="bf16"), 1 / 0.35),
        (Phase(moved=2.039e12), 1 / 0.8),
        (Phase(flops=19.5e12, moved=2.039e12), 1 / 0.6),  # the longer one counts
        (Phase(starts=1000), 0.35),
        (Phase(starts=1000, recurrent=True), 0.65),
    ],
)
def test_a_phase_takes_what_bounds_it_most(phase: Phase, seconds: float) -> None:
    assert devices.seconds(Work((phase,)), A100) == pytest.approx(devices.START_SECONDS + seconds)


def test_phases_add_up_weights_are_loaded_and_gpus_share_the_phases() -> None:
    work = Work((Phase(flops=19.5e12), Phase(moved=2.039e12)), loaded=5e9)
    start = devices.START_SECONDS + 5
    assert devices.seconds(work, A100) == pytest.approx(start + 1 / 0.6 + 1 / 0.8)
    assert devices.seconds(work, A100, gpus=2) == pytest.approx(start + (1 / 0.6 + 1 / 0.8) / 2)


def test_memory_on_one_of_several_gpus() -> None:
    assert devices.gpu_bytes(Work(gpu=30, spread=20), 1) == 30
    assert devices.gpu_bytes(Work(gpu=30, spread=20), 4) == 15
    assert devices.ram_bytes(Work(loaded=10, ram=3), 2) == 2 * (devices.RAM_BASE + 20) + 3


def test_a_task_that_leaves_no_room_takes_its_way_with_less_memory() -> None:
    less = Work(gpu=20e9)
    for gpu, chosen in [(0.89, False), (0.91, True)]:
        work = Work(gpu=gpu * A100.memory, spread=gpu * A100.memory, otherwise=less)
        assert (devices.fitting(work, A100) is less) == chosen
        assert devices.fitting(work, A100, gpus=2) is work
    alone = Work(gpu=2 * A100.memory)
    assert devices.fitting(alone, A100) is alone


def test_gpus_that_take_turns_save_memory_and_no_time() -> None:
    work = Work((Phase(flops=19.5e12),), gpu=30, spread=20, loaded=10, in_turn=True)
    assert devices.seconds(work, A100, gpus=2) == devices.seconds(work, A100)
    assert devices.ram_bytes(work, 2) == devices.ram_bytes(work)
    assert devices.gpu_bytes(work, 2) == 20
