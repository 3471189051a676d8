import statistics

import pandas as pd
import pytest

from lib.base.errors import TesseraError
from lib.plans import documents, expansion
from lib.studies.mosaic import collect, published


def test_the_published_aucs_are_all_there():
    found = published.measurements()
    assert len(found) == 1800
    assert {m.model for m in found} == set(published.MODELS)
    assert {m.level for m in found if m.kind == "exact"} == set(range(1, 11))
    assert {m.level for m in found if m.kind == "replace"} == {1, 5, 10, 15, 20, 25, 50, 75}


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gptneo1B", "gptneo1B"),
        ("EleutherAI/gpt-neo-1.3B", "gptneo1B"),
        ("google/gemma-2b", "gemma2B"),
        ("meta-llama/Llama-3.2-1B", "llama_3.2_1B"),
        ("microsoft/phi-2", "phi2"),
        ("laptop", None),
        ("gpt-neo-125m", None),
    ],
)
def test_models_are_found_under_the_names_of_the_hub(model, name):
    assert published.published_name(model) == name


def test_a_published_curve_and_one_that_is_not():
    curve = published.rho("shuffle", "gptneo1B", "ngram=10")
    assert curve["value"].is_monotonic_increasing
    assert curve.iloc[0].tolist() == [0.2, 0.5673, 0.0349]
    assert published.rho("shuffle", "phi2").empty
    keys = [(model, "replace", "") for model in ("phi2", "laptop")]
    assert list(published.references(keys)) == keys[:1]


def test_a_model_without_a_curve_of_its_own_has_that_of_another_under_its_name():
    keys = [("phi2", "replace", ""), ("laptop", "replace", ""), ("phi2", "insert", "inserted_tokens=5")]
    found = published.references([*keys, ("laptop", "replace", "learning_rate=0.1")], "gptneo1B")
    assert [found[key].label for key in found] == ["published", "published, gptneo1B", "published, gptneo1B"]
    assert list(found) == keys
    assert found[keys[2]].curve["mean"].tolist() == [0.0185, 0.1676, 0.4029, 0.5981, 0.7278, 0.892]


def test_the_published_auc_is_the_mean_of_its_seeds():
    keys = [("phi2", "exact", ""), ("laptop", "replace", ""), ("phi2", "exact", "rate=1"), ("phi2", "shuffle", "")]
    found = published.auc_references(keys, "gptneo1B")
    assert {key: one.label for key, one in found.items()} == dict(zip(keys[:2], ("published", "published, gptneo1B")))
    aucs = {}
    for row in pd.read_csv(published.AUCS).query("attack == 'ratio'").itertuples():
        aucs.setdefault((row.model, row.variable, row.value), []).append(row.auc)
    for key, *named in ((keys[0], "phi2", "repetitions"), (keys[1], "gptneo1B", "replacements")):
        for value, mean, std in found[key].curve.itertuples(index=False):
            mine = aucs[(*named, value)]
            assert len(mine) == 5
            assert (mean, std) == pytest.approx((statistics.fmean(mine), statistics.pstdev(mine)))


def test_every_published_row_is_found_by_kind_and_setting():
    table = pd.concat([pd.read_csv(published.RHO), pd.read_csv(published.BANDS)]).fillna("")
    kinds = {"replacements": "replace", "top_k": "replace", "insertions": "insert", "scrambled": "scramble"}
    kinds["near_duplicates"] = "near_duplicates"
    rows = table[["experiment", "setting"]].drop_duplicates().itertuples(index=False)
    for experiment, setting in rows:
        walked = setting + published.WALK if experiment == "shuffle" else setting
        assert published.experiment_of(kinds.get(experiment, "shuffle"), walked) == (experiment, setting)


ALL_MODELS = "models=[gptneo1B,gemma2B,llama_3.2_1B,phi2]"
REPEATED_BY = {
    "replacements": "near_dupls",
    "insertions": "insertions",
    "scrambled": "insertions",
    "shuffle": "shuffles",
    "top_k": "top_k",
    "near_duplicates": "distances",
}
SETTINGS = {"near_dupls": [ALL_MODELS], "distances": ["bands=[10,20,30,40,50]", "corpus_copies=${copies}"]}


