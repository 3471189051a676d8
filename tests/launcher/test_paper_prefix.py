"""The prefix sweeps of the paper profile from the hub to their tables on this machine; tasks have no network."""

from pathlib import Path

import pytest

from tests.support import hub_server
from tests.support.paper_prefix import SWEEPS, PaperPrefix, models

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Path):
    """One folder of outputs and one hub."""
    with hub_server.serving() as server:
        yield PaperPrefix(tmp_path_factory.mktemp("paper"), server, tiny_tokenizer)


@pytest.mark.parametrize("sweep", SWEEPS[-1:])  # the others run on the cluster (tests/slurm)
def test_a_sweep_is_fetched_and_then_runs_to_its_tables_offline(paper: PaperPrefix, sweep: str) -> None:
    paper.publish(sweep)
    refused = paper.launch("submit", sweep, "--no-fetch")
    assert refused.returncode == 1
    assert "that the sweep needs; nothing was queued" in refused.stderr
    assert not list(paper.outputs.glob(f"sweeps/{sweep}/submits/*"))
    fetched = paper.launch("fetch", sweep)
    assert fetched.returncode == 0, fetched.stderr
    paper.server.requests.clear()
    done = paper.launch("submit", sweep, "--no-fetch")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not paper.server.requests
    assert all(any(model in row for row in paper.rows(sweep)) for model in models(sweep))
