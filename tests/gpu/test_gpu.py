"""The GPU check itself: its rehearsal on a CPU, its verdicts, its table, its job."""

import json
import os
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

from lib.base.errors import UsageError
from lib.base.places import ROOT
from lib.running import batch
from lib.running.site import Cluster
from tests.gpu import readme, running, submit, table
from tests.gpu.running import PARTS, Options
from tests.support import toys
from tests.support.fake_site import FakeSite

HERE = Path(__file__).parent
CARD = {"name": "X", "bytes_per_s": 2e12, "flops_bf16": 1e15, "flops_fp32": 5e13, "seconds": 1.0}


def found(tiny: bool = False, **parts: dict) -> dict:
    about = {"card": "X", "date": "2030-01-02", "commit": "0" * 40, "tiny": tiny}
    return {"about": about, "parts": {"card": CARD, **{name: {"seconds": 1.0, **part} for name, part in parts.items()}}}


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder and the output of `python -m tests.gpu --tiny --device cpu`."""
    out = tmp_path_factory.mktemp("rehearsal")
    done = subprocess.run(
        [sys.executable, "-m", "tests.gpu", "--tiny", "--device", "cpu", "--out", str(out)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out, done.stdout


def test_the_rehearsal_runs_every_part_with_the_real_code(rehearsed: tuple[Path, str]) -> None:
    out, said = rehearsed
    result = json.loads((out / "gpu.json").read_bytes())
    assert list(result["parts"]) == list(PARTS)
    assert not (out / running.FILES).exists()
    assert result["about"]["tiny"]
    lacking = {figure.at for figure in table.FIGURES if figure.value(result) is None}
    assert {at for at in lacking if not at.startswith("decode.") and not at.endswith("peak_gib")} == set()
    assert set(result["parts"]["decode"]) == {"16x4", "seconds"}  # and of its real shapes none
    assert "ok   resumed: difference of losses" in said
    assert result["parts"]["resume"]["weights_equal"]
    assert result["parts"]["mamba"]["path"].startswith("mamba: ")


def test_the_same_code_on_both_sides_agrees(rehearsed: tuple[Path, str]) -> None:
    """A check of the check: on a CPU nothing may differ but bf16."""
    measured = json.loads((rehearsed[0] / "gpu.json").read_bytes())["parts"]["agreement"]
    assert (measured["scores_fp32"], measured["suffix_nll"]) == (0, 0)
    assert measured["greedy_same"] == measured["sample_same"] == measured["candidates_same"] == 1
    assert 1e-4 < measured["scores_bf16"] < 3e-2


def test_what_a_part_measured_of_a_rehearsal_is_of_its_tiny_model(rehearsed: tuple[Path, str]) -> None:
    parts = json.loads((rehearsed[0] / "gpu.json").read_bytes())["parts"]
    for name in ("neo", "neo_fp32", "llama"):
        assert len(parts[name]["losses"]) == 4
        assert parts[name]["losses"][0] == pytest.approx(6.24, abs=2.5)  # ln 512, and what random weights add
    for rate in (parts["neo"]["flops"], parts["scoring"]["float32"]["flops"], parts["mamba"]["bytes_per_s"]):
        assert 0 < rate < 1e12  # of one core


@pytest.mark.parametrize(
    ("work", "word"),
    [(lambda options: 1 / 0, "ZeroDivisionError"), (lambda options: time.sleep(60), "not done in 0.5 s")],
)
def test_a_part_that_fails_or_hangs_costs_only_itself(work, word, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tests.gpu.parts.card", types.SimpleNamespace(measure=work))
    monkeypatch.setitem(PARTS, "card", 0.5 if "0.5" in word else 30)
    result = running.part("card", Options(tmp_path, "cpu", tiny=False))
    assert word in result["failed"]
    assert not table.passed({**found(), "parts": {"card": result}})


def test_speeds_are_shares_of_what_the_card_did_and_a_rehearsal_has_none() -> None:
    slow, fast = ({"flops": share * 1e15, "finite": True} for share in (0.39, 0.41))
    assert table.passed(found(neo=fast))
    assert not table.passed(found(neo=slow))
    assert table.passed(found(tiny=True, neo=slow))
    assert not table.passed(found(tiny=True, neo={**fast, "finite": False}))
    assert "FAIL GPT-Neo 1.3B, bf16: share of the matrix peak" in table.printed(found(neo=slow))
    assert "39%" in table.printed(found(neo=slow))


@pytest.mark.parametrize("value", [2.1e-4, float("inf"), float("nan"), None])
def test_a_figure_that_is_missing_or_no_number_is_not_as_wanted(value) -> None:
    good = {"scores_fp32": 1e-6, "scores_bf16": 1e-3, "suffix_nll": 1e-6, "greedy_same": 1.0, "sample_same": 1.0}
    good["candidates_same"] = 1.0
    assert table.passed(found(agreement=good))
    assert not table.passed(found(agreement={**good, "scores_fp32": value}))


def test_the_table_of_the_readme_is_that_of_the_results_that_are_kept() -> None:
    page = (HERE / "README.md").read_text()
    assert readme.TABLE.search(page)
    assert readme.filled(page) == page


def test_the_table_claims_nothing_that_was_not_run() -> None:
    rows = [line.split(" | ") for line in table.markdown([]).splitlines()[2:]]
    assert {row[2].rstrip(" |") for row in rows} == {"not run yet"}
    lines = table.markdown([found(neo={"failed": "exit code 1: out of memory"})]).splitlines()
    assert any(line.startswith("| GPT-Neo 1.3B, bf16: share") and line.endswith("| **failed** |") for line in lines)
    assert any(line.startswith("| Mamba 1.4B: path") and line.endswith("| not run yet |") for line in lines)


@pytest.mark.parametrize("text", ["{}", "no json", json.dumps(found(tiny=True))])
def test_only_the_result_of_a_card_is_kept(text: str, tmp_path: Path) -> None:
    (tmp_path / "gpu.json").write_text(text)
    with pytest.raises(UsageError, match=r"gpu\.json: is"):
        readme.keep(tmp_path / "gpu.json")


def test_the_job_asks_for_a_card_with_the_options_of_the_cluster_file(tmp_path: Path) -> None:
    cluster = Cluster(
        "c", partition="cpu", gpu_partition="a100", gpu_account="g", gres="gpu:a100:{gpus}", setup=("module load x",)
    )
    lines = submit.script(cluster, tmp_path, "n", ["--only", "decode"]).splitlines()
    asked = {"--partition=a100", "--account=g", "--gres=gpu:a100:1", f"--output={tmp_path}/%j_0_log.out"}
    assert {f"#SBATCH {option}" for option in asked} <= set(lines)
    assert lines.index("module load x") < lines.index(f"cd {ROOT}")
    assert lines[-2 if not lines[-1] else -1].endswith(f"-m tests.gpu --out {tmp_path} --only decode")
    (minutes,) = (int(line.partition("--time=")[2]) for line in lines if "--time=" in line)
    assert minutes * 60 > sum(PARTS.values())


def test_it_is_submitted_once_and_says_where_its_result_will_be(tmp_path: Path, monkeypatch, capsys) -> None:
    site = FakeSite(tmp_path / "site")
    site.hold()
    monkeypatch.setenv("FAKE_SLURM", str(site.root))
    monkeypatch.setenv("PATH", f"{toys.FAKES}:{os.environ['PATH']}")
    (tmp_path / "mine.yaml").write_text("gpu_partition: a100\n")
    site.fault("sbatch", "mute 1")  # it takes the job, and fails to say so
    monkeypatch.setattr(batch.time, "sleep", lambda seconds: None)
    assert submit.main(["--outputs", str(tmp_path), "--cluster", str(tmp_path / "mine.yaml"), "--only", "card"]) == 0
    (job,) = site.jobs()
    assert (job["partition"], job["gpus-per-node"]) == ("a100", "1")
    assert f"job {job['id']} submitted; its result will be {tmp_path}/gpu-check/gpu.json" in capsys.readouterr().out
    (tmp_path / "mine.yaml").write_text("gpus_per_node: 0\n")
    assert submit.main(["--outputs", str(tmp_path), "--cluster", str(tmp_path / "mine.yaml")]) == 2
    assert (
        "the GPU check: resources: gpus 1 is more than cluster 'mine' has (gpus_per_node 0)" in capsys.readouterr().err
    )
    site.end()


def test_the_wheels_to_bring_have_the_versions_of_the_environment() -> None:
    wheels = [line for line in (HERE / "wheels.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = {line.partition(" ")[0] for line in (ROOT / "env" / "constraints.txt").read_text().splitlines()}
    assert wheels
    assert set(wheels) <= pinned


def test_without_a_gpu_and_without_slurm_it_says_so(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert submit.main(["--outputs", str(tmp_path)]) == 2
    assert "lists no GPU here, and there is no SLURM" in capsys.readouterr().err
