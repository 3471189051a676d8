"""When a training evaluates and checkpoints, by steps and by the clock."""

from types import SimpleNamespace

import pytest

from lib.training.callbacks import Cadence
from lib.training.sequences import Recipe

SECONDS_A_STEP = 40


@pytest.mark.parametrize(
    ("cadence", "saved"),
    [
        ({}, []),
        ({"checkpoint_steps": 4}, [4, 8]),
        ({"checkpoint_minutes": 2}, [3, 6, 9]),  # 120 seconds since the last one
        ({"checkpoint_minutes": 1.5}, [3, 6, 9]),
        ({"checkpoint_steps": 5, "checkpoint_minutes": 2}, [3, 5, 8, 10]),
    ],
)
def test_checkpoints_come_by_steps_and_minutes_but_not_after_the_last_step(cadence, saved, tmp_path, monkeypatch):
    monkeypatch.setattr("lib.training.torch_ranks.barrier", lambda: None)
    now = [1000.0]
    callback = Cadence([0, 7, 11], Recipe(1, 1e-3, 64, 4, **cadence), tmp_path, {}, clock=lambda: now[0])
    control, found, evaluated = SimpleNamespace(), [], []
    for step in range(1, 12):
        now[0] += SECONDS_A_STEP
        state = SimpleNamespace(global_step=step, max_steps=11)
        callback.on_step_end(None, state, control)
        evaluated += [step] if control.should_evaluate else []
        if control.should_save:
            (tmp_path / f"checkpoint-{step}").mkdir()
            callback.on_save(None, state, control)
            found.append(step)
    assert (found, evaluated) == (saved, [7, 11])
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == [f"checkpoint-{step}" for step in saved[-1:]]
