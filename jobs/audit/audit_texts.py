"""Read the texts of an audit, with their labels and groups, and cut them into the tokens of a model.

    python -m jobs audit_texts --config FILE --out DIR

FILE holds:

    inputs: {tokenizer: DIR}      # and `documents`, artifacts of files of records, if there is no path or repo
    path: /data/mine              # a file, a folder or a glob: JSON lines, CSV, Parquet, text files
    text_column: text
    label_column: label           # member or non-member, where there are labels
    group_column: author          # what texts belong together, where there is something

Without columns, those of WikiMIA, BookMIA and MIMIR are recognised (lib/texts/layouts.py), and the log says so.

Result audited.h5, one row a text: strings `text`, `name`, `group`; `label` (int8: 1 member, 0 non-member, -1 not
known); rows `ids` with `offsets`; `characters` (tokens x 2, which characters of its text each token stands for). It is
the same for every model with that tokenizer.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.audit import texts_file
from lib.audit.texts_file import MEMBER, NON_MEMBER, UNKNOWN, AuditedTexts
from lib.base import places
from lib.base.config import at_least
from lib.base.errors import TesseraError, UsageError, counted
from lib.texts import data_sets, layouts, listing, records
from lib.texts.records import Columns, Record

if TYPE_CHECKING:
    from lib.models.hub import HubItem

VERSION = 1
INPUTS = ("tokenizer",)
OPTIONAL_INPUTS = ("documents",)
LISTS = ("documents",)

Read = tuple[str, Record]  # with the layout by which it was read
LABELS = {
    **dict.fromkeys(("1", "1.0", "true", "yes", "member", "seen"), MEMBER),
    **dict.fromkeys(("0", "0.0", "false", "no", "non-member", "non_member", "nonmember", "unseen"), NON_MEMBER),
    "": UNKNOWN,
}


@dataclass(frozen=True)
class Config:
    """Where the texts are, and which columns say what. Give path, or repo, or the input documents.

    path: a file, a folder or a glob of local files
    pattern: a glob of the files of a folder, such as `**/*.csv`; "" takes all that can be read
    repo: a data set of the Hugging Face hub, `owner/name`, which `fetch` brings into the cache of this machine
    revision: the commit of `repo`; a branch means what the cache holds of it
    split: the split of `repo`
    data_files: patterns of the files of `repo` to fetch and read; empty takes those whose path has the split's name
    text_column: the column of the text; a text file is one text; without any column named, those of known data sets
    name_column: the column of the name that tables show; "" numbers the texts of a file
    label_column: the column that says whether a model has seen a text: 1, true, yes, member, seen, or 0, false, no,
        non-member, unseen; "" if nobody knows
    group_column: the column of what texts belong to, such as a document or an author; "" if each stands for itself
    most: read only so many texts; 0 reads all
    fingerprint: 16 hex digits of the names and bytes of local files; a sweep fills it in when it plans, so that other
        files are a new task; leave it out by hand
    """

    path: str = ""
    pattern: str = ""
    repo: str = ""
    revision: str = "main"
    split: str = "train"
    data_files: tuple[str, ...] = ()
    text_column: str = "text"
    name_column: str = ""
    label_column: str = ""
    group_column: str = ""
    most: int = 0
    fingerprint: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for two places, and for a number below 0."""
        at_least(0, most=self.most)
        if self.path and self.repo:
            raise ValueError("give either path (local files) or repo (a data set of the hub)")

    @property
    def columns(self) -> Columns:
        """Where a record has what."""
        return Columns(self.text_column, self.name_column, self.label_column, self.group_column)


def hub(config: Config) -> "list[HubItem]":
    """What must be in the hub cache before the task runs."""
    from lib.models.hub import data_set

    return data_set(config.repo, config.revision, config.split, config.data_files) if config.repo else []


def pin(config: Config, root: Path | None = None) -> Config:
    """`config` with an absolute path and the fingerprint of what lies there now."""
    if not config.path:
        return config
    return replace(config, path=str(Path(config.path).expanduser().absolute()), fingerprint=_fingerprint(config))


