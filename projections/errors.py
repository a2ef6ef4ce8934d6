"""Owns the faults of folding; none is retriable, since folding again reads the same log."""


class UnknownEventError(Exception):
    """The log holds a type, or a version of a type, that this release can not fold: readers are deployed before writers."""


class FoldError(Exception):
    """An event contradicts the facts before it: the log, or the rows, are not what this release wrote."""
