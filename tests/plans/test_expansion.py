import re
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from lib.artifacts import stage
from lib.base import config
from lib.base.errors import UsageError
from lib.costs.facts import Facts
from lib.models.hub import HubItem
from lib.plans import documents, expansion, overrides, rates, tasks
from lib.plans import plan as plans
from lib.plans.resources import Resources


@dataclass(frozen=True)
class Make:
    seed: int
    size: int = 3
    batch_size: int = config.execution(8)


@dataclass(frozen=True)
class Use:
    rate: float = 0.5
    repo: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class Join:
    pass


STAGES = {
    "make": stage.Stage("make", 1, (), (), (), False, ("seed",), Make, None),
    "join": stage.Stage("join", 1, ("parts",), (), ("parts",), True, (), Join, None),
    "use": stage.Stage(
        "use",
        1,
        ("data",),
        ("extra",),
        (),
        False,
        (),
        Use,
        SimpleNamespace(hub=lambda values: [HubItem("model", values.repo, values.revision)]),
    ),
}


@pytest.fixture(autouse=True)
def stages(monkeypatch) -> None:
    monkeypatch.setattr(tasks, "load", lambda name: STAGES[name])


def document(**changes) -> dict:
    base = {
        "name": "example",
        "vars": {"seeds": [1, 2], "rates": {"small": 0.1, "large": 2}},
        "nodes": {
            "data_a": {"stage": "make", "config": {"seed": "${seed}"}},
            "data_b": {"stage": "make", "config": {"seed": "${seed}", "size": 9}},
            "result": {
                "stage": "use",
                "config": {"rate": "${rates.${model}}"},
                "inputs": {"data": "data_${kind}"},
                "resources": {"cpus": 2},
            },
        },
        "leaves": [{"node": "result", "grid": {"model": ["small", "large"], "seed": "${seeds}", "kind": ["a", "b"]}}],
    }
    return documents.merge(base, changes)


def test_the_graph_holds_every_distinct_task_once() -> None:
    plan = expansion.expand(document(), "p")
    stages = [task.stage for task in plan.tasks.values()]
    assert (stages.count("make"), stages.count("use"), len(plan.leaves)) == (4, 8, 8)


def test_inputs_come_before_their_users() -> None:
    plan = expansion.expand(document(), "p")
    order = list(plan.tasks)
    assert all(order.index(need) < order.index(d) for d, task in plan.tasks.items() for need in task.needs())


def test_variables_keep_their_type_and_nest() -> None:
    plan = expansion.expand(document(), "p")
    assert {task.config["rate"] for task in plan.tasks.values() if task.stage == "use"} == {0.1, 2.0}


def test_whether_texts_are_shown_is_a_variable_that_moves_no_digest() -> None:
    shown, hidden = (expansion.expand(document(**more), "p") for more in ({}, {"vars": {"show_texts": False}}))
    assert (shown.show_texts, hidden.show_texts) == (True, False)
    assert list(shown.tasks) == list(hidden.tasks)
    with pytest.raises(UsageError, match="show_texts: must be true or false, found 'no'"):
        expansion.expand(document(vars={"show_texts": "no"}), "p")


def test_a_leaf_knows_its_point_and_every_task_below() -> None:
    leaf = expansion.expand(document(), "p").leaves[0]
    assert leaf.labels == {"model": "small", "seed": 1, "kind": "a"}
    assert set(leaf.nodes) == {"result", "data_a"}


def test_execution_fields_and_resources_do_not_move_digests() -> None:
    plain = expansion.expand(document(), "p")
    other = document()
    other["nodes"]["data_a"]["config"]["batch_size"] = 1
    other["nodes"]["result"]["resources"] = {"hours": 9}
    assert set(expansion.expand(other, "p").tasks) == set(plain.tasks)


def test_a_new_version_of_a_stage_moves_its_digest_and_its_users(monkeypatch) -> None:
    plain = expansion.expand(document(), "p")
    newer = {**STAGES, "make": stage.Stage("make", 2, (), (), (), False, ("seed",), Make, None)}
    monkeypatch.setattr(tasks, "load", lambda name: newer[name])
    assert not set(expansion.expand(document(), "p").tasks) & set(plain.tasks)


