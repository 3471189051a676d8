"""What `--set` has changed in a sweep's document, and which of it results depend on.

A setting that is the profile's own value, that nothing in the plan uses, or that only says how results are computed
(resources, facts, execution fields) changes no result.
"""

from collections.abc import Collection, Mapping
from typing import Any

from lib.base import config
from lib.base.yamls import spelled
from lib.plans import tasks
from lib.plans.overrides import OPEN_MAPPINGS, SECTIONS
from lib.plans.variables import ANY, mentioned

NO_RESULTS = ("resources", "facts")  # the keys of a node that change no result
REPORT = "show_texts"  # the variable that the report reads, and no node
MISSING = object()  # in place of a value: the default document has none
Changes = Mapping[tuple[str, ...], Any]  # path in a document -> value


def between(default: Mapping[str, Any], document: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """What differs in `vars` and `nodes` of a document from those of the default one: path -> value.

    A mapping that has got other keys counts as a whole, unless `--set` can name one of them.
    """
    found: dict[tuple[str, ...], Any] = {}
    for section in SECTIONS:
        found |= _changes((section,), default.get(section) or {}, document.get(section) or {})
    return found


def _changes(path: tuple[str, ...], before: Any, value: Any) -> dict[tuple[str, ...], Any]:
    is_open = path[0] == "nodes" and (len(path) < 3 or path[-1] in OPEN_MAPPINGS)
    if is_open and before in (None, MISSING):
        before = {}
    if _is_deeper(before, value, is_open):
        inner = (_changes((*path, str(key)), before.get(key, MISSING), value[key]) for key in value)
        return {place: entry for found in inner for place, entry in found.items()}
    return {} if before is not MISSING and spelled(before) == spelled(value) else {path: value}


def _is_deeper(before: Any, value: Any, is_open: bool) -> bool:
    """Whether what differs is entries of two mappings."""
    if not isinstance(before, Mapping) or not isinstance(value, Mapping):
        return False
    return before.keys() == value.keys() or (is_open and before.keys() <= value.keys())


def affecting(changed: Changes, leaves: Any, nodes: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Those changes that results depend on, as `--set` names them: key -> value.

    leaves: the entries of the document. nodes: name -> template of every node of the plan.
    """
    science = {name: _science(template) for name, template in nodes.items()}
    used = mentioned([*leaves, *science.values()], variables)
    found = {}
    for path, value in changed.items():
        if path[1] in used if path[0] == "vars" else _is_science(path, science):
            found[".".join(path[1:] if path[0] == "vars" else path)] = value
    return dict(sorted(found.items()))


def variables_of(changed: Changes) -> set[str]:
    """The variables that were changed, but for that of the report, which no node reads."""
    return {path[1] for path in changed if path[0] == "vars"} - {REPORT}


def idle(
    changed: Changes, leaves: Any, made: Collection[str], nodes: Mapping[str, Any], variables: Mapping[str, Any]
) -> dict[str, list[str]]:
    """The changed variables that nothing in a plan uses -> the other nodes that would use them.

    leaves: the entries of the document; nodes: name -> template; made: the names of those in the plan.
    """
    names = variables_of(changed)
    used = mentioned([*leaves, *(nodes[name] for name in made)], variables)
    return {
        name: sorted(node for node in nodes if node not in made and name in mentioned(nodes[node], variables))
        for name in sorted(names - used)
    }


def _science(template: Mapping[str, Any]) -> dict[str, Any]:
    """A node without what changes no result."""
    known = config.science_names(tasks.load(template["stage"]).config_class)
    values = {key: value for key, value in (template.get("config") or {}).items() if key in known}
    return {**{key: value for key, value in template.items() if key not in NO_RESULTS}, "config": values}


def _is_science(path: tuple[str, ...], science: Mapping[str, Any]) -> bool:
    """Whether a changed entry of `nodes` is one of a node of the plan, or of its star, that results depend on."""
    _, node, *keys = path
    own = [name for name in science if name == node or (node.endswith(ANY) and name.startswith(node[:-1]))]
    if len(keys) > 1 and keys[0] == "config":
        return any(keys[1] in science[name]["config"] for name in own)
    return bool(own) and not (keys and keys[0] in NO_RESULTS)
