"""The nodes of a sweep: their keys are checked, and the variables that each one depends on are found.

A node is made once for each combination of values of its variables, so that results share the tasks below them.
"""

import re
from collections.abc import Mapping
from typing import Any

from lib.base.errors import UsageError, suggestion
from lib.plans.documents import check_keys
from lib.plans.variables import ANY, mentioned, resolve, starred

KEYS = {"stage", "config", "inputs", "resources"}
EACH = "each"  # the key of an input that is a list: the node that it repeats


class Nodes:
    """The nodes of a document. free: the variables that get their values from leaves, not from `vars`."""

    def __init__(self, templates: Mapping[str, Any], variables: Mapping[str, Any], free: set[str]):
        self._templates = dict(templates)
        self._variables = variables
        self._free = free
        self._uses: dict[str, set[str]] = {}
        self._open: list[str] = []  # the nodes whose variables are being looked for now

    def template(self, name: Any, where: str) -> Mapping[str, Any]:
        """A node as written in the YAML: of that name, or one such as `target_*` that stands for it.

        Raises UsageError if there is none.
        """
        key = self._key(name)
        if key is None:
            raise UsageError(f"{where}: no node '{name}'{suggestion(name, self._templates)}")
        if key != name:
            self._templates[name] = starred(self._templates[key], name.removeprefix(key[:-1]))
        return self._templates[name]

    def _key(self, name: Any) -> str | None:
        """The key in the YAML that a node stands under: its own name, or one with a star."""
        if name in self._templates:
            return name
        stars = (key for key in self._templates if key.endswith(ANY) and str(name).startswith(key[:-1]))
        return next(stars, None)

    def variables_of(self, name: str) -> set[str]:
        """The variables that a node, or any node below it, mentions. Raises UsageError for a node with wrong keys."""
        if name in self._open:
            raise UsageError(f"nodes need each other in a circle: {' -> '.join([*self._open, name])}")
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
            return [known] if self._key(known) else []
        pattern = ".*".join(map(re.escape, re.split(r"\$\{.*\}", reference)))
        return [name for name in self._templates if re.fullmatch(pattern, name)]


def _check(name: str, template: Any) -> None:
    check_keys(template, KEYS, f"node {name}")
    for key in ("inputs", "config", "resources"):
        check_keys(template.get(key) or {}, None, f"node {name}: {key}")
    if "stage" not in template:
        raise UsageError(f"node {name}: missing key 'stage'")