def test_branches_are_pinned_and_commits_left_alone() -> None:
    changed = document()
    changed["nodes"]["result"]["config"] |= {"repo": "a/b", "revision": "main"}
    plan = expansion.expand(changed, "p", {"model a/b at main": "f" * 40})
    assert {task.config["revision"] for task in plan.tasks.values() if task.stage == "use"} == {"f" * 40}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"leaves": [{"node": "resutl"}]}, "no node 'resutl'; did you mean 'result'"),
        ({"leaves": []}, "no leaves"),
        ({"leaves": [{"node": "result", "grd": {}}]}, "unknown key 'grd'; did you mean 'grid'"),
        ({"nodes": {"result": {"config": {"rat": 1}}}}, "node result: unknown key 'rat'; did you mean 'rate'"),
        ({"nodes": {"result": {"config": {"rate": "${rate}"}}}}, "no variable 'rate'; did you mean 'rates'"),
        ({"nodes": {"result": {"config": {"rate": "${rates.lage}"}}}}, "did you mean 'large'"),
        ({"nodes": {"result": {"inputs": {"data": "data_c"}}}}, "no node 'data_c'"),
        ({"nodes": {"result": {"inputs": {"dta": "data_a"}}}}, "unknown input 'dta'; did you mean 'data'"),
        ({"nodes": {"result": {"inputs": {"data": None}}}}, "missing input 'data'"),
        ({"nodes": {"result": {"inputs": {"data": "result"}}}}, "in a circle: result -> result"),
        ({"nodes": {"result": {"resources": {"cpu": 1}}}}, "unknown key 'cpu'; did you mean 'cpus'"),
        ({"nodes": {"result": {"confg": {}}}}, "unknown key 'confg'; did you mean 'config'"),
        ({"vars": {"seeds": "${seeds}"}}, "refers to itself"),
        (
            {"nodes": {"result": {"inputs": {"data": ["data_a"]}}}},
            "node result: input 'data': must be a node's name or",
        ),
        (
            {"nodes": {"result": {"inputs": {"data": {"each": ["data_a"]}}}}},
            "node result: input 'data': must be a node",
        ),
        ({"nodes": {"result": {"stage": ["use"]}}}, "node result: stage: must be a stage's name, found"),
        ({"leaves": [{"node": ["result"]}]}, "leaf .*: node: must be a node's name, found"),
        ({"leaves": [{"node": "result"}, {"grid": {}}]}, "sweep example: leaves: number 2: missing key 'node'"),
        ({"leaves": ["result"]}, "sweep example: leaves: number 1: must be a mapping"),
        ({"leaves": {"node": "result"}}, "sweep example: leaves: must be a list of {node, grid, with}"),
        ({"leaves": [{"node": "result", "grid": ["a"]}]}, "leaves: number 1: grid: must be a mapping"),
        ({"leaves": [{"node": "result", "with": ["a"]}]}, "leaves: number 1: with: must be a mapping"),
    ],
)
def test_mistakes_are_named(change, message) -> None:
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        expansion.expand(document(**change), "p")


def test_settings_reach_variables_and_nodes() -> None:
    changed = document()
    overrides.apply(changed, "seeds=[5]")
    overrides.apply(changed, "nodes.data_a.config.size=4")
    tasks = expansion.expand(changed, "p").tasks.values()
    assert {(t.config["seed"], t.config["size"]) for t in tasks if t.stage == "make"} == {(5, 4), (5, 9)}


def test_a_setting_reaches_an_entry_whose_name_is_a_number() -> None:
    changed = document(vars={"sizes": {5: 1, 6.5: {"a": 1}}})
    overrides.apply(changed, "sizes.5=2")
    overrides.apply(changed, "sizes.6.5.a=3")
    assert changed["vars"]["sizes"] == {5: 2, 6.5: {"a": 3}}
    with pytest.raises(UsageError, match=r"--set sizes\.7=1: no '7'; known: 5, 6\.5"):
        overrides.apply(changed, "sizes.7=1")


