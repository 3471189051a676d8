"""The container of a cluster file: refused with a sentence, shown in scripts, the same for a runner."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from lib.base.errors import TesseraError, UsageError
from lib.base.places import ROOT
from lib.plans.resources import Resources
from lib.running import batch, container, environment, site
from lib.running.container import Container
from lib.running.site import Cluster

DEFINITION = ROOT / "env" / "apptainer" / "tessera.def"


def written(folder: Path, text: str) -> Path:
    file = folder / "there.yaml"
    file.write_text(f"container: {text}\n")
    return file


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{image: tessera.sif}", "image is 'tessera.sif'; it must be a path from / on"),
        ("{image: /i.sif, binds: [data]}", "binds: 'data' must be /SOURCE or /SOURCE:/TARGET"),
        ("{image: /i.sif, binds: ['/a,/b']}", "one folder an entry"),
        ("{image: /i.sif, program: docker}", "program is 'docker'; it must be apptainer or singularity"),
        ("{image: /i.sif, nvidia: true}", "unknown key 'nvidia'"),
        ("{image: /i.sif, nv: 'yes'}", "nv"),
        ("{binds: [/data]}", "missing key 'image'"),
        ("/i.sif", " is '/i.sif'; it must be Container or null"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=rf"there.yaml.*container.*{re.escape(words)}"):
        site.read(written(tmp_path, text))


def test_a_job_carries_it_and_its_runner_reads_it(tmp_path: Path, monkeypatch) -> None:
    cluster = site.read(written(tmp_path, "{image: /images/my tessera.sif, binds: ['/data:/mnt:ro'], nv: false}"))
    (line,) = (one for one in batch.setup_lines(cluster, "/s") if container.VARIABLE in one)
    answer = subprocess.run(["bash", "-c", f"{line}; env -0"], capture_output=True, text=True, check=True)
    value = dict(entry.split("=", 1) for entry in answer.stdout.split("\0") if entry)[container.VARIABLE]
    monkeypatch.setenv(container.VARIABLE, value)
    assert container.of_job() == cluster.container
    assert not environment.passes(container.VARIABLE)  # of an enclosing job
    monkeypatch.delenv(container.VARIABLE)
    assert container.of_job() is None
    assert not any(container.VARIABLE in one for one in batch.setup_lines(Cluster("c"), "/s"))


def test_folders_are_shown_once_and_under_their_own_names(tmp_path: Path, monkeypatch) -> None:
    for name in container.FOLDERS:
        monkeypatch.setenv(name, str(tmp_path))
    found = container.entrance(Container("/i.sif", nv=False), Resources(gpus=1), tmp_path)
    assert found == ["apptainer", "exec", f"--bind={tmp_path}", "/i.sif"]
    assert container.entrance(None, Resources(), tmp_path) == []
    with pytest.raises(TesseraError, match="a comma or a colon"):
        container.entrance(Container("/i.sif"), Resources(), Path("/out,puts"))


def test_the_image_is_made_from_the_pins_by_make_env_and_knows_their_digest() -> None:
    """Oracle: the line of env/make_env that computes the digest, run by bash."""
    text = DEFINITION.read_text()
    (pinned,) = re.findall(r"^pinned=\$\((.*)\)$", (ROOT / "env/make_env").read_text(), flags=re.MULTILINE)
    answer = subprocess.run(["bash", "-c", pinned], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.split()[0] == container.pins()
    copied = re.findall(r"^    (env/\S+) /opt/tessera/(\S+)$", text, flags=re.MULTILINE)
    assert all(source == target and (ROOT / source).is_file() for source, target in copied)
    needed = {*re.findall(r"env/[\w.]+\.txt", pinned), "env/make_env"}
    assert {source for source, _ in copied} == needed
    assert str(container.ENVIRONMENT) in text
    assert not re.search(r"TOKEN|PASSWORD|SECRET", text)
    assert os.access(ROOT / "env" / "apptainer" / "build", os.X_OK)


def test_build_uses_what_is_there_and_leaves_no_half_image(tmp_path: Path) -> None:
    build, image = ROOT / "env" / "apptainer" / "build", tmp_path / "tessera.sif"
    for folder, script in (
        ("none", None),
        ("works", 'echo whole > "${@: -2:1}"'),
        ("fails", 'echo half > "${@: -2:1}"; exit 3'),
    ):
        path = tmp_path / folder
        path.mkdir()
        for name in ("bash", "dirname", "id", "mv", "rm", "realpath"):
            (path / name).symlink_to(f"/usr/bin/{name}")
        if script:
            (path / "singularity").write_text(f"#!/bin/bash\n{script}\n")
            (path / "singularity").chmod(0o755)
        line = ["/bin/bash", str(build), str(image)]
        answer = subprocess.run(line, env={"PATH": str(path)}, capture_output=True, text=True)
        assert answer.returncode == {"none": 2, "works": 0, "fails": 3}[folder], answer.stderr
        assert "neither apptainer nor singularity" in answer.stderr or script
    assert image.read_text() == "whole\n"
    assert not list(tmp_path.glob("*.partial*"))
