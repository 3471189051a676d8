"""What doctor says of GPUs and of the container, from what torch, the driver and the image say."""

from dataclasses import replace
from pathlib import Path

import pytest

from lib.base.errors import TesseraError
from lib.launcher import doctor_gpu
from lib.plans import documents, expansion
from lib.plans.plan import Plan
from lib.running import container, gpus
from lib.running.container import Container
from lib.running.site import Cluster
from tests.support import toys

A100 = {"name": "A100", "capability": [8, 0]}
BUILT = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"]
FOUND = {
    "torch": "2.13.0", "cuda": "13.0", "devices": [A100, A100], "architectures": BUILT, "trouble": "",
    "packages": {"triton": "", "mamba_ssm": "", "causal_conv1d": ""},
}  # fmt: skip
NOTHING = {**FOUND, "devices": [], "architectures": [], "trouble": "The NVIDIA driver on your system is too old"}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return expansion.expand(documents.read("near_dupls", "paper", ["seeds=[1]"]), "paper")


def said(monkeypatch, found: dict, drivers: tuple[str, ...], plan: Plan | None = None, site=None) -> dict[str, str]:
    monkeypatch.setattr(doctor_gpu, "look", lambda: found)
    monkeypatch.setattr(gpus, "drivers", lambda: drivers)
    return {finding.what: finding.level for finding in doctor_gpu.of_sweep(plan, site)}


def test_driver_and_cards_that_fit_are_fine(monkeypatch) -> None:
    found = said(monkeypatch, FOUND, ("580.65.06",) * 2)
    assert set(found.values()) == {"ok"}
    assert list(found)[:2] == ["NVIDIA driver 580.65.06, torch 2.13.0 for CUDA 13.0", "GPU: 2 x A100"]


@pytest.mark.parametrize(("driver", "cuda", "level"), [
    ("575.57", "13.0", "fail"), ("580.65", "13.0", "ok"), ("535.54", "12.8", "ok"), ("520.61", "12.1", "fail"),
])  # fmt: skip
def test_the_driver_is_held_against_the_cuda_of_the_wheel(monkeypatch, driver, cuda, level) -> None:
    found = said(monkeypatch, {**FOUND, "cuda": cuda}, (driver,))
    (what,) = (what for what in found if what.startswith("NVIDIA driver"))
    assert found[what] == level


def test_a_task_that_asks_for_more_gpus_than_there_are_is_named(monkeypatch, plan: Plan) -> None:
    monkeypatch.setenv(gpus.VISIBLE, "1")
    digest, task = next((digest, task) for digest, task in plan.tasks.items() if task.resources.gpus)
    large = replace(plan, tasks={**plan.tasks, digest: replace(task, resources=replace(task.resources, gpus=2))})
    for asking, failures in (
        (plan, []),
        (large, [f"node {task.node}: resources: gpus 2 is more than this machine has"]),
    ):
        found = said(monkeypatch, FOUND, ("580.1",) * 2, asking)
        assert [what[: len(failures[0])] for what, level in found.items() if level == "fail"] == failures


def test_torch_without_a_gpu_beside_a_driver_says_why(monkeypatch) -> None:
    found = said(monkeypatch, NOTHING, ("535.54",))
    assert found["torch sees no GPU: The NVIDIA driver on your system is too old"] == "fail"


def test_a_kernel_of_another_torch_is_no_kernel(monkeypatch) -> None:
    broken = {"triton": "", "mamba_ssm": "ImportError: undefined symbol: _ZN3c10", "causal_conv1d": ""}
    found = said(monkeypatch, {**FOUND, "packages": broken}, ("580.1",))
    assert found["mamba_ssm is installed, but cannot be imported: ImportError: undefined symbol: _ZN3c10"] == "warn"


def test_without_a_gpu_it_depends_on_who_needs_one(monkeypatch, plan: Plan) -> None:
    assert said(monkeypatch, NOTHING, ()) == {"GPU: none here": "ok"}
    assert said(monkeypatch, NOTHING, (), plan) == {"GPU: none here, but tasks need one": "fail"}
    ((what, level),) = said(
        monkeypatch, NOTHING, (), plan, Cluster("c", gpu_partition="a100", gres="gpu:{gpus}")
    ).items()
    assert level == "ok"
    assert "this is not a GPU node" in what
    assert "srun --partition=a100 --gres=gpu:1 --cpus-per-task=2" in what


def test_a_gpu_task_needs_more_than_the_cpu_build_of_torch_unless_it_has_an_image(monkeypatch, plan: Plan) -> None:
    without = {**NOTHING, "cuda": None}
    what = "torch 2.13.0 is a CPU build, but tasks need GPUs"
    assert said(monkeypatch, without, (), plan, Cluster("c"))[what] == "fail"
    assert what not in said(monkeypatch, without, (), plan, Cluster("c", container=Container("/i.sif")))
    assert what not in said(monkeypatch, without, ())


@pytest.mark.parametrize(("capability", "good"), [
    # "cubins run on the same major version and a later minor one, PTX on all later ones" (CUDA C++ Programming Guide)
    ((7, 0), False), ((7, 5), True), ((8, 0), True), ((8, 9), True), ((9, 0), True), ((10, 3), True), ((12, 1), True),
    ((13, 0), True), ((11, 0), False),
])  # fmt: skip
def test_code_runs_where_cuda_says_it_does(capability, good) -> None:
    assert doctor_gpu.runs(capability, BUILT) == good
    assert doctor_gpu.runs((9, 0), ["sm_90a"])
    assert not doctor_gpu.runs((10, 0), ["sm_90a"])
    assert doctor_gpu.runs((9, 0), ["gfx942"])


def test_torch_is_asked_in_a_process_of_its_own(tmp_path: Path, monkeypatch) -> None:
    script = tmp_path / "python"
    script.write_text('#!/bin/sh\necho "$@" > "$0.asked"; echo "a banner"; echo \'{"torch": "2"}\'\n')
    script.chmod(0o755)
    monkeypatch.setattr(doctor_gpu.sys, "executable", str(script))
    assert doctor_gpu.look() == {"torch": "2"}
    assert (tmp_path / "python.asked").read_text() == "-m lib.base.gpus mamba_ssm causal_conv1d triton\n"
    script.write_text("#!/bin/sh\necho 'ImportError: libcudart.so.13' >&2; exit 1\n")
    with pytest.raises(TesseraError, match=r"libcudart\.so\.13"):
        doctor_gpu.look()
    script.write_text("#!/bin/sh\necho Goodbye.\n")
    with pytest.raises(TesseraError, match=r"cannot be asked for GPUs: Goodbye\."):
        doctor_gpu.look()


def test_the_image_must_be_there_and_hold_the_pins_of_this_code(tmp_path: Path, monkeypatch) -> None:
    image = tmp_path / "tessera.sif"
    site = Cluster("c", container=Container(str(image)))

    def found() -> tuple[str, str]:
        (finding,) = doctor_gpu.container(site)
        return finding.level, finding.what

    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert found() == ("fail", "container: apptainer is not found")
    monkeypatch.setenv("PATH", f"{toys.FAKES}:/usr/bin:/bin")
    assert found() == ("fail", f"container: there is no {image}")
    image.write_text(f"{container.pins()}  -\ncuda\n")
    assert found() == ("ok", f"container: {image} holds the pinned requirements")
    image.write_text(f"{'0' * 64}  -\ncuda\n")
    assert found() == ("fail", f"container: {image} holds other packages than the pinned requirements")
    assert list(doctor_gpu.container(Cluster("c"))) == list(doctor_gpu.container(None)) == []
