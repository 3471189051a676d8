"""The GPUs of a machine: which tasks may use them, and that no two tasks hold one."""

import itertools
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base.errors import UsageError
from lib.plans.plan import Plan, Task
from lib.plans.resources import Resources
from lib.plans.schedule import Room, startable
from lib.running import gpus, local


def task(number: int, **asked) -> Task:
    return Task(str(number), "stage", 1, "", "finetuned", {}, {}, Resources(**asked))


@pytest.mark.parametrize(
    ("visible", "there", "found"),
    [  # as CUDA's programming guide explains CUDA_VISIBLE_DEVICES
        (None, 3, "0 1 2"),
        (None, None, ""),
        ("2,0", 3, "2 0"),
        (" 1 , 2", 3, "1 2"),
        ("", 3, ""),
        ("-1", 3, ""),
        ("0,-1,1", 3, "0"),
        ("0,5,1", 3, "0"),
        ("0,5", None, "0 5"),  # without nvidia-smi the user is believed
        ("GPU-8932f937,MIG-5c89", 1, "GPU-8932f937 MIG-5c89"),
        ("1,1", 3, "1"),
        ("NoDevFiles", 3, ""),
    ],
)
def test_the_users_variable_is_read_as_cuda_does(visible: str | None, there: int | None, found: str) -> None:
    assert gpus.usable(visible, there) == tuple(found.split())


@pytest.mark.parametrize(("script", "count"), [("echo 535.54; echo 535.54", 2), ("exit 9", 0), (None, 0)])
def test_nvidia_smi_is_asked_once_and_may_be_absent(tmp_path, monkeypatch, script: str | None, count: int) -> None:
    if script:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\necho asked >> {tmp_path}/asked\n{script}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    gpus.drivers.cache_clear()
    try:
        assert len(gpus.here()) == count
        assert gpus.of([task(1)]) == ()  # no task asks for any
        assert len(gpus.of([task(1), task(2, gpus=1)])) == count
        gpus.check([task(1)])
        with pytest.raises(
            UsageError, match=rf"node finetuned: resources: gpus 4 is more than .*\({count}: nvidia-smi"
        ):
            gpus.check([task(1), task(2, gpus=4)])
        assert not script or (tmp_path / "asked").read_text() == "asked\n"
    finally:
        gpus.drivers.cache_clear()


@given(st.lists(st.integers(0, 3), max_size=8), st.integers(3, 5), st.integers(1, 40), st.data())
def test_no_two_tasks_hold_a_gpu_and_each_has_what_it_asked_for(asked, there, cores, data: st.DataObject) -> None:
    tasks = {str(n): task(n, gpus=count, expected_hours=n) for n, count in enumerate(asked)}
    plan = Plan("p", "laptop", "t", "none", tasks, [])
    state = SimpleNamespace(gpus=tuple(map(str, range(there))), held={})
    waiting = set(tasks)
    while waiting or state.held:
        running = [tasks[digest].resources for digest in state.held]
        for one in list(startable(plan, [tasks[d] for d in sorted(waiting)], running, Room(cores, 99.0, there))):
            state.held[one.digest] = local._free(state)[: one.resources.gpus]
            waiting.remove(one.digest)
            assert len(state.held[one.digest]) == one.resources.gpus
        names = list(itertools.chain(*state.held.values()))
        assert len(set(names)) == len(names)
        del state.held[data.draw(st.sampled_from(sorted(state.held)))]
