"""Owns how far a partition has been dealt with, where its records are done in any order."""

from collections import deque


class OffsetTracker:
    """Of one partition: records begin in the order of the log and are done in any; pure."""

    def __init__(self) -> None:
        self._begun: deque[int] = deque()
        self._done: set[int] = set()
        self._next: int | None = None

    def passed(self, offset: int) -> None:
        """This record needs nothing."""
        self._next = offset + 1

    def begin(self, offset: int) -> None:
        """This record must be done before the place moves past it."""
        self._begun.append(offset)
        self._next = offset + 1

    def done(self, offset: int) -> None:
        """Idempotent."""
        self._done.add(offset)
        while self._begun and self._begun[0] in self._done:
            self._done.discard(self._begun.popleft())
        if not self._begun:
            self._done.clear()

    @property
    def span(self) -> int:
        """How many records were begun since the first that is not done, itself included."""
        return len(self._begun)

    @property
    def committable(self) -> int | None:
        """The offset to go on from after a restart: the first record that is not done, or the one after all; `None` before the first."""
        return self._begun[0] if self._begun else self._next
