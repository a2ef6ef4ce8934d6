"""Owns the faults of a process: whether trying again may help is said by the type."""


class StartupError(Exception):
    """The process can not start as it is configured; its message is one line that says what is wrong and what to do. Not retriable."""


class RetriableError(Exception):
    """Something outside was away or slow; the same call may succeed later."""
