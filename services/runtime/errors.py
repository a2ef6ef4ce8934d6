"""Owns the fault of a process that can not start."""


class StartupError(Exception):
    """The process can not start as it is configured; its message is one line that says what is wrong and what to do. Not retriable."""
