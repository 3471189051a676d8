"""Without texts an audit's results have positions and numbers: no five words in a row, and no name, in any file."""

import base64
import dataclasses
import re
from pathlib import Path

from lib.base import places
from lib.reporting.writer import Description
from lib.studies.audit import results
from lib.studies.audit.reading import Audited, without_names
from tests.studies.audit.test_audit_tables import audited

NAMES, GROUPS = [f"letter of Anna, {number}" for number in range(8)], ["Anna", "Bert", "", "Anna", "", "", "", "Bert"]


def private() -> Audited:
    one = audited("mine", 8, {0: {0, 1, 2, 3, 5}, 3: {4}}, group=GROUPS)
    one.of_tokens["likeliest"] = [ids.copy() for ids in one.texts.ids]
    return dataclasses.replace(one, texts=dataclasses.replace(one.texts, name=NAMES))


def written(root: Path, show_texts: bool) -> dict[str, str]:
    """What every file of the results holds, and what is embedded in the page."""
    found = [private(), audited("controls", 9, {})]
    results.write(root, "audit", found, Description("audit"), show_texts)
    files = {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}
    report = files[str(places.report(root, "audit").relative_to(root))].decode()
    embedded = [base64.b64decode(data) for data in re.findall(r"base64,([\w+/=]+)", report)]
    every = {**files, **{f"embedded {number}": data for number, data in enumerate(embedded)}}
    return {name: data.decode(errors="replace") for name, data in every.items()}


def told(files: dict[str, str], *secrets: str) -> set[str]:
    return {name for name, text in files.items() if any(secret in text for secret in secrets)}


def test_no_file_has_a_text_or_a_name_where_they_are_left_out(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(results, "draw", lambda made: [])  # the figure names collections alone, and takes long
    words = [text.split() for text in private().texts.text]
    five = [" ".join(row[at : at + 5]) for row in words for at in range(len(row) - 4)]
    shown, hidden = (written(tmp_path / str(show), show) for show in (True, False))
    for secrets in (five, NAMES, ["Anna", "Bert"]):
        where = told(shown, *secrets)
        assert {Path(name).suffix for name in where} >= {".html", ".json", ".csv", ".h5"}  # the search can find them
        assert any(name.startswith("embedded") for name in where)
        assert told(hidden, *secrets) == set()
    assert "text 1" in hidden["sweeps/audit/tables/texts.csv"]
    assert shown.keys() == hidden.keys()


def test_numbers_stand_for_names_and_groups_stay_together() -> None:
    hidden = without_names(private())
    assert list(hidden.texts.name) == [f"text {number}" for number in range(1, 9)]
    assert list(hidden.texts.group) == ["group 1", "group 2", "", "group 1", "", "", "", "group 2"]
    assert [unit.tolist() for unit in hidden.units()] == [unit.tolist() for unit in private().units()]
