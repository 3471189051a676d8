"""The prefix sweeps of the paper profile on two nodes against the hub on loopback: fetched by a job, then offline."""

import shlex
from pathlib import Path

import pytest

from lib.base.places import CLUSTERS
from tests.slurm.conftest import Cluster
from tests.slurm.smoke import SWEEP_SECONDS
from tests.support import hub_server
from tests.support.paper_prefix import SWEEPS, PaperPrefix, models
from tests.support.toys import wait_for

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Path):
    """One folder of outputs and one hub; the partition `urgent` stands for that with a network."""
    folder = tmp_path_factory.mktemp("paper")
    text = (CLUSTERS / "local-slurm.yaml").read_text()
    (folder / "dtn.yaml").write_text(f"{text}network_partition: urgent\n")
    with hub_server.serving() as server:
        yield PaperPrefix(folder, server, tiny_tokenizer, str(folder / "dtn.yaml"))


@pytest.mark.parametrize("sweep", SWEEPS[:-1])  # the last one runs on this machine (tests/launcher)
def test_a_sweep_is_fetched_by_a_job_and_runs_offline_to_its_tables(
    paper: PaperPrefix, cluster: Cluster, sweep: str
) -> None:
    paper.publish(sweep)
    refused = paper.launch("submit", sweep, "--no-fetch")
    assert refused.returncode == 1
    assert "that the sweep needs; nothing was queued" in refused.stderr
    assert not cluster.queue()
    (line,) = [shlex.split(line) for line in refused.stderr.splitlines() if line.strip().startswith("srun ")]
    assert "--partition=urgent" in line
    fetched = paper.run(sweep, line)
    assert fetched.returncode == 0, fetched.stderr
    paper.server.requests.clear()
    submitted = paper.launch("submit", sweep, "--no-fetch")
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    wait_for(lambda: not cluster.queue(), "the end of the sweep", SWEEP_SECONDS, poll=0.5)
    status = paper.launch("status", sweep, "--json")
    assert '"all_done": true' in status.stdout, status.stdout + paper.launch("logs", sweep).stdout
    assert not paper.server.requests
    assert all(any(model in row for row in paper.rows(sweep)) for model in models(sweep))
