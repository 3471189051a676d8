"""The nodes of a sweep: their keys are checked, and the variables that each one depends on are found.

A node is made once for each combination of values of its variables, so that results share the tasks below them.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from lib.base.errors import UsageError, suggestion
from lib.plans.documents import check_keys, merge
from lib.plans.variables import ANY, mentioned, resolve, star_of, starred

KEYS = {"stage", "config", "inputs", "resources", "facts"}
MAX_DEPTH = 100  # of nodes that need each other
MAX_SHOWN = 8  # of these, in a message
EACH = "each"  # the key of an input that is a list: the node that it repeats


class Nodes:
    """The nodes of a document. free: the variables that get their values from leaves, not from `vars`."""

    def __init__(self, templates: Mapping[str, Any], variables: Mapping[str, Any], free: set[str]):
        self._templates = templates
        self._stars = _stars(templates)
        self._made: dict[Any, Mapping[str, Any]] = {}
        self._variables = variables
        self._free = free
        self._uses: dict[str, set[str]] = {}
        self._open: list[str] = []  # the nodes whose variables are being looked for now

    def template(self, name: Any, where: str) -> Mapping[str, Any]:
        """A node as written in the YAML: its own entry, or that of a star such as `target_*` with its own over it.

        An entry with a stage stands alone. Raises UsageError if there is no such node.
        """
        if name not in self._made:
            if not self.has(name):
                raise UsageError(self.unknown(name, str(name), where, ()))
            self._made[name] = self._merged(name)
        return self._made[name]

    def all(self) -> dict[str, Mapping[str, Any]]:
        """Name -> node, of all that are written, and of those that a star has stood for."""
        return {**self._templates, **self._made}

    def has(self, name: Any) -> bool:
        """Whether there is such a node, of its own or by a star."""
        return name in self._templates or star_of(name, self._stars) is not None

    def unknown(self, name: Any, reference: str, where: str, typed: Collection[str]) -> str:
        """What to say of a node that is not there.

        reference: the node as written, such as `target_${model}`. typed: the variables that a user sets to change it;
        if it is one, a value of it is named.
        """
        before, braces, rest = reference.partition("${")
        if len(typed) != 1 or not braces or not rest.endswith("}"):
            return f"{where}: no node '{name}'{suggestion(name, self._templates)}"
        known = [str(other).removeprefix(before) for other in self._templates if str(other).startswith(before)]
        value = str(name).removeprefix(before)
        return f"{next(iter(typed))}: no '{value}'{suggestion(value, known)} ({where} is the node {name})"

    def _merged(self, name: Any) -> Mapping[str, Any]:
        own, star = self._templates.get(name), star_of(name, self._stars)
        if star is None or (isinstance(own, Mapping) and "stage" in own):
            return self._templates[name]
        return merge(starred(self._templates[star + ANY], str(name).removeprefix(star)), own or {})

    def variables_of(self, name: str) -> set[str]:
        """The variables that a node, or any node below it, mentions. Raises UsageError for a node with wrong keys."""
        if name in self._open or len(self._open) > MAX_DEPTH:
            shown = [*self._open[:MAX_SHOWN], *(["..."] if len(self._open) > MAX_SHOWN else []), name]
            raise UsageError(f"nodes need each other in a circle: {' -> '.join(shown)}")
        if name not in self._uses:
            template = self.template(name, "leaf")
            _check(name, template)
            self._open.append(name)
            self._uses[name] = self._variables_in(template)
            self._open.pop()
        return self._uses[name]

    def _variables_in(self, template: Mapping[str, Any]) -> set[str]:
        found = mentioned(template, self._variables)
        for reference in (template.get("inputs") or {}).values():
            bound = set(reference) if isinstance(reference, Mapping) else set()
            for below in self._possible(reference.get(EACH) if bound else reference):
                found |= self.variables_of(below) - bound
        return found

    def _possible(self, reference: Any) -> list[str]:
        """The nodes that an input such as `injected_${kind}` can stand for."""
        if not isinstance(reference, str):
            return []
        if not mentioned(reference, self._variables) & self._free:
            known = resolve(reference, self._variables, "inputs")
            return [known] if self.has(known) else []
        pattern = ".*".join(map(re.escape, re.split(r"\$\{.*\}", reference)))
        return [name for name in self._templates if re.fullmatch(pattern, name)]


def _stars(templates: Mapping[str, Any]) -> list[str]:
    """What stands before the star, of every name that ends in one. Raises UsageError for a star elsewhere."""
    stars = [str(name) for name in templates if ANY in str(name)]
    for name in stars:
        if name.index(ANY) != len(name) - 1:
            raise UsageError(f"node {name}: a star must be the last character of a node's name")
    return [name[:-1] for name in stars]


def _check(name: str, template: Any) -> None:
    check_keys(template, KEYS, f"node {name}")
    for key in ("inputs", "config", "resources"):
        check_keys(template.get(key) or {}, None, f"node {name}: {key}")
    if "stage" not in template:
        raise UsageError(f"node {name}: missing key 'stage'")
