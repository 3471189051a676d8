"""The most memory that this process takes while something runs."""

import threading
from pathlib import Path
from types import TracebackType

PAGE, EVERY_SECONDS = 4096, 0.005


def private() -> int:
    """Bytes that are this process's own. Pages of mapped files, which the kernel takes back when it needs room, are
    not."""
    resident, shared = map(int, Path("/proc/self/statm").read_bytes().split()[1:3])
    return (resident - shared) * PAGE


class Peak:
    """A context; `added` then is by how many bytes `private` rose in it at most, `most` the most that it was."""

    def __enter__(self) -> "Peak":
        self._ended, self._watcher = threading.Event(), threading.Thread(target=self._watch)
        self.before = self.most = private()
        self._watcher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._watcher.join()

    @property
    def added(self) -> int:
        """In bytes."""
        return self.most - self.before

    def _watch(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            self.most = max(self.most, private())