@pytest.mark.parametrize(
    ("setting", "message"),
    [("seed=[1]", "no 'seed'; did you mean 'seeds'"), ("seeds", "key=value"), ("nodes.daat_a.config.size=1", "data_a")],
)
def test_wrong_settings_are_named(setting, message) -> None:
    with pytest.raises(UsageError, match=message):
        overrides.apply(document(), setting)


@pytest.mark.parametrize(
    ("text", "value"), [("007", 7), ('"007"', "007"), ("1e-3", 0.001), ("on", "on"), ("1:30", "1:30"), ("[no]", ["no"])]
)
def test_a_setting_is_yaml_1_2_and_is_not_converted(text: str, value: object) -> None:
    changed = document()
    overrides.apply(changed, f"nodes.data_a.config.size={text}")
    assert changed["nodes"]["data_a"]["config"]["size"] == value
    if isinstance(value, int):
        assert expansion.expand(changed, "p").tasks
    else:
        with pytest.raises(UsageError, match=f"node data_a: size is {re.escape(repr(value))}; it must be int"):
            expansion.expand(changed, "p")


def test_work_grows_with_distinct_tasks_not_with_leaves(monkeypatch) -> None:
    built = []
    monkeypatch.setattr(config, "build", lambda cls, *rest, build=config.build: built.append(cls) or build(cls, *rest))
    plan = expansion.expand(document(vars={"seeds": list(range(200))}), "p")
    assert built.count(Make) == 400
    assert built.count(Use) == len(plan.leaves) == 800


@pytest.mark.parametrize("setting", ["vars=1", "nodes.result.config=5", "nodes.result.inputs=5", "seeds=[1,1]"])
def test_settings_that_break_a_sweep_are_usage_errors(setting) -> None:
    def use() -> None:
        changed = document()
        overrides.apply(changed, setting)
        expansion.expand(changed, "p")

    with pytest.raises(UsageError):
        use()


def joined(parts, **variables) -> plans.Plan:
    nodes = {
        "part": {"stage": "make", "config": {"seed": "${seed}", "size": "${chunk}"}},
        "all": {"stage": "join", "inputs": {"parts": parts}, "resources": {"ranks": 4}},
    }
    leaves = [{"node": "all", "grid": {"seed": "${seeds}"}}]
    return expansion.expand({"name": "x", "vars": {"seeds": [1], **variables}, "nodes": nodes, "leaves": leaves}, "p")


@pytest.mark.parametrize(("chunks", "sizes"), [(3, [0, 1, 2]), ([5, 2], [5, 2]), (7, list(range(7)))])
def test_each_gives_a_list_of_a_node_at_every_value_in_that_order(chunks, sizes) -> None:
    plan = joined({"each": "part", "chunk": "${chunks}"}, chunks=chunks)
    last = plan.tasks[plan.leaves[0].digest]
    assert [plan.tasks[digest].config["size"] for digest in last.inputs["parts"]] == sizes
    assert last.needs() == last.inputs["parts"]
    assert len(plan.tasks) == len(sizes) + 1


def test_the_variable_of_each_is_bound_there_and_others_stay_free() -> None:
    plan = joined({"each": "part", "chunk": [0, 1]}, seeds=[1, 2])
    assert len(plan.tasks) == 2 * 3
    first, second = (plan.tasks[leaf.digest] for leaf in plan.leaves)
    assert not set(first.inputs["parts"]) & set(second.inputs["parts"])


def test_one_node_for_an_input_that_may_be_several_is_a_list_of_one() -> None:
    plan = joined("part", chunk=4)
    assert len(plan.tasks[plan.leaves[0].digest].inputs["parts"]) == 1


def test_another_order_or_number_of_parts_is_another_task() -> None:
    digests = {
        joined({"each": "part", "chunk": chunks}).leaves[0].digest for chunks in ([0, 1], [1, 0], [0], [0, 1, 2])
    }
    assert len(digests) == 4