def rows_of(plan):
    """(experiment, model, setting, value) -> the source, of every published rho that stands beside a leaf of a plan."""
    leaves, found = [leaf for leaf in plan.leaves if plan.tasks[leaf.digest].stage == "membership"], {}
    curves = collect.published_curves(plan, leaves)
    beside = published.beside(curves).set_index(list(published.BESIDE_COLUMNS[:4]))
    for leaf in leaves:
        point = leaf.point()
        key = tuple(point[name] for name in published.BESIDE_COLUMNS[:4])
        if collect.made_as_published(plan, leaf) and key in beside.index:
            experiment, setting = published.experiment_of(point["kind"], point["setting"])
            found[experiment, point["model"], setting, float(point["level"])] = beside.loc[key, "published_source"]
    return found


@pytest.mark.parametrize("sweep", sorted(set(REPEATED_BY.values())))
def test_every_published_rho_stands_beside_a_leaf_of_the_sweep_that_repeats_it(sweep):
    """In the profile `paper`, none of the 113 and of the five bands is left out, and each is of the same model.

    Shuffles stand beside `method=paper`, the published walk; uniform ones have no published counterpart.
    """
    plan = expansion.expand(documents.read(sweep, "paper", SETTINGS.get(sweep, [])), "paper")
    table = pd.concat([pd.read_csv(published.RHO), pd.read_csv(published.BANDS)]).fillna({"setting": ""})
    mine = table[table["experiment"].map(REPEATED_BY) == sweep]
    wanted = set(mine[["experiment", "model", "setting", "value"]].itertuples(index=False, name=None))
    found = rows_of(plan)
    assert wanted - found.keys() == set()
    assert {found[row] for row in wanted} == {"published"}


def test_there_are_113_published_rho_and_five_bands():
    tables = [pd.read_csv(file) for file in (published.RHO, published.BANDS)]
    assert [len(table) for table in tables] == [113, 5]
    assert set(tables[0]["experiment"]) | set(tables[1]["experiment"]) == REPEATED_BY.keys()
    assert tables[1].set_index("value")["rho_mean"].to_dict() == {10: 0.708, 20: 0.426, 30: 0.666, 40: 0.222, 50: 0.319}


def test_only_shuffles_by_the_walk_have_a_published_curve():
    settings = ("ngram=2", "ngram=2;method=paper", "ngram=3;method=paper")
    keys = [("gptneo1B", "shuffle", setting) for setting in settings]
    assert list(published.references(keys)) == [keys[1]]


@pytest.mark.parametrize(
    ("strategy", "top_k", "first"),
    [("mlm", 10, 0.8977), ("mlm", 100, 0.92), ("mlm", 1000, 0.948), ("mlm_random", 5, 0.909)],
)
def test_every_published_way_of_replacing_has_its_curve(strategy, top_k, first):
    for experiment, setting in published.replacement_settings(strategy, top_k):
        assert published.rho(experiment, "gptneo1B", setting)["rho_mean"].iloc[0] == pytest.approx(first, abs=1e-3)


@pytest.mark.parametrize(("strategy", "top_k"), [("mlm", 50), ("random", 10)])
def test_another_way_of_replacing_has_none(strategy, top_k):
    assert published.replacement_settings(strategy, top_k) == []


def test_a_file_that_is_no_such_table_is_named(tmp_path):
    file = tmp_path / "aucs.csv"
    with pytest.raises(TesseraError, match=r"aucs\.csv"):
        published.measurements(file)
    file.write_text("model,seed\nx,1\n")
    with pytest.raises(TesseraError, match=r"aucs\.csv: no column 'variable'"):
        published.measurements(file)
    file.write_text("model,seed,variable,value,attack,auc\nx,1,sheep,1,loss,0.5\n")
    with pytest.raises(TesseraError, match="unknown variable 'sheep'"):
        published.measurements(file)


def test_references_as_a_table_have_a_row_for_each_level():
    keys = [("gptneo1B", "replace", ""), ("toy", "shuffle", "ngram=2;method=paper")]
    found = published.beside(published.references(keys, published.STAND_IN))
    assert tuple(found.columns) == published.BESIDE_COLUMNS
    own, others = found[found["model"] == "gptneo1B"], found[found["model"] == "toy"]
    assert list(own["level"]) == [1, 5, 10, 15, 20, 25, 50, 75]
    assert own["published_mean"].iloc[0] == 0.8977
    assert set(others["published_source"]) == {"published, gptneo1B"}
    assert others["level"].tolist() == pytest.approx([0.1 * i for i in range(1, 10)])
    assert {published.model_of(source, "gpt-neo-1.3B") for source in found["published_source"]} == {"gptneo1B"}
