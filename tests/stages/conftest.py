"""What holds for every stage that a test runs in its own process."""

from collections.abc import Iterator

import pytest

from lib.base.progress import Meter


@pytest.fixture(autouse=True, scope="module")
def meters() -> Iterator[None]:
    """A stage that says how far it is has, at its end, done everything that it said it would do."""
    leave = Meter.__exit__

    def checked(self: Meter, kind: type | None, *rest: object) -> None:
        leave(self, kind, *rest)
        if kind is None and self.done > self.begun:
            assert self.done == pytest.approx(self.total), f"{self.done} of {self.total} {self.unit}"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Meter, "__exit__", checked)
        yield