def test_a_mapping_without_each_is_refused() -> None:
    with pytest.raises(UsageError, match="each: node"):
        joined({"every": "part", "chunk": [1]})


def test_the_stage_says_that_its_ranks_are_those_of_mpi() -> None:
    plan = joined({"each": "part", "chunk": 2})
    assert {task.stage: (task.resources.mpi, task.resources.cores) for task in plan.tasks.values()} == {
        "make": (False, 1),
        "join": (True, 4),
    }


def test_hours_and_memory_of_a_pass_over_a_corpus_follow_from_its_rate(monkeypatch) -> None:
    monkeypatch.setitem(rates.RATES, "join", rates.Rate(core_ns=36.0, memory_bytes=8.0))
    asked = Resources(ranks=10, tokens=1e12, hours=1)
    applied = rates.applied("join", asked)
    assert applied.expected_hours == pytest.approx(1.0 + rates.START_SECONDS / 3600)
    assert applied.hours == pytest.approx(rates.SAFETY * applied.expected_hours)
    assert applied.memory_gb == pytest.approx(rates.BASE_GB + 800)
    assert rates.applied("make", asked) == asked
    assert rates.applied("join", Resources(ranks=10)) == Resources(ranks=10)
    for facts in (Facts(text_bytes=rates.TEXT_BYTES * 1e12), Facts(text_bytes=2e12, token_bytes=2.0)):
        assert rates.applied("join", Resources(ranks=10, hours=1), facts) == applied
    assert rates.applied("join", asked, Facts(text_bytes=1.0)) == applied  # what is stated counts


@pytest.mark.parametrize(("corpus", "seed"), [("small", 1), ("/data/my.corpus", 3), ("large", 2)])
def test_a_star_stands_for_every_name_without_an_entry(corpus: str, seed: int) -> None:
    nodes = {
        "one": {"stage": "make", "config": {"seed": 1}},
        "two": {"stage": "make", "config": {"seed": 2}},
        "files": {"stage": "make", "config": {"seed": 3}},
        "result": {"stage": "use", "inputs": {"data": "${corpora.${corpus}}"}},
    }
    variables = {"corpus": corpus, "corpora": {"small": "one", "large": "two", "*": "files"}}
    plan = expansion.expand({"name": "x", "vars": variables, "nodes": nodes, "leaves": [{"node": "result"}]}, "p")
    assert [task.config["seed"] for task in plan.tasks.values() if task.stage == "make"] == [seed]


def test_each_with_one_value_is_one_node_for_an_input_that_takes_one() -> None:
    nodes = {
        "part": {"stage": "make", "config": {"seed": "${chunk}"}},
        "result": {"stage": "use", "inputs": {"data": {"each": "part", "chunk": "${chunks}"}}},
    }
    document = {"name": "x", "vars": {"chunks": [4]}, "nodes": nodes, "leaves": [{"node": "result"}]}
    plan = expansion.expand(document, "p")
    assert isinstance(plan.tasks[plan.leaves[0].digest].inputs["data"], str)
    with pytest.raises(UsageError, match="input 'data': must be one node"):
        expansion.expand(documents.merge(document, {"vars": {"chunks": [4, 5]}}), "p")


PROFILE_FILE = "vars: {seeds: [1]}\n"


def written(folder, sweep_text: str, common: str | None = None) -> None:
    (folder / "profiles").mkdir()
    (folder / "profiles" / "p.yaml").write_text(PROFILE_FILE)
    (folder / "s.yaml").write_text(sweep_text)
    if common is not None:
        (folder / "common.yaml").write_text(common)


