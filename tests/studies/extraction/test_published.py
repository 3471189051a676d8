"""The published extraction figures, and where they stand beside ours."""

import pytest

from lib.plans import documents, expansion
from lib.studies.extraction import collect, figures, published, results, tables
from tests.studies.extraction.records import record

# Kind and level -> edit similarity, BLEU, as published, in thousandths.
FIGURES = {
    ("exact", 10): (209, 175), ("replace", 1): (299, 276), ("replace", 5): (271, 237), ("replace", 10): (203, 170),
    ("replace", 15): (178, 142), ("replace", 20): (157, 111), ("replace", 25): (159, 106), ("replace", 50): (124, 73),
    ("replace", 75): (125, 69),
}  # fmt: skip


def test_the_file_holds_the_published_figures() -> None:
    rows = {(row.kind, row.level): (row.edit_similarity, row.word_bleu) for row in published.table().itertuples()}
    assert rows.keys() == FIGURES.keys()
    for key, values in rows.items():
        assert [1000 * value for value in values] == pytest.approx(FIGURES[key], abs=0.51), key
    assert dict(published.table().groupby("kind")["model"].first()) == {"exact": "gptneo1B", "replace": "gptneo2.7B"}


@pytest.mark.parametrize(
    ("model", "kind", "source"),
    [
        ("gptneo1B", "exact", "published"),
        ("gptneo1B", "replace", "published, gptneo2.7B"),
        ("gptneo2.7B", "replace", "published"),
        ("m", "exact", "published, gptneo1B"),
    ],
)
def test_they_stand_beside_members_of_the_same_kind_and_level(model: str, kind: str, source: str) -> None:
    found = tables.make([record(1, level, kind, model, repeats=True) for level in (3, 10)])["extraction"]
    beside = found[found["published_value"].notna()]
    assert set(beside["level"]) == {10}
    assert set(beside["side"]) == {"members"}
    assert set(beside["published_source"]) == {source}
    values = beside[beside["seed"].isna()].set_index("measure")["published_value"]
    assert [1000 * values[name] for name in published.MEASURES] == pytest.approx(FIGURES[kind, 10], abs=0.51)
    header, rows = results.summary({"extraction": found})
    assert header[-2:] == ["published edit sim.", "published word BLEU"]
    assert rows[1][-2] == f"{values['edit_similarity']:.3f}"
    labels = figures.extraction_figure(found, kind).axes[0].get_legend_handles_labels()[1]
    assert f"word BLEU, {source}" in labels


def test_another_way_of_doing_it_has_none_beside() -> None:
    found = tables.make([record(1, 10)])["extraction"]
    assert found["published_value"].isna().all()
    assert set(found["published_source"]) == {""}


def test_every_published_row_has_a_leaf_of_the_paper_profile_beside_it() -> None:
    plan = expansion.expand(documents.read("extraction", "paper", []), "paper")
    repeated = {(leaf.labels["kind"], leaf.labels["level"]) for leaf in plan.leaves if collect._repeats(plan, leaf)}
    assert FIGURES.keys() <= repeated
    laptop = expansion.expand(documents.read("extraction", "laptop", []), "laptop")
    assert not any(collect._repeats(laptop, leaf) for leaf in laptop.leaves)  # its suffixes have 25 tokens
