"""What the sweeps of the paper profile need of the hub, fetched from tiny repositories behind the same names."""

import io
import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from lib.artifacts import hub_lock
from lib.base.errors import TesseraError
from lib.launcher import hub_needs
from lib.models import hub
from lib.models.hub import HubItem, is_commit
from lib.plans import documents, expansion
from lib.plans.plan import Plan
from tests.support import tiny_hub
from tests.support.hub_server import HubServer


def expanded(name: str, *settings: str, pins: dict[str, str] | None = None) -> Plan:
    return expansion.expand(documents.read(name, "paper", list(settings)), "paper", pins)


def fetch(plan: Plan, folder: Path, done: Collection[str] = ()) -> str:
    """What the launcher prints while it fetches."""
    shown = io.StringIO()
    hub_needs.run(plan, done, folder / "lock.json", Console(file=shown, soft_wrap=True))
    return shown.getvalue()


def at_commits(items: list[HubItem], server: HubServer) -> list[HubItem]:
    return [one if is_commit(one.revision) else replace(one, revision=server.head) for one in items]


OFFLINE = {"exposure"}  # everything comes from PyPI, in `paper` as well


@pytest.mark.parametrize("name", sorted(OFFLINE))
def test_a_sweep_without_the_hub_needs_nothing_of_it(name: str) -> None:
    assert hub_needs.items(expanded(name)) == []


@pytest.mark.parametrize("name", sorted({*documents.names()} - OFFLINE))
def test_every_sweep_is_fetched_exactly_and_then_needs_no_network(
    name: str, hub_server: HubServer, tiny_tokenizer: Path, tmp_path: Path
) -> None:
    plan = expanded(name)
    items = at_commits(hub_needs.items(plan), hub_server)
    assert items
    tiny_hub.publish(hub_server, items, tiny_tokenizer)
    assert set(hub_needs.missing(items)) == set(items)
    fetch(plan, tmp_path)
    repositories = hub_server.repositories
    wanted = {(item.repo, file) for item in items for file in item.wanted(repositories[item.kind, item.repo])}
    assert hub_server.sent() <= wanted  # of equal files the hub's client downloads one
    there = {file for file in (tmp_path / "cache").glob("*/snapshots/*/**/*") if file.is_file()}
    assert there == {file for item in items for file in hub.files(item)}
    hub_server.requests.clear()
    assert hub_needs.missing(items) == {}
    pinned = expanded(name, pins=hub_lock.read(tmp_path / "lock.json"))  # none if all of its items are at commits
    hub_needs.check(pinned, (), "a command")
    assert "has all" in fetch(pinned, tmp_path)
    assert not hub_server.requests


@pytest.fixture
def prefix(hub_server: HubServer, tiny_tokenizer: Path) -> Plan:
    """A plan with a model at a commit, and the files of a data set; the hub has them."""
    plan = expanded("prefix_sizes", "models=[pythia-160m]")
    tiny_hub.publish(hub_server, hub_needs.items(plan), tiny_tokenizer)
    return plan


def test_what_the_cache_lacks_is_listed_with_its_size_and_the_command(prefix, hub_server, tmp_path, capsys) -> None:
    with pytest.raises(TesseraError, match=r"lacks \d+ files \(0\.\d+ GB\) that the sweep needs; nothing was queued"):
        hub_needs.check(prefix, (), "launch.py fetch")
    fetch(prefix, tmp_path)
    assert re.search(r"(\S+) of \1 MB \(100 %\), .*after \d+ s$", capsys.readouterr().out.strip())
    hub_needs.check(prefix, (), "launch.py fetch")
    (data,) = [item for item in hub_needs.items(prefix) if item.kind == "dataset"]
    (file,) = hub.files(data)
    content = file.read_bytes()
    file.resolve().write_bytes(content[:-1])
    with pytest.raises(TesseraError) as caught:
        hub_needs.check(prefix, (), "launch.py fetch prefix_sizes")
    lines = str(caught.value).splitlines()
    assert "lacks 1 file" in lines[0]
    assert lines[1].strip() == "launch.py fetch prefix_sizes"
    assert lines[2].strip() == f"{data}: train/00.jsonl.zst ({hub.gigabytes(len(content))})"
    fetch(prefix, tmp_path)
    assert file.read_bytes() == content


def test_a_hub_out_of_reach_leaves_the_size_unknown_and_is_asked_once(prefix, hub_server, monkeypatch) -> None:
    asked = []
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr(hub_needs.hub_fetch, "lacking", _counted(hub_needs.hub_fetch.lacking, asked))
    with pytest.raises(TesseraError, match=r"lacks 0 files .* and 3 models or data sets of unknown size"):
        hub_needs.check(prefix, (), "launch.py fetch")
    assert len(asked) == 1


def _counted(call, asked: list):
    def counted(item):
        asked.append(item)
        return call(item)

    return counted


def test_what_is_done_needs_nothing_more(prefix, tmp_path) -> None:
    """A finished sweep is collected again although the cache was emptied; what reads a model still needs it."""
    assert hub_needs.items(prefix, prefix.tasks) == []
    assert fetch(prefix, tmp_path, prefix.tasks) == ""
    pointers = {digest for digest, task in prefix.tasks.items() if task.stage in ("hub_model", "prompts")}
    assert {item.kind for item in hub_needs.items(prefix, pointers)} == {"model", "dataset"}
    generated = {digest for digest, task in prefix.tasks.items() if task.stage != "score_generations"}
    assert {item.repo for item in hub_needs.items(prefix, generated) if item.kind == "model"} == {
        "EleutherAI/pythia-70m", "EleutherAI/pythia-160m",
    }  # fmt: skip


def test_a_disk_that_is_too_small_is_found_before_the_first_byte(prefix, hub_server, tmp_path, monkeypatch) -> None:
    used = hub_needs.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(hub_needs.shutil, "disk_usage", lambda place: used._replace(free=10))
    with pytest.raises(TesseraError, match=r"\d+ files .* to fetch, but .* has 1e-08 GB left; set HF_HOME"):
        fetch(prefix, tmp_path)
    assert not hub_server.sent()
