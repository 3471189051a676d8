"""The corpus of a run that can be searched: its chunks, their suffix arrays and tables, its tokenizer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.artifacts import hub_lock, inputs
from lib.base import places
from lib.base.errors import TesseraError, UsageError, suggestion
from lib.corpus import chunks
from lib.corpus.chunks import Chunk
from lib.corpus.suffixes import opened
from lib.corpus.trace import index
from lib.corpus.trace.index import Index
from lib.plans import documents, expansion, runs
from lib.plans.finished import directory, is_done
from lib.plans.plan import Plan
from lib.studies import collected, texts

SWEEP = "slimpajama"  # the sweep whose newest run is taken where none is named
TOKENS, ARRAY, TABLE = "tokenize", "suffix_array", "search_table"  # stages
CORPUS = "corpus"  # their input


@dataclass(frozen=True)
class Indexed:
    """An open corpus. run: its name; chunks and their indices; without: how many chunks of the run have no suffix array
    and are not searched; command: what makes those."""

    run: str
    chunks: Sequence[Chunk]
    indices: Sequence[Index]
    without: int
    command: str
    tokenizer: Any

    @property
    def n_tokens(self) -> int:
        """Tokens of all chunks that are searched."""
        return sum(chunk.n_tokens for chunk in self.chunks)


def open_run(root: Path, asked: str = "") -> Indexed:
    """The corpus of a run under the folder of outputs: the one that is asked for (a run, or a sweep), else of
    slimpajama. Of several runs it is the newest that has a suffix array.

    Raises TesseraError that says what to run, where no such run is finished, or none of its chunks has a suffix array.
    """
    plan, found = _searchable(root, _records(root, asked))
    folders = {name: [one[name] for one in found if name in one] for name in (TOKENS, ARRAY, TABLE)}
    inputs.compare(inputs.identify(folders))
    opened_chunks, indices = zip(*map(_open, found))
    tokens = [task for task in plan.tasks.values() if task.stage == TOKENS]
    tokenizer = texts.tokenizer(root, plan, str(tokens[0].inputs["tokenizer"]))
    return Indexed(plan.run, opened_chunks, indices, len(tokens) - len(found), _command(plan), tokenizer)


def _searchable(root: Path, records: Sequence[Mapping[str, Any]]) -> tuple[Plan, list[dict[str, Path]]]:
    """The plan of the first run that has a suffix array, and of each of its chunks that has one the artifacts."""
    for record in records:
        plan = _plan(root, record)
        if found := list(_finished(root, plan)):
            return plan, found
    plan = _plan(root, records[0])
    raise TesseraError(f"{plan.run}: no suffix array of its corpus is finished; type `{_command(plan)}`")


def _plan(root: Path, record: Mapping[str, Any]) -> Plan:
    """The plan of a run, made again from what its record says."""
    document = documents.read(record["sweep"], record["profile"], list(record["settings"]))
    plan = expansion.expand(document, record["profile"], hub_lock.read(places.hub_lock(root)), root=root)
    if TOKENS not in {task.stage for task in plan.tasks.values()}:
        raise UsageError(f"{plan.run}: this run has no corpus of tokens; name a run of {SWEEP}")
    return plan


def _records(root: Path, asked: str) -> list[Mapping[str, Any]]:
    """run.json of the runs that are asked for, the newest first."""
    records = [collected.record(path) for path in sorted(root.glob(str(places.run_record(Path(), "*"))))]
    wanted = (asked or SWEEP).replace("-", "_")
    found = [one for one in records if wanted in (one["run"].replace("-", "_"), one["sweep"])]
    if found:
        return sorted(found, key=lambda one: (one["ended"], one["run"]), reverse=True)
    if asked:
        known = suggestion(asked, {one[name] for one in records for name in ("run", "sweep")})
        raise UsageError(f"no finished run or sweep '{asked}' in {root}{known}")
    raise TesseraError(
        f"{root}: no run of {SWEEP} is finished; type `make sweep-{SWEEP} SET=indexed=[0]` (its chunk 0)"
    )


def _finished(root: Path, plan: Plan) -> Iterator[dict[str, Path]]:
    """Stage -> artifact, of each chunk whose suffix array is finished, in the order of the chunks."""
    done = [task for task in plan.tasks.values() if is_done(root, plan.tasks, task)]
    made = {(task.stage, str(task.inputs[CORPUS])): task for task in done if task.stage in (ARRAY, TABLE)}
    tokens = sorted((task for task in done if task.stage == TOKENS), key=lambda task: task.config["chunk"])
    for task in tokens:
        of_chunk = {stage: made[stage, task.digest] for stage in (ARRAY, TABLE) if (stage, task.digest) in made}
        if ARRAY in of_chunk:
            yield {stage: directory(root, one) for stage, one in {TOKENS: task, **of_chunk}.items()}


def _open(folders: Mapping[str, Path]) -> tuple[Chunk, Index]:
    chunk = chunks.only(folders[TOKENS])
    array = opened.open_suffix_array(folders[ARRAY] / places.SUFFIX_ARRAY, chunk)
    keys = index.read(folders[TABLE] / places.SEARCH_TABLE, chunk, array) if TABLE in folders else None
    return chunk, index.make(chunk, array, keys)


def _command(plan: Plan) -> str:
    n_chunks = next(task.config["chunks"] for task in plan.tasks.values() if task.stage == TOKENS)
    return runs.command(plan.name, plan.profile, {**plan.settings, "indexed": list(range(n_chunks))})
