"""Owns contacts on their way from a request to the log: in a file, in parts that each fit a record; any number takes little memory."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from events.campaigns import MAX_CONTACTS_PER_COMMAND
from services.api.errors import UnavailableError

MAX_PART_BYTES = 512 * 1024
SPARE_BYTES = 8 * 1024
"""What the envelope and the brackets of a part may take."""


@contextmanager
def storing() -> Iterator[None]:
    """Says that a file can not be written as what the client is told."""
    try:
        yield
    except OSError as error:
        raise _not_stored() from error


@contextmanager
def temporary_file(directory: Path) -> Iterator[BinaryIO]:
    """Gone after the block; raises `UnavailableError` where the disk takes none."""
    with storing():
        directory.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115  # closed below
    try:
        yield file
    finally:
        # to close writes first what is not on disk, and a full disk has been told of by then
        with suppress(OSError):
            file.close()


def _not_stored() -> UnavailableError:
    return UnavailableError("the upload can not be stored now; nothing was accepted")


@dataclass(slots=True)
class _Part:
    offset: int
    size: int = 0
    contacts: int = 0

    def has_room(self, more: int) -> bool:
        return not self.contacts or (self.size + more <= MAX_PART_BYTES - SPARE_BYTES and self.contacts < MAX_CONTACTS_PER_COMMAND)


@dataclass(slots=True)
class ContactSpool:
    """Valid contacts as JSON, in order. Filled by one task, then read; gone with its file."""

    file: BinaryIO
    parts: list[_Part] = field(default_factory=list)
    count: int = 0
    largest: int = 0
    """The size of the largest contact in bytes."""

    def add(self, contact: bytes) -> None:
        """Raises `UnavailableError` where the disk is full."""
        size = len(contact) + 1
        if not self.parts or not self.parts[-1].has_room(size):
            last = self.parts[-1] if self.parts else _Part(0)
            self.parts.append(_Part(last.offset + last.size))
        try:
            self.file.write(contact + b",")
        except OSError as error:
            raise _not_stored() from error
        part = self.parts[-1]
        part.size += size
        part.contacts += 1
        self.count += 1
        self.largest = max(self.largest, len(contact))

    def finish(self) -> None:
        """All contacts are there, and on disk; raises `UnavailableError` where it is full."""
        with storing():
            self.file.flush()

    def arrays(self) -> Iterator[bytes]:
        """Each part as a JSON array."""
        for part in self.parts:
            self.file.seek(part.offset)
            yield b"[" + self.file.read(part.size - 1) + b"]"
