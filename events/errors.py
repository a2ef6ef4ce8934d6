"""Owns the faults of reading what stands on the topics; a broken business rule is a fact (`CommandRejected`), not one of these."""


class DecodeError(Exception):
    """A record could not be read; trying again reads the same bytes, so it is never retriable."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__("; ".join(messages))
        self.messages = messages


class UndecodableError(DecodeError):
    """The bytes are no envelope: not JSON, not an object, or an attribute is missing or wrong."""


class UnknownTypeError(DecodeError):
    """The envelope is sound but its type, or the version of its type, is not known to this release."""


class InvalidDataError(DecodeError):
    """The envelope is sound and its type known, but `data` breaks the type's rules, one message per broken rule."""
