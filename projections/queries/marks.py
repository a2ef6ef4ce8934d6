"""Owns the marks of long lists: the key of every so many'th item, by which any page is found without passing all before it.

Making the marks reads the whole list once, so they are kept as long as the rows that they were made of are the same.
"""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

MARK_EVERY = 256
NEAR = 1_024
"""Items that are passed by faster than marks are made."""
_MOST_MARKS = 200_000
_ENTRY = 20
"""An entry without a key, which is all that a short list has, takes about as much memory as so many keys."""


class Marks(NamedTuple):
    """How many items the list has, and the key of every `MARK_EVERY`th from the first on; None where nobody asked for them yet."""

    total: int
    keys: Sequence[Any] | None = None


class KnownMarks:
    """The marks of the lists that were asked for last. They are only good for the `state` of the rows that they were made of."""

    def __init__(self, most_marks: int = _MOST_MARKS) -> None:
        self._most_marks = most_marks
        self._held = 0
        self._lists: OrderedDict[Hashable, tuple[Hashable, Marks]] = OrderedDict()

    def of(self, which: Hashable, state: Hashable) -> Marks | None:
        known = self._lists.get(which)
        if known is None or known[0] != state:
            return None
        self._lists.move_to_end(which)
        return known[1]

    def keep(self, which: Hashable, state: Hashable, marks: Marks) -> Marks:
        """The marks, in place of older ones."""
        self._held -= _size(self._lists.pop(which, None))
        self._lists[which] = state, marks
        self._held += _size(self._lists[which])
        while self._held > self._most_marks and len(self._lists) > 1:
            self._held -= _size(self._lists.popitem(last=False)[1])
        return marks


def _size(known: tuple[Hashable, Marks] | None) -> int:
    return 0 if known is None else _ENTRY + len(known[1].keys or ())
