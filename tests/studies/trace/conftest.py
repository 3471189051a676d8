"""A finished run of slimpajama whose two chunks can be searched, of a few sentences in the tiny tokenizer."""

import json
import shutil
import threading
from pathlib import Path
from typing import NamedTuple

import pytest

from lib.artifacts import store
from lib.base import places
from lib.corpus import chunks
from lib.corpus.suffixes import opened
from lib.corpus.trace import by_ranks
from lib.models import loading
from lib.plans import documents, expansion
from lib.plans.finished import directory
from lib.plans.plan import Plan, Task
from lib.studies.trace import indexed
from lib.studies.trace.indexed import Indexed
from lib.tokens.tokenization import encode
from tests.support.corpora import write_chunk, write_suffix_array
from tests.support.threads import Comm

SENTENCES = [
    ["the quick brown fox jumps over a lazy dog", "many small models remember <b>text</b> that was repeated inexactly"],
    ["others: the quick brown fox jumps over a lazy dog while many small models", "a lazy dog"],
]
SETTINGS = ["indexed=[0,1]"]


class Run(NamedTuple):
    """The folder of outputs, and the plan of the run in it."""

    root: Path
    plan: Plan


def make(root: Path, tokenizer: Path, settings: list[str], ended: str) -> Run:
    """Artifacts of the plan's tokenizer, chunks, suffix arrays and tables, as their stages write them, and run.json."""
    plan = expansion.expand(documents.read("slimpajama", "smoke", settings), "smoke", root=root)
    for task in plan.tasks.values():
        if task.stage in MAKERS:
            place = directory(root, task)
            place.mkdir(parents=True)
            MAKERS[task.stage](root, plan, task, place, tokenizer)
            store.write_done(place, task.digest, task.stage, task.version)
    record = {"run": plan.run, "sweep": "slimpajama", "profile": "smoke", "settings": settings, "ended": ended}
    file = places.run_record(root, plan.run)
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(record))
    return Run(root, plan)


def _tokenizer(root: Path, plan: Plan, task: Task, place: Path, tokenizer: Path) -> None:
    shutil.copytree(tokenizer, place, dirs_exist_ok=True)


def _chunk(root: Path, plan: Plan, task: Task, place: Path, tokenizer: Path) -> None:
    number, made = task.config["chunk"], loading.load_tokenizer(tokenizer)
    write_chunk(place / places.chunk(number), [encode(made, text) for text in SENTENCES[number]], vocab_size=400)


def _array(root: Path, plan: Plan, task: Task, place: Path, tokenizer: Path) -> None:
    write_suffix_array(place / places.SUFFIX_ARRAY, chunks.paths([_input(root, plan, task, "corpus")])[0])


def _table(root: Path, plan: Plan, task: Task, place: Path, tokenizer: Path) -> None:
    chunk = chunks.only(_input(root, plan, task, "corpus"))
    array = opened.open_suffix_array(_input(root, plan, task, "suffix_array") / places.SUFFIX_ARRAY, chunk)
    folder = place / places.BLOCKS
    folder.mkdir()
    by_ranks.make_table(place / places.SEARCH_TABLE, folder, chunk, array, Comm(0, threading.Barrier(1), {}))
    shutil.rmtree(folder)


def _input(root: Path, plan: Plan, task: Task, name: str) -> Path:
    return directory(root, plan.tasks[str(task.inputs[name])])


MAKERS = {"gpt2_tokenizer": _tokenizer, "tokenize": _chunk, "suffix_array": _array, "search_table": _table}


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Path) -> Run:
    """The run, finished."""
    return make(tmp_path_factory.mktemp("outputs"), tiny_tokenizer, SETTINGS, "2026-01-02T00:00:00+00:00")


@pytest.fixture(scope="session")
def corpus(finished: Run) -> Indexed:
    """Its corpus, open."""
    return indexed.open_run(finished.root)
