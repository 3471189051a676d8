"""References: every study and attack has one, and they agree with CITATION.cff and with the files of the attacks."""

import re

import pytest
import yaml

from lib.attacks import scores
from lib.base.places import ROOT
from lib.base.version import VERSION
from lib.reporting import citations

ENTRIES = citations.ENTRY.findall(citations.FILE.read_text())
STUDIES = sorted(path.parent.name for path in (ROOT / "lib" / "studies").glob("*/collect.py"))


@pytest.mark.parametrize("keyword", [*STUDIES, *scores.NAMES])
def test_every_study_and_attack_is_cited(keyword):
    text = citations.bibtex({keyword})
    assert text.startswith("@software{tessera,")
    assert any(keyword in citations.keywords_of(entry) for entry in ENTRIES)
    assert "keywords" not in text
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize("name", scores.NAMES)
def test_an_attack_is_cited_by_the_number_that_its_file_names(name):
    for number in re.findall(r"arXiv (\d{4}\.\d{5})", scores.load(name).__doc__):
        assert f"eprint = {{{number}}}" in citations.bibtex({name})


def test_the_studies_are_those_of_the_citation_file():
    about = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    words = [re.sub(r"\W+", " ", text) for text in ENTRIES]
    for given in (about, *about["references"]):
        title = re.sub(r"\W+", " ", given["title"]).strip()
        (entry,) = [text for text, plain in zip(ENTRIES, words) if title in plain]
        for person in given["authors"]:
            assert (person.get("family-names") or person.get("alias") or person["name"]) in entry
        for known in given.get("identifiers", ()):
            if known["description"] != "The preprint":
                assert known["value"] in entry


NEEDED = {
    "article": {"journal", "year"},
    "inproceedings": {"booktitle", "year"},
    "software": {"version", "year"},
    "misc": set(),
}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.partition(",")[0])
def test_an_entry_has_what_its_kind_needs(entry):
    fields = set(re.findall(r"^  (\w+) = \{.+\}", entry, re.M))
    assert NEEDED[re.match(r"@(\w+)", entry)[1]] | {"title", "author"} <= fields


def test_tessera_is_cited_by_the_version_that_runs():
    assert f"version = {{{VERSION}}}" in citations.bibtex(())
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == VERSION


def test_an_entry_without_keywords_is_an_error():
    with pytest.raises(ValueError, match=r"@misc\{a, has no keywords"):
        citations.keywords_of("@misc{a,\n  title = {A}\n}")
