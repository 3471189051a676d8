"""What reports call models: one of your own by where it is from (`owner/name`, a package, a folder's name), and not by
the label `hub`, `package` or `folder` that it has in a sweep."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from lib.plans.plan import Leaf, Plan, Task

OWN = {"hub_model": ("hub", "repo"), "gguf_model": ("package", "package"), "folder_model": ("folder", "path")}
PREFIXES = ("model_", "target_", "reference_")  # of nodes that make a model


def named(plan: Plan) -> Plan:
    """The plan with names of models as their labels."""
    names = of_tasks(plan)
    return replace(plan, leaves=[_named(leaf, names) for leaf in plan.leaves])


def _named(leaf: Leaf, names: Mapping[str, str]) -> Leaf:
    digest = leaf.nodes.get(f"model_{leaf.labels.get('model')}", "")
    return replace(leaf, labels={**leaf.labels, "model": names[digest]}) if digest in names else leaf


def of_tasks(plan: Plan) -> dict[str, str]:
    """Digest -> name, of every model of one's own. A folder's name has as many of the folders above it before it as
    tell it from every other model's."""
    mine = {task.digest: task for task in plan.tasks.values() if _is_own(task)}
    names = {digest: _origin(task) for digest, task in mine.items() if task.stage != "folder_model"}
    folders = {digest: Path(_origin(task)) for digest, task in mine.items() if digest not in names}
    others = {*names.values(), *_called(plan)}
    return names | {digest: _apart(path, others | _others(folders, path)) for digest, path in folders.items()}


def of_task(plan: Plan, digest: str) -> str:
    """The name of the model that a task makes: your own by where it is from, another as its node is called."""
    node = plan.tasks[digest].node
    known = (node.removeprefix(prefix) for prefix in PREFIXES if node.startswith(prefix))
    return of_tasks(plan).get(digest) or next(known, node)


def _called(plan: Plan) -> Iterator[str]:
    """The labels of models that are called as in the sweep."""
    for leaf in plan.leaves:
        label = str(leaf.labels.get("model"))
        if any(prefix + label in leaf.nodes for prefix in PREFIXES):
            yield label


def _is_own(task: Task) -> bool:
    label, _ = OWN.get(task.stage, ("", ""))
    return bool(label) and task.node in {prefix + label for prefix in PREFIXES}


def _origin(task: Task) -> str:
    return str(task.config[OWN[task.stage][1]])


def _others(folders: Mapping[str, Path], mine: Path) -> set[str]:
    """Every end of the other folders' paths."""
    return {end for path in folders.values() if path != mine for end in _ends(path)}


def _apart(path: Path, others: set[str]) -> str:
    """The shortest end of a path that is nothing else's."""
    return next((end for end in _ends(path) if end not in others), str(path))


def _ends(path: Path) -> Iterator[str]:
    """`c`, `b/c`, `a/b/c` of /a/b/c."""
    parts = path.parts[1:]
    return ("/".join(parts[-n:]) for n in range(1, len(parts) + 1))
