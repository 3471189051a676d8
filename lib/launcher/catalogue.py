"""What `sweeps` and `vars` print."""

from typing import Any

from rich.console import Console
from rich.markup import escape

from lib.base import yamls
from lib.plans import catalogue

LONGEST = 60  # characters of a mapping that is shown whole


def print_sweeps(console: Console) -> None:
    """Print every sweep, what it answers, and how long that takes on a laptop."""
    for entry in catalogue.sweeps():
        console.print(f"[bold]{entry.name}[/]  {escape(entry.question)}", highlight=False)
        console.print(f"    on a laptop with two cores: {entry.laptop}", highlight=False)


def print_variables(sweep: str, console: Console) -> None:
    """Print the variables of a sweep: name, meaning, and value by profile."""
    for variable in catalogue.variables(sweep):
        console.print(f"[bold]{variable.name}[/]  {escape(variable.meaning)}", highlight=False)
        for profiles, value in catalogue.by_value(variable):
            console.print(f"    {', '.join(profiles)}: {escape(_short(value))}", highlight=False)


def _short(value: Any) -> str:
    """A value as `--set` takes it; of a long mapping, the number of entries."""
    text = yamls.spelled(value)
    return f"{{{len(value)} entries}}" if isinstance(value, dict) and len(text) > LONGEST else text
