"""Figures, findings and report of the extraction study."""

import re
from pathlib import Path

from lib.reporting.writer import Description
from lib.studies.extraction import findings, results, tables
from tests.studies.extraction.records import record


def test_figures_and_report_are_the_same_bytes_twice(tmp_path: Path) -> None:
    records = [record(1, level, kind) for kind in ("exact", "replace") for level in (1, 5)]
    for folder in ("a", "b"):
        found = results.write(tmp_path / folder, "extraction", records, Description("extraction"))
    files = sorted(file.relative_to(tmp_path / "a") for file in (tmp_path / "a").rglob("*") if file.is_file())
    assert {"extraction.csv", "extraction.h5", "extraction_exact.png", "extraction_replace.pdf", "report.html"} <= {
        file.name for file in files
    }
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    words = " ".join(findings.in_words(found["extraction"]))
    assert "m, exact copies" in words
    header, rows = results.summary(found)
    assert len(rows) == 4
    assert len(header) == len(rows[0])
    assert all(re.fullmatch(r"0\.\d{3} \[0\.\d{3}, [01]\.\d{3}\]", cell) for cell in rows[0][3:])
    assert [row[3] for row in results.summary(found, results.CLOSING)[1]] == [row[3] for row in rows]


def test_warnings_say_when_nothing_was_repeated() -> None:
    found = tables.make([record(1, 0), record(1, 1)])["extraction"]
    assert found["value"].any()
    found.loc[found["measure"] == "exact", "value"] = 0.0
    assert next(iter(findings.warnings(found))) == "No model repeated the whole suffix of any canary."