def _fingerprint(config: Config) -> str:
    files = records.list_files(Path(config.path), config.pattern).files
    lines = [f"{file} {listing.checksum(file)}" for file in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def check_inputs(config: Config, inputs: Collection[str]) -> None:
    """Raise UsageError where there are no texts, or two places for them."""
    if bool(config.path or config.repo) == ("documents" in inputs):
        raise UsageError("give the texts in one place: path, repo, or the input documents")


def run(config: Config, inputs: dict[str, Any], out: Path) -> None:
    """Read, encode, write. Raises TesseraError naming file and row of a record that cannot be used."""
    from lib.models import loading

    if config.fingerprint and _fingerprint(config) != config.fingerprint:
        raise TesseraError(f"{config.path}: the files changed since this run was planned; submit the sweep again")
    read = list(_first(config, inputs))
    found = [record for _, record in read]
    if not found:
        raise TesseraError(f"{_source(config)}: no texts in it; give files that have some")
    labels = _labels(found)
    tokenizer = loading.load_tokenizer(inputs["tokenizer"])
    texts = _encoded(found, labels, tokenizer, _layout(layout for layout, _ in read))
    texts_file.write(out / places.AUDITED, texts, tokenizer)
    empty = sum(not one.text.strip() for one in found)
    beside = f"; {counted(empty, 'text')} without a word" if empty else ""
    print(f"audit_texts: {counted(len(found), 'text')}, {counted(sum(texts.lengths()), 'token')}{beside}")


def _first(config: Config, inputs: dict[str, Any]) -> Iterator[Read]:
    for number, record in enumerate(_records(config, inputs)):
        if config.most and number == config.most:
            return
        yield record


def _records(config: Config, inputs: dict[str, Any]) -> Iterator[Read]:
    if config.path:
        found = records.list_files(Path(config.path), config.pattern)
        print(f"{config.path}: {counted(len(found.files), 'file')}; {listing.spelled(found.left_out)}", flush=True)
        for file in found.files:
            yield from _named(layouts.read(file, config.columns), file.name)
    elif config.repo:
        yield from _of_hub(config)
    else:
        for folder in inputs["documents"]:
            for file in records.list_files(folder).files:
                yield from (("", record) for record in records.read(file, records.MADE))


def _of_hub(config: Config) -> Iterator[Read]:
    from lib.models.hub import opened

    items = hub(config)
    folder, chosen = opened(items, config.repo, config.data_files)
    chosen = chosen if items else data_sets.local(folder, config.split, chosen)
    rows = enumerate(data_sets.rows(folder, config.split, chosen))
    found = (layouts.of_fields(f"{config.repo}: row {number}", row, config.columns) for number, row in rows)
    yield from _named(chain.from_iterable(found), config.repo)


def _named(found: Iterator[Read], source: str) -> Iterator[Read]:
    """The records, those without a name by their number in the source."""
    for number, (layout, record) in enumerate(found, start=1):
        yield layout, record if record.name else replace(record, name=f"{source} {number}")


def _layout(found: Iterable[str]) -> str:
    """The layouts that were recognised, as the log and the report say them."""
    layout = ", ".join(dict.fromkeys(filter(None, found)))
    if layout:
        print(f"audit_texts: read by the columns of {layout}, since no column was named")
    return layout


def _labels(found: Sequence[Record]) -> np.ndarray:
    """MEMBER, NON_MEMBER or UNKNOWN of each record, int8. Raises TesseraError for other words, and for labels that are
    all of one kind."""
    for record in found:
        if record.label.strip().lower() not in LABELS:
            known = ", ".join(filter(None, LABELS))
            raise TesseraError(f"{record.where}: the label is '{record.label}'; it must be one of {known}, or empty")
    labels = np.array([LABELS[record.label.strip().lower()] for record in found], dtype=np.int8)
    kinds = set(labels.tolist()) - {UNKNOWN}
    if len(kinds) == 1:
        said = "member" if kinds == {MEMBER} else "non-member"
        raise TesseraError(
            f"all labels say {said}, so there is nothing to compare; give both kinds, or leave label_column out"
        )
    return labels


def _encoded(found: Sequence[Record], labels: np.ndarray, tokenizer: Any, layout: str) -> AuditedTexts:
    from lib.tokens.tokenization import encode_with_offsets

    pairs = [encode_with_offsets(tokenizer, record.text) for record in found]
    return AuditedTexts(
        text=[record.text for record in found],
        name=[record.name for record in found],
        group=[record.group for record in found],
        label=labels,
        ids=[ids for ids, _ in pairs],
        characters=[characters for _, characters in pairs],
        layout=layout,
    )


def _source(config: Config) -> str:
    return config.path or config.repo or "documents"
