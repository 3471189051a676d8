"""Figures, findings and the report, on a small synthetic sweep."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from lib.base import places
from lib.reporting import drawing, frames
from lib.studies.mosaic import auc_table, figures, findings, measurements, results, rho_table, words
from lib.studies.mosaic.figures import TrainingCurve
from lib.studies.mosaic.measurements import Record
from lib.studies.mosaic.published import Reference

TABLES = ("auc", "auc_means", "rho", "differences", "delong")
NAMES = ("loss", "ratio", "zlib", "lowercase", "min_k", "min_k_plus_plus", "loss_paper")


def record(kind, level, strength, seed=1, model="tiny", setting=""):
    stream = np.random.default_rng(seed)  # the same canaries at every level
    members, others = stream.normal(size=(2, 30))
    shifted = {name: members + strength * (1 - 0.05 * i) for i, name in enumerate(NAMES)}
    labels = {"model": model, "seed": seed, "kind": kind, "level": level, "setting": setting}
    return Record(labels, shifted, dict.fromkeys(NAMES, others), effective_copies=level * 0.95, nominal_copies=10)


def records(seeds=(1,), model="tiny"):
    exact = [record("exact", nu, 0.2 * nu, seed, model) for seed in seeds for nu in (1, 3, 5, 7, 10)]
    return exact + [record("replace", r, 1.8 - 0.02 * r, seed, model) for seed in seeds for r in (1, 25, 75)]


TRAINING = {
    ("tiny", nu): TrainingCurve(np.arange(3), np.linspace(5, 4.5, 3), np.linspace(0.5, 0.6, 3)) for nu in (1, 10)
}
REFERENCE = Reference("published", pd.DataFrame({"value": [1, 25, 75], "mean": [0.9, 0.4, 0.1], "std": [0.02] * 3}))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    description = results.MosaicDescription(
        title="Tiny <sweep>", summary=("Two & two.",), settings={"Learning rate": "2e-5"},
        provenance={"commit": "abc"}, warnings=("1 task is missing.",),
        published={("tiny", "replace", ""): REFERENCE}, published_auc={("tiny", "exact", ""): REFERENCE},
    )  # fmt: skip
    measured = measurements.measure(records(), seed=1, n_bootstrap=50)
    for name in ("one", "two"):
        found = results.write(root, name, measured, description, records(), TRAINING)
    return root, found


def files_of(root, name):
    return {file.relative_to(places.sweep(root, name)): file for file in places.sweep(root, name).rglob("*.*")}


def test_everything_is_written_where_programs_look_for_it(written):
    root, _ = written
    found = {str(path) for path in files_of(root, "one")}
    rho = ("rho_replace_isotonic", "rho_replace_paper", "rho_replace_attacks")
    auc = ("auc_exact", "auc_exact_attacks", "auc_replace", "auc_replace_attacks")
    stems = (*auc, *rho, "roc", "training")
    assert found == (
        {f"tables/{name}.{suffix}" for name in TABLES for suffix in ("csv", "h5")}
        | {f"figures/{stem}.{suffix}" for stem in stems for suffix in ("png", "pdf", "svg")}
        | {f"tables/{name}.{suffix}" for name in ("auc", "rho", "differences", "delong") for suffix in ("md", "tex")}
        | {"tables/published.csv", "report.html", "report.json"}
    )


def test_the_same_inputs_give_the_same_bytes(written):
    root, _ = written
    one, two = files_of(root, "one"), files_of(root, "two")
    labelled = {path: file.read_bytes().replace(b"{tab:one:", b"{tab:two:") for path, file in one.items()}
    assert [path for path in one if labelled[path] != two[path].read_bytes()] == []


def test_figures_hold_no_date_and_no_version(written):
    root, _ = written
    folder = places.figures(root, "one")
    assert b"CreationDate" not in (folder / "roc.pdf").read_bytes()
    for suffix in ("png", "svg"):
        assert b"matplotlib" not in (folder / f"roc.{suffix}").read_bytes().lower()


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.tags = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.found += [value for name, value in attributes if name in ("src", "href")]


def test_the_report_needs_no_network_and_embeds_the_tables(written):
    root, found = written
    html = places.report(root, "one").read_text()
    page = Links()
    page.feed(html)
    beside = [link for link in page.found if not re.match(r"(data:|#)", link)]
    assert set(beside) == {str(path) for path in files_of(root, "one")} - {"report.html", "tables/published.csv"}
    assert not re.search(r"url\((?!#)", html)
    assert page.tags.count("svg") == 9
    tables_ = [
        base64.b64decode(link.split("base64,")[1]).decode() for link in page.found if link.startswith("data:text")
    ]
    assert tables_ == [frames.to_csv(found[name]) for name in ("auc", "rho", "differences", "delong")]
    assert len(pd.read_csv(io.StringIO(tables_[1]))) == len(found["rho"])


def test_the_report_says_what_was_done(written):
    root, _ = written
    html = places.report(root, "one").read_text()
    for text in ("Tiny &lt;sweep&gt;", "Two &amp; two.", "Learning rate", "2e-5", "abc", "1 task is missing."):
        assert text in html
    assert "cut some of the injected copies" in html


def shown_of(records, n_bootstrap=50):
    measured = measurements.measure(records, seed=1, n_bootstrap=n_bootstrap)
    found = results.make(measured, records)
    return {one.name: one for one in results.shown(found, results.MosaicDescription("t"), {}, n_bootstrap)}


def test_captions_say_how_many_seeds_and_draws_there_are():
    for seeds, said in (((1,), "one seed."), ((1, 2), "mean over 2 seeds.")):
        for name in ("auc", "rho", "differences"):
            caption = shown_of(records(seeds), 30)[name].caption
            assert f"{said} Intervals are 95 % over canaries (percentile bootstrap, 30 draws)." in caption


def test_an_auc_near_one_half_is_a_result_and_a_perfect_one_is_explained():
    perfect = [record("exact", nu, strength) for nu, strength in ((1, 0), (10, 50))]
    table = shown_of(perfect)["auc"]
    cells = [cell for row in table.rows for cell in row]
    assert not any("†" in cell for cell in cells)
    assert "†" not in table.caption
    assert "1.000 [1.000, 1.000]" in cells
    assert results.PERFECT in table.caption
    assert results.PERFECT not in shown_of(records())["auc"].caption


def drawn_lines(figure):
    return {line.get_label(): line for axes in figure.axes for line in axes.get_lines()}


def test_figures_draw_the_numbers_of_the_table(written):
    _, found = written
    figure = figures.rho_figure(found["rho"], "isotonic", published={("tiny", "replace", ""): REFERENCE})
    (axes,) = figure.axes
    labels = [container.get_label() for container in axes.containers]
    assert labels == ["published", "loss", "ratio", "zlib", "lowercase", "min-k", "min-k++"]
    rho = found["rho"]
    mine = rho[(rho["attack"] == "loss") & (rho["variant"] == "corrected") & (rho["estimator"] == "isotonic")]
    expected = mine[mine["seed"].notna()].sort_values("level")["rho"]
    np.testing.assert_allclose(axes.containers[1].lines[0].get_ydata(orig=False), expected)
    low, high = axes.get_ylim()
    assert low < 0 < 1 < high


def test_what_is_no_result_is_not_in_the_headline_figure(written):
    _, found = written
    rho = found["rho"].assign(**dict.fromkeys(rho_table.NO_RESULT, False))
    rho.loc[(rho["level"] == 25) & rho["seed"].isna(), "flat"] = True  # the mean over seeds decides
    (axes,) = figures.rho_figure(rho, attack="ratio").axes
    (line,) = axes.containers
    np.testing.assert_allclose(line.lines[0].get_xdata(), [1, 75])
    assert line.get_label() == "ratio"


def test_published_curves_of_several_settings_have_a_name_each_and_a_caption_only_if_they_are_drawn(written):
    _, found = written
    rho = found["rho"].assign(**dict.fromkeys(rho_table.NO_RESULT, False))
    two = pd.concat([rho.assign(setting=setting) for setting in ("k=10", "k=100")], ignore_index=True)
    theirs = {
        ("tiny", "replace", setting): Reference("published", REFERENCE.curve.copy()) for setting in ("k=10", "k=100")
    }
    (axes,) = figures.rho_figure(two, attack="ratio", published=theirs).axes
    labels = [container.get_label() for container in axes.containers]
    assert labels == ["published, k = 10", "published, k = 100", "k = 10", "k = 100"]
    for model, said in (("tiny", True), ("another", False)):
        description = results.MosaicDescription("t", published={(model, "replace", ""): REFERENCE})
        drawn = {one.name: one.caption for one in results.draw({**found, "rho": rho}, description)}
        assert ("Grey: what was published of tiny (" in drawn["rho_replace_isotonic"]) == said
        assert "Grey lines in the other panels: the ratio attack." in drawn["rho_replace_attacks"]


def test_one_level_leaves_no_lines_of_another_attack_behind_and_no_word_of_them(written):
    _, found = written
    rho = found["rho"].assign(**dict.fromkeys(rho_table.NO_RESULT, False))
    for levels, said in (((1, 25, 75), True), ((25,), False)):
        figure = figures.attacks_figure(rho[rho["level"].isin(levels)])
        assert figures.has_curves_behind(figure) == said


def test_without_any_result_there_is_no_headline_figure(written):
    _, found = written
    rho = found["rho"].assign(at_chance=True)
    drawn = results.draw({"auc": found["auc"], "rho": rho}, results.MosaicDescription("t"))
    assert "Grey lines" not in drawn[-1].caption  # the main attack has none
    assert [item.name for item in drawn] == [
        "auc_exact",
        "auc_exact_attacks",
        "auc_replace",
        "auc_replace_attacks",
        "rho_replace_attacks",
    ]


def test_every_attack_has_a_panel_with_the_main_one_in_grey_and_hollow_points_for_what_is_no_result(written):
    _, found = written
    rho = found["rho"].assign(**dict.fromkeys(rho_table.NO_RESULT, False))
    rho.loc[(rho["level"] == 25) & (rho["attack"] == "zlib"), "clamped"] = True
    panels = {axes.get_title(): axes for axes in figures.attacks_figure(rho).axes if axes.get_visible()}
    assert list(panels) == ["loss", "ratio", "zlib", "lowercase", "min-k", "min-k++"]
    ours = panels["ratio"].containers[0].lines[0].get_ydata()
    for title, axes in panels.items():
        assert len(axes.containers[0].lines[0].get_ydata()) == (2 if title == "zlib" else 3)
        lines = [line for line in axes.get_lines() if line not in axes.containers[0].get_children()]
        assert [len(line.get_ydata()) for line in lines] == {"ratio": [], "zlib": [3, 1]}.get(title, [3])
        assert all(np.allclose(line.get_ydata(), ours) for line in lines[:1])
    assert lines[0].get_fillstyle() == "full"
    assert panels["zlib"].get_lines()[-1].get_fillstyle() == "none"


def test_the_auc_of_the_main_attack_stands_beside_the_published_one(written):
    _, found = written
    (axes,) = figures.auc_figure(found["auc"], attack="ratio", published={("tiny", "exact", ""): REFERENCE}).axes
    assert [line.get_label() for line in axes.containers] == ["published", "ratio"]
    np.testing.assert_allclose(axes.containers[0].lines[0].get_ydata(orig=False), REFERENCE.curve["mean"])


def test_the_auc_of_every_attack_has_a_panel_with_the_main_one_in_grey(written):
    _, found = written
    auc = found["auc"]
    figure = figures.auc_attacks_figure(auc, "exact", "corrected", "ratio")
    panels = {axes.get_title(): axes for axes in figure.axes if axes.get_visible()}
    assert list(panels) == ["loss", "ratio", "zlib", "lowercase", "min-k", "min-k++"]
    values = auc[(auc["kind"] == "exact") & (auc["variant"] == "corrected")].groupby("attack")["auc"].apply(list)
    for title, axes in panels.items():
        name = {"min-k": "min_k", "min-k++": "min_k_plus_plus"}.get(title, title)
        np.testing.assert_allclose(axes.containers[0].lines[0].get_ydata(orig=False), values[name])
        grey = [line.get_ydata() for line in axes.get_lines() if line.get_color() == "#9a9a9a"]
        assert len(grey) == (title != "ratio")
        assert all(np.allclose(line, values["ratio"]) for line in grey)


def test_levels_that_span_decades_have_room_at_both_ends():
    wide = [record("exact", nu, 0.2 * nu) for nu in (1, 3, 5, 7, 10)]
    wide += [record("replace", r, 1.8 - 0.02 * r) for r in (1, 5, 10, 15, 20, 25, 50, 75)]
    auc = auc_table.make(measurements.measure(wide, seed=1, n_bootstrap=10))
    (axes,) = figures.auc_figure(auc, "replace").axes
    places = axes.transAxes.inverted().transform(axes.transData.transform([(r, 0.5) for r in (1, 25, 75)]))[:, 0]
    assert 0 < places[0] < 0.1
    assert 0.4 < places[1] < 0.6
    assert 0.9 < places[2] < 1


def test_several_seeds_are_drawn_as_mean_and_standard_deviation():
    auc = auc_table.make(measurements.measure(records(seeds=(1, 2, 3)), seed=1, n_bootstrap=20))
    (axes,) = figures.auc_figure(auc).axes
    mine = auc[(auc["attack"] == "loss") & (auc["variant"] == "corrected") & (auc["kind"] == "exact")]
    container = axes.containers[0]
    np.testing.assert_allclose(container.lines[0].get_ydata(orig=False), mine.groupby("level")["auc"].mean())
    bar = container.lines[2][0].get_segments()[2]
    values = mine[mine["level"] == 5]["auc"].to_numpy()
    assert bar[1][1] - bar[0][1] == pytest.approx(2 * values.std())


def test_lines_without_a_style_of_their_own_are_told_apart():
    assert len({line[:2] for line in drawing.LINES}) == len(drawing.LINES)


@pytest.mark.parametrize("models", [1, 3])
def test_nothing_is_cut_off_or_overlaps(models):
    labels = [f"model_{i}" for i in range(models)]
    found = [r for model in labels for r in records(model=model)]
    figure = figures.auc_figure(auc_table.make(measurements.measure(found, seed=1, n_bootstrap=10)))
    figure.draw_without_rendering()
    renderer, page = FigureCanvasAgg(figure).get_renderer(), figure.bbox
    boxes = [axes.get_tightbbox(renderer) for axes in figure.axes if axes.get_visible()]
    (legend,) = [item.get_window_extent(renderer) for item in figure.legends]
    for box in (*boxes, legend):
        assert box.x0 >= page.x0 - 1
        assert box.x1 <= page.x1 + 1
        assert box.y0 >= page.y0 - 1
        assert box.y1 <= page.y1 + 1
    assert not any(box.overlaps(legend) for box in boxes)


def test_the_roc_is_that_of_the_scores():
    figure = figures.roc_figure(records(), level=10)
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    line = drawn_lines(figure)["loss"]
    chosen = next(r for r in records() if r.labels["kind"] == "exact" and r.labels["level"] == 10)
    for fpr, tpr in zip(line.get_xdata(), line.get_ydata()):
        allowed = [np.mean(chosen.members["loss"] >= t) for t in [*chosen.non_members["loss"], *chosen.members["loss"]]
                   if np.mean(chosen.non_members["loss"] >= t) <= fpr + 1e-12]  # fmt: skip
        assert tpr == pytest.approx(max(allowed))


SHUFFLED = ("ngram=2", "ngram=10", "ngram=2;method=paper")


def shuffled(models=("tiny",)):
    """Shuffles in three settings, and a learning rate with exact copies of its own."""
    found = [r for model in models for r in records(model=model)]
    for model in models:
        found += [record("shuffle", tau, (1.8 - tau) / (1 + i), model=model, setting=setting)
                  for i, setting in enumerate(SHUFFLED) for tau in (0.1, 0.5, 0.9)]  # fmt: skip
        found += [record("exact", nu, 0.4 * nu, model=model, setting="learning_rate=0.1") for nu in (1, 4)]
        found += [record("replace", 25, 1.0, model=model, setting="learning_rate=0.1")]
    return found


@pytest.fixture(scope="module")
def grouped(tmp_path_factory):
    root = tmp_path_factory.mktemp("grouped")
    references = {("tiny", "shuffle", setting): REFERENCE for setting in SHUFFLED[::2]}
    description = results.MosaicDescription(title="Grouped", published=references)
    found = results.write(
        root, "all", measurements.measure(shuffled(), seed=1, n_bootstrap=20), description, shuffled()
    )
    return root, found


def test_a_kind_with_several_settings_has_a_line_each(grouped):
    root, found = grouped
    stems = {file.stem for file in places.figures(root, "all").glob("*.png")}
    assert {"rho_shuffle_isotonic", "auc_shuffle", "rho_replace_isotonic", "auc_exact"} <= stems
    figure = figures.rho_figure(found["rho"], kind="shuffle", attack="ratio")
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.containers] == ["n = 2", "n = 2, published walk", "n = 10"]
    rows = found["rho"][found["rho"]["seed"].notna() & (found["rho"]["attack"] == "ratio")]
    rows = rows[(rows["setting"] == "ngram=10") & (rows["estimator"] == "isotonic")]
    np.testing.assert_allclose(axes.containers[2].lines[0].get_ydata(), rows.sort_values("level")["rho"])


def test_a_published_curve_that_settings_share_is_drawn_once_with_their_marker(grouped):
    _, found = grouped
    references = {("tiny", "shuffle", setting): REFERENCE for setting in SHUFFLED[::2]}
    (axes,) = figures.rho_figure(found["rho"], kind="shuffle", attack="ratio", published=references).axes
    lines = {container.get_label(): container.lines[0] for container in axes.containers}
    assert [container.get_label() for container in axes.containers].count("published") == 1
    assert lines["published"].get_marker() == lines["n = 2"].get_marker()
    assert lines["published"].get_color() not in {line.get_color() for name, line in lines.items() if name[0] == "n"}


def test_settings_look_the_same_in_every_panel():
    found = [r for r in shuffled(("a", "b")) if (r.labels["model"], r.labels["setting"]) != ("a", "ngram=2")]
    rho = rho_table.make(measurements.measure(found, seed=1, n_bootstrap=5))
    first, second = figures.rho_figure(rho, kind="shuffle", attack="ratio").axes
    colours = [{c.get_label(): c.lines[0].get_color() for c in axes.containers} for axes in (first, second)]
    assert len(colours[1]) == 3
    assert colours[0].items() <= colours[1].items()


def test_the_report_has_a_table_for_each_kind(grouped):
    root, found = grouped
    html = places.report(root, "all").read_text()
    for kind in ("replace", "shuffle"):
        assert f'download="rho_{kind}.csv"' in html
    (text,) = findings.in_words(found["auc_means"], found["rho"], "corrected")
    for phrase in ("(n = 2, published walk) is worth", "(rate = 0.1) is worth", "at τ = 0.1 and", "after ν = 10 exact"):
        assert phrase in text


def test_the_roc_is_of_the_default_setting(grouped):
    default = [r for r in shuffled() if not r.labels["setting"]]
    lines = [drawn_lines(figures.roc_figure(found, level=None))["loss"] for found in (shuffled(), default)]
    np.testing.assert_array_equal(lines[0].get_ydata(), lines[1].get_ydata())


def test_the_roc_is_drawn_where_another_setting_has_more_copies():
    more = [record("exact", nu, 1.0, setting=setting) for nu, setting in ((1, ""), (4, ""), (10, "learning_rate=1"))]
    tables = {"auc": auc_table.make([]), "rho": rho_table.make([])}
    drawn = results.draw(tables, results.MosaicDescription("t"), more)
    assert [item.title for item in drawn] == ["ROC after 4 exact copies"]


def test_levels_are_marked_at_whole_numbers():
    one_level = [r for r in records() if r.labels["kind"] == "exact" or r.labels["level"] == 25]
    auc = auc_table.make(measurements.measure(one_level, seed=1, n_bootstrap=10))
    for kind in ("exact", "replace"):
        (axes,) = figures.auc_figure(auc, kind).axes
        ticks = axes.get_xticks()
        assert len(ticks) >= 1
        assert (ticks == np.round(ticks)).all()


def test_nothing_to_draw_is_an_error():
    with pytest.raises(ValueError, match="nothing to draw"):
        figures.auc_figure(auc_table.make([]))


def test_the_findings_speak_of_the_main_attack_and_give_its_numbers(written):
    _, found = written
    (text,) = findings.in_words(found["auc_means"], found["rho"], "corrected")
    row = found["auc_means"].set_index(["attack", "variant", "kind", "level"]).loc["ratio", "corrected", "exact", 10]
    assert text.startswith("tiny: the AUC of the ratio attack is ")
    assert f"{row['auc']:.3f} [{row['auc_low']:.3f}, {row['auc_high']:.3f}] after ν = 10" in text
    assert "half of the effect is left near R =" in text


def test_sentences_leave_out_what_is_no_result(written):
    _, found = written
    rho = found["rho"].copy()
    for levels, text in (((75,), "at R = 25 (isotonic"), ((1, 25, 75), "no estimate of ρ is a result")):
        rho.loc[rho["level"].isin(levels), "at_chance"] = True
        (said,) = findings.in_words(found["auc_means"], rho, "corrected")
        assert text in said


def test_one_attack_speaks_everywhere():
    """The published one where it was scored, else the first of the list; nothing else decides."""
    assert words.main_attack(["ez", "ratio", "loss"]) == "ratio"
    assert words.main_attack(["minkprob", "zlib", "min_k"]) == "zlib"
    assert words.main_attack([]) == "ratio"


def test_an_auc_before_training_is_told_and_warned_of():
    def said(auc):
        curve = TrainingCurve(np.arange(2), np.array([4.0, 3.9]), np.array([auc, 0.9]))
        return [
            told({("tiny", 1): curve}, records()) for told in (findings.before_training, findings.apart_before_training)
        ]

    spread = mannwhitney_spread(30, 30)
    for auc, apart in ((0.5 + 1.9 * spread, False), (0.5 + 2.05 * spread, True), (0.5 - 2.05 * spread, True)):
        (text,), warned = said(auc)
        assert f"is {auc:.3f}; guessing gives 0.35" in text
        assert bool(warned) == apart


def mannwhitney_spread(n, m):
    """The standard deviation of the AUC of scores that do not differ, from 20,000 of them."""
    scores = np.random.default_rng(0).random((20_000, n + m)).argsort(axis=1).argsort(axis=1)
    aucs = (scores[:, :n].sum(axis=1) - n * (n - 1) / 2) / (n * m)
    return aucs.std()


def test_warnings_count_the_flags_and_name_the_settings(written):
    _, found = written
    rho = found["rho"].copy()
    assert not [text for text in findings.warnings(found["auc"], rho) if "clamped" in text]
    row = rho.index[rho["seed"].notna()][0]
    rho.loc[row, ["clamped", "extrapolated", "flat"]] = True
    texts = " ".join(findings.warnings(found["auc"], rho))
    setting = f"tiny {words.label_of(rho.loc[row, 'attack'])} replace {rho.loc[row, 'level']:g}"
    total = int(rho["seed"].notna().sum())
    assert texts.count(f"1 of {total} estimates") == 3
    assert texts.count(setting) == 3


def test_a_baseline_away_from_one_half_is_a_warning():
    apart = Record(
        {"model": "tiny", "seed": 1, "kind": "none", "level": 0},
        {"bag_of_words": np.arange(30.0) + 20},
        {"bag_of_words": np.arange(30.0)},
    )
    measured = measurements.measure([*records(), apart], seed=1, n_bootstrap=50)
    auc, rho = auc_table.make(measured), rho_table.make(measured)
    assert "bag_of_words" not in set(rho["attack"])
    assert any("differ in their texts" in text for text in findings.warnings(auc, rho))
    auc.loc[auc["kind"] == "none", "setting"] = "length=50"
    assert any(text.startswith("tiny, seed 1 (length = 50): ") for text in findings.warnings(auc, rho))


def test_a_held_out_loss_that_rises_is_a_warning():
    def curve(*loss):
        return figures.TrainingCurve(np.arange(len(loss)), np.array(loss), np.full(len(loss), 0.5))

    falls, rises = curve(4.2, 4.3, 4.1), curve(4.2, 4.3, 4.4)
    assert findings.forgetting({("m", 1): falls}) == []
    (text,) = findings.forgetting({("m", 10): rises, ("m", 1): falls})
    assert "m from 4.20 to 4.40 (ν = 10)." in text
