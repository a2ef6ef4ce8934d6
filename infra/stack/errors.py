"""Owns the fault of the stack that a person at the terminal has to mend."""


class StackError(Exception):
    """The stack can not do what was asked; the message is one line that says what is wrong and what to do."""