def test_a_sweep_comes_over_what_it_includes_and_profiles_over_both(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(documents, "FOLDER", tmp_path)
    written(
        tmp_path,
        "name: s\ninclude: common.yaml\nvars: {b: 20}\nprofiles: {p: {vars: {d: 40}}}\n",
        "vars: {a: 1, b: 2, seeds: [9]}\nnodes: {n: {stage: make}}\nprofiles: {p: {vars: {a: 10, d: 4}}}\n",
    )
    document = documents.read("s", "p", [])
    assert document["vars"] == {"a": 10, "b": 20, "seeds": [1], "d": 40}
    assert document["nodes"] == {"n": {"stage": "make"}}
    assert not {"include", "profiles"} & set(document)


@pytest.mark.parametrize(
    ("common", "message"),
    [
        (None, "include: no file .*common.yaml"),
        ("leaves: []\n", "common.yaml: unknown key 'leaves'"),
        ("include: more.yaml\n", "common.yaml: include: no file .*more.yaml"),
        ("include: common.yaml\n", "include: .*common.yaml includes this file"),
        ("include: s.yaml\n", "include: .*s.yaml includes this file"),
    ],
)
def test_a_wrong_include_is_named(common, message, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(documents, "FOLDER", tmp_path)
    written(tmp_path, "name: s\ninclude: common.yaml\n", common)
    with pytest.raises(UsageError, match=message):
        documents.read("s", "p", [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: s\nprofiles: [1]\n", "s.yaml: profiles: must be a mapping"),
        ("name: s\nprofiles: {p: [1]}\n", "s.yaml: profiles: p: must be a mapping"),
        ("name: s\nprofiles: {p: {nodes: [a]}}\n", "s.yaml: profiles: p: nodes: must be a mapping"),
        ("name: s\nnodes: [a]\n", "s.yaml: nodes: must be a mapping"),
        ("name: s\nnodes: {1: {stage: make}}\n", "s.yaml: nodes: the name 1 must be text"),
        ("name: s\nvars: [a]\n", "s.yaml: vars: must be a mapping"),
        ("name: 5\n", "s.yaml: name: must be text, found 5"),
        ("name: s\nsweeps: one\n", "s.yaml: sweeps: must be a list of names of sweeps, found 'one'"),
        ("name: s\nsweeps: [[one]]\n", "s.yaml: sweeps: must be a list of names"),
        ("name: s\nsweeps:\n", "s.yaml: sweeps: must be a list of names"),
        ("name: s\ninclude: common.yaml\n", "common.yaml: nodes: must be a mapping"),
    ],
)
def test_a_file_that_is_not_as_it_must_be_is_named_with_the_key(text, message, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(documents, "FOLDER", tmp_path)
    written(tmp_path, text, "nodes: [a]\n")
    with pytest.raises(UsageError, match=message):
        documents.read("s", "p", [])


def test_a_profile_that_is_not_as_it_must_be_is_named_with_the_key(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(documents, "FOLDER", tmp_path)
    written(tmp_path, "name: s\n")
    (tmp_path / "profiles" / "p.yaml").write_text("vars: [a]\n")
    with pytest.raises(UsageError, match=r"p\.yaml: vars: must be a mapping"):
        documents.read("s", "p", [])


def test_what_is_included_may_include(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(documents, "FOLDER", tmp_path)
    written(tmp_path, "name: s\ninclude: common.yaml\nvars: {a: 1}\n", "include: below.yaml\nvars: {a: 2, b: 2}\n")
    (tmp_path / "below.yaml").write_text("vars: {a: 3, b: 3, c: 3}\n")
    assert documents.read("s", "p", [])["vars"] == {"a": 1, "b": 2, "c": 3, "seeds": [1]}


def test_a_node_with_a_star_stands_for_every_name_that_has_none() -> None:
    star = {"stage": "make", "config": {"seed": "${sizes.${*}.seed}"}}
    own = {"stage": "make", "config": {"seed": 9}}
    changed = document(vars={"sizes": {"small": {"seed": 1}}}, nodes={"data_*": star, "data_large": own})
    for node in ("data_a", "data_b"):
        del changed["nodes"][node]
    changed["nodes"]["result"]["inputs"] = {"data": "data_${model}"}
    plan = expansion.expand(changed, "p")
    seeds = {(leaf.labels["model"], plan.tasks[plan.tasks[leaf.digest].inputs["data"]].config["seed"])
             for leaf in plan.leaves}  # fmt: skip
    assert seeds == {("small", 1), ("large", 9)}
    assert {task.node for task in plan.tasks.values()} >= {"data_small", "data_large"}
    changed["nodes"]["result"]["inputs"] = {"data": "data_other"}
    changed["vars"]["wanted"] = ["small", "other"]
    with pytest.raises(UsageError, match=r"node data_other: no variable 'sizes.other.seed', which wanted asks for"):
        expansion.expand(changed, "p")


def test_an_entry_without_a_stage_comes_over_the_longest_star() -> None:
    star = {"stage": "make", "config": {"seed": 1}, "resources": {"cpus": 2}}
    longer = {"stage": "make", "config": {"seed": 2}}
    nodes = {"data_*": star, "data_large*": longer, "data_small": {"resources": {"cpus": 7}}}
    changed = document(nodes=nodes)
    del changed["nodes"]["data_a"], changed["nodes"]["data_b"]
    changed["nodes"]["result"]["inputs"] = {"data": "data_${model}"}
    changed["vars"]["rates"] = {"small": 0.1, "large_2": 2}
    changed["leaves"][0]["grid"]["model"] = ["small", "large_2"]
    made = {task.node: task for task in expansion.expand(changed, "p").tasks.values()}
    assert (made["data_small"].config["seed"], made["data_small"].resources.cpus) == (1, 7)
    assert made["data_large_2"].config["seed"] == 2


@pytest.mark.parametrize(
    ("nodes", "node", "message"),
    [
        ({"data_*": {"stage": "make"}}, "data_", "no node 'data_'"),
        ({"data_*x": {"stage": "make"}}, "data_ax", "a star must be the last character"),
        ({"data_*": {"stage": "use", "inputs": {"data": "data_${*}x"}}}, "data_a", "in a circle: data_a -> data_ax"),
        ({7: {"stage": "make"}}, "data_a", "no node 'data_a'"),
    ],
)
def test_a_star_that_cannot_stand_for_a_node_is_an_error(nodes: dict, node: str, message: str) -> None:
    changed = {"name": "s", "nodes": nodes, "leaves": [{"node": node, "grid": {"seed": [1]}}]}
    with pytest.raises(UsageError, match=message):
        expansion.expand(changed, "p")


def test_a_setting_comes_over_a_star() -> None:
    changed = document(nodes={"model_*": {"stage": "make", "config": {"seed": 1}}})
    overrides.apply(changed, "nodes.model_big.resources.cpus=3")
    assert changed["nodes"]["model_big"] == {"resources": {"cpus": 3}}
    with pytest.raises(UsageError, match="no 'nodel_big'"):
        overrides.apply(changed, "nodes.nodel_big.resources.cpus=3")


@pytest.mark.parametrize("name", ["model_pythia-2.8b", "model_llama_3.2_1B"])
def test_a_setting_comes_over_a_star_for_a_name_with_dots(name) -> None:
    changed = document(nodes={"model_*": {"stage": "make", "config": {"seed": 1}}})
    overrides.apply(changed, f"nodes.{name}.config.seed=3")
    overrides.apply(changed, f"nodes.{name}.resources.cpus=3")
    assert changed["nodes"][name] == {"config": {"seed": 3}, "resources": {"cpus": 3}}


def test_a_setting_reaches_a_node_whose_name_has_dots() -> None:
    changed = {"nodes": {"model_1.3B": {"stage": "make", "config": {"seed": 1}}}, "vars": {"rates": {"a.b": 1}}}
    text = document(**changed)
    overrides.apply(text, "nodes.model_1.3B.config.seed=5")
    overrides.apply(text, "rates.a.b=7")
    assert (text["nodes"]["model_1.3B"]["config"]["seed"], text["vars"]["rates"]["a.b"]) == (5, 7)
    for wrong, words in (("nodes.model_1.4B.config.seed=5", "no 'model_1'"), ("seeds.x=1", "'seeds' has no entries")):
        with pytest.raises(UsageError, match=words):
            overrides.apply(text, wrong)


def test_what_with_binds_changes_the_task_and_labels_nothing() -> None:
    grid = {"model": ["small"], "seed": [1], "kind": ["a"], "k": [10, 100]}
    nodes = {"data_a": {"config": {"seed": "${seed}", "size": "${size}"}}}
    changed = document(vars={"size": 3}, nodes=nodes)
    changed["leaves"] = [
        {"node": "result", "grid": grid, "with": {"size": "${k}"}},
        {"node": "result", "grid": {**grid, "k": "none"}},
    ]
    plan = expansion.expand(changed, "p")
    assert [leaf.labels["k"] for leaf in plan.leaves] == [10, 100, "none"]
    assert [plan.tasks[leaf.nodes["data_a"]].config["size"] for leaf in plan.leaves] == [10, 100, 3]
    assert all("size" not in leaf.labels for leaf in plan.leaves)


def test_a_variable_is_followed_into_what_it_stands_for() -> None:
    """`rate` is another number for every model although no node names the model."""
    nodes = {"result": {"config": {"rate": "${rate}"}}}
    plan = expansion.expand(document(vars={"rate": "${rates.${model}}"}, nodes=nodes), "p")
    assert len({leaf.digest for leaf in plan.leaves}) == 8


def test_a_setting_lists_the_labels_without_a_column_of_their_own() -> None:
    point = {"model": "m", "seed": 1, "kind": "shuffle", "level": 0.1}
    assert plans.Leaf(point, "", {}).setting() == ""
    more = {"ngram": 2, "method": "paper", "learning_rate": 0.001, "spread": True}
    wanted = "ngram=2;method=paper;learning_rate=0.001;spread=true"
    assert plans.Leaf({**point, **more}, "", {}).setting() == wanted


def unions(folder, monkeypatch) -> None:
    monkeypatch.setattr(documents, "FOLDER", folder)
    (folder / "profiles").mkdir()
    (folder / "profiles" / "p.yaml").write_text("vars: {seeds: [1]}\n")
    nodes = "nodes: {n: {stage: make, config: {seed: '${seed}', size: '${size}'}}}"
    for name, sizes in (("one", "[3, 4]"), ("two", "[4, 5]")):
        own = f"{name}_sizes"
        leaf = f"{{node: n, grid: {{seed: '${{seeds}}', size: '${{{own}}}'}}}}"
        (folder / f"{name}.yaml").write_text(f"name: {name}\nvars: {{{own}: {sizes}}}\n{nodes}\nleaves: [{leaf}]\n")
    (folder / "both.yaml").write_text("name: both\ntitle: all\nsweeps: [one, two]\n")


def test_a_sweep_of_sweeps_holds_a_task_that_two_need_once(tmp_path, monkeypatch) -> None:
    unions(tmp_path, monkeypatch)
    plan = expansion.expand(documents.read("both", "p", []), "p")
    assert [(part.name, len(part.tasks)) for part in plan.parts] == [("one", 2), ("two", 2)]
    assert sorted(task.config["size"] for task in plan.tasks.values()) == [3, 4, 5]
    assert (plan.name, plan.title, len(plan.leaves)) == ("both", "all", 4)


def test_a_setting_reaches_every_part_that_knows_it(tmp_path, monkeypatch) -> None:
    unions(tmp_path, monkeypatch)
    plan = expansion.expand(documents.read("both", "p", ["seeds=[7]", "two_sizes=[9]"]), "p")
    assert sorted((t.config["seed"], t.config["size"]) for t in plan.tasks.values()) == [(7, 3), (7, 4), (7, 9)]
    with pytest.raises(UsageError, match="no 'sizes'"):
        documents.read("both", "p", ["sizes=[1]"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sweeps: [one, tow]", "no sweep 'tow'"),
        ("sweeps: [one]\nvars: {a: 1}", "unknown key 'vars'"),
        ("sweeps: [one, both]", "unknown key 'sweeps'"),
    ],
)
def test_a_wrong_sweep_of_sweeps_is_named(text, message, tmp_path, monkeypatch) -> None:
    unions(tmp_path, monkeypatch)
    (tmp_path / "both.yaml").write_text(f"name: both\n{text}\n")
    with pytest.raises(UsageError, match=message):
        documents.read("both", "p", [])
