"""`launch.py fetch` and the check of `submit`, against a hub that refuses, breaks off, and is slow."""

from pathlib import Path

import huggingface_hub
import pytest

import launch
from lib.launcher import hub_needs
from lib.models import hub
from lib.plans import documents, expansion
from tests.support import tiny_hub
from tests.support.hub_server import TOKEN, HubServer

MODEL, DATA, FILE = "EleutherAI/pythia-160m", "monology/pile-uncopyrighted", "train/00.jsonl.zst"


@pytest.fixture
def server(hub_server: HubServer, tiny_tokenizer: Path) -> HubServer:
    """The hub with what one model of prefix_sizes needs."""
    plan = expansion.expand(documents.read("prefix_sizes", "paper", ["models=[pythia-160m]"]), "paper")
    tiny_hub.publish(hub_server, hub_needs.items(plan), tiny_tokenizer)
    return hub_server


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """A command of the launcher on that sweep: its exit code and what it wrote to standard error."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # a GPU for its tasks, of which none begins here

    def launched(command: str, *flags: str, cluster: str = "local") -> tuple[int, str]:
        line = [command, "prefix_sizes", "--profile=paper", "--set=models=[pythia-160m]", f"--cluster={cluster}"]
        code = launch.main([*line, f"--outputs={tmp_path / 'outputs'}", *flags])
        return code, capsys.readouterr().err

    return launched


def test_a_gated_repository_is_refused_before_anything_is_downloaded(server, run, monkeypatch) -> None:
    server.gated.add(MODEL)
    code, error = run("fetch")
    assert code == 1
    assert f"gated; ask for access at https://huggingface.co/{MODEL} and export HF_TOKEN" in error
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert "the present one may not" in run("submit")[1]
    assert not server.sent()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert run("fetch")[0] == 0


def test_a_slow_hub_that_breaks_off_once_gives_everything(server, run) -> None:
    server.cuts[FILE] = [100, 1]
    server.slow[FILE] = 0.05
    assert run("fetch")[0] == 0
    (file,) = (hub.cache() / f"datasets--{DATA.replace('/', '--')}").glob(f"snapshots/*/{FILE}")
    assert file.read_bytes() == server.repositories["dataset", DATA][FILE]


def test_after_a_fetch_that_broke_off_the_same_command_fetches_the_rest(server, run, monkeypatch) -> None:
    monkeypatch.setattr(huggingface_hub.file_download.time, "sleep", lambda seconds: None)
    server.cuts[FILE] = [0, 99]
    code, error = run("fetch")
    assert code == 1
    assert "or broke off" in error
    code, error = run("submit", "--no-fetch")
    assert (code, f"{FILE} (" in error) == (1, True)
    assert "launch.py fetch prefix_sizes" in error
    before = server.sent() - {(DATA, FILE)}
    server.cuts.clear()
    server.requests.clear()
    assert run("fetch")[0] == 0
    assert (DATA, FILE) in server.sent()
    assert not server.sent() & before


def test_a_cluster_with_a_partition_for_the_network_is_told_to_fetch_there(run, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "dtn.yaml"
    file.write_text("network_partition: dtn\n")
    for flags in (["fetch"], ["submit", "--no-fetch", "--yes"]):
        code, error = run(*flags, cluster=str(file))
        assert code == 1
        assert "srun --partition=dtn --cpus-per-task=2 " in error
        assert f"--cluster={file}" in error
