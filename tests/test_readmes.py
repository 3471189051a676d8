"""What the READMEs say: their examples run, their links lead somewhere, the files and commands that they name exist."""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lib.artifacts.stage import studies
from lib.base import yamls
from lib.base.places import ROOT
from lib.running import warm_process
from tests.support.corpora import write_chunk, write_suffix_array

PYTHON = ROOT / "lib" / "PYTHON.md"
READMES = sorted(file for file in ROOT.glob("**/README.md") if not file.relative_to(ROOT).parts[0].startswith("."))
PAGES = [*READMES, PYTHON]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NAMED_FILE = re.compile(r"`((?:jobs|lib|sweeps|env|tests)/[\w./-]*[\w/]|[\w./-]+/[\w.-]+\.(?:py|yaml|csv|md|json))`")
NAMED_COMMAND = re.compile(r"^\s*make ([a-z][\w-]*)", re.MULTILINE)
STAGE = re.compile(r"^python -m jobs (\w+) (--config .*?)\s*(?:#.*)?$")
WRITTEN_LATER = {
    "env/clusters/site.yaml",
    "outputs/hub.lock.json",
    "lib/attacks/median_loss.py",
    "lib/perturbations/drop.py",
    "sweeps/drops.yaml",
}
CHAIN_SECONDS = 280.0


def blocks(file: Path) -> Iterator[tuple[str, str]]:
    """(language, text) of every fenced block."""
    for match in BLOCK.finditer(file.read_text()):
        yield match[1], match[2]


def test_the_first_page_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 160


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_somewhere(file: Path) -> None:
    for target in LINK.findall(file.read_text()):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        page = (file.parent / path).resolve() if path else file
        assert page.exists(), target
        assert not anchor or anchor in _anchors(page), target


def _anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
def test_what_they_name_exists(file: Path) -> None:
    named = set(NAMED_FILE.findall(file.read_text())) - WRITTEN_LATER
    missing = sorted(name for name in named if not any((folder / name).exists() for folder in (ROOT, file.parent)))
    assert missing == []
    commands = {name for _, block in blocks(file) for name in NAMED_COMMAND.findall(block)}
    for name in sorted(commands - {"sweep-drops"}):
        done = subprocess.run(["make", "-n", name], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_every_stage_has_a_line_in_the_page_of_stages() -> None:
    text = (ROOT / "jobs" / "README.md").read_text()
    assert [name for name in studies() if f"`{name}`" not in text] == []


def test_examples_of_yaml_are_yaml() -> None:
    for file in READMES:
        for language, text in blocks(file):
            if language == "yaml":
                yamls.parse(text)


def test_the_examples_of_python_run_as_they_stand(tiny_causal_lm: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    """All blocks of lib/PYTHON.md in their order, with a small model where they name one; what they claim holds."""
    for name in ("model", "reference"):
        (tmp_path / name).symlink_to(tiny_causal_lm)
    monkeypatch.chdir(tmp_path)
    text = np.random.default_rng(0).integers(100, 50_000, 3000).tolist()
    chunk = write_chunk(tmp_path / "outputs/hand/tokens/chunk-00.h5", [text])  # as the examples of jobs/README.md do
    (tmp_path / "outputs/hand/suffixes").mkdir()
    write_suffix_array(tmp_path / "outputs/hand/suffixes/suffix_array.h5", chunk)
    names: list[dict] = [{}]
    for language, text in blocks(PYTHON):
        if language == "python":
            names.append(dict(names[-1]))
            exec(compile(text, str(PYTHON), "exec"), names[-1])
    of_tokens, of_texts, under_two, _, of_aucs, near, traced, continued = names[1:]
    assert of_tokens["roc"].auc(of_tokens["scores"]["loss"][:30], of_tokens["scores"]["loss"][30:]) > 0.8
    assert {"loss", "zlib", "lowercase", "min_k", "min_k_plus_plus"} <= set(of_texts["found"])
    assert [len(score) for score in of_texts["compared"].values()] == [2] * len(of_texts["found"])
    assert "ratio" in under_two["found"]
    assert of_aucs["found"].rho[1] == pytest.approx(0.50, abs=0.005)
    assert list(zip(*map(list, near["found"]))) == [(0, 0, 0, 0), (0, 1, 3, 2)]
    assert list(zip(*traced["found"])) == [(0, 50), (51, 49)]
    assert len(continued["found"]) == 2
    assert "5.47" in capsys.readouterr().out


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which a warm process runs stages: the libraries are imported once for the whole chain."""
    folder = tmp_path_factory.mktemp("hand")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"}
    with (
        warm_process.server(tmp_path_factory.mktemp("warm"), environment, str(folder)) as variable,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv(warm_process.VARIABLE, variable[warm_process.VARIABLE])
        while not Path(os.environ[warm_process.VARIABLE]).exists():
            time.sleep(0.05)
        yield folder


@pytest.mark.timeout(2 * CHAIN_SECONDS)
def test_stages_by_hand_run_as_they_stand(warm: Path) -> None:
    """The blocks of jobs/README.md in their order: YAML is written where its first line says, commands are run."""
    ran = []
    for language, text in blocks(ROOT / "jobs" / "README.md"):
        first = text.split("\n", 1)[0]
        if language == "yaml" and first.startswith("# outputs/hand/"):
            file = warm / first.removeprefix("# ")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        elif language == "bash" and "outputs/hand/" in text:
            ran += [_run(line, warm) for line in text.splitlines() if line and not line.startswith("export ")]
    assert len(ran) > 25
    assert len(ran) == len(list((warm / "outputs" / "hand").glob("*/DONE.json")))


def _run(line: str, folder: Path) -> str:
    """One command line: a stage in a fork of the warm process, anything else as a shell runs it."""
    if match := STAGE.match(line):
        log = folder / "log"
        with open(log, "ab") as output:
            code = warm_process.run(match[1], shlex.split(match[2]), output)
        assert code == 0, f"{line}\n{log.read_text()[-2000:]}"
        return line
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_NUM_THREADS": "1"}
    oversubscribe = {"PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe"}
    here = {**os.environ, **root, **oversubscribe, "PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        line, shell=True, cwd=folder, env=here,
        capture_output=True, text=True, timeout=CHAIN_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stderr[-2000:]}"
    return line
