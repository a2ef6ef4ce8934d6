"""Owns how an upload of contacts is taken: spooled to a file, read beside the event loop, its good lines or nothing kept."""

import asyncio
import hashlib
import io
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from events.validation import MAX_MESSAGES
from services.api.contact_spool import ContactSpool, storing, temporary_file
from services.api.csv_contacts import BadLine, UnreadableCsvError, read_contacts
from services.api.errors import BodyTimeoutError, InvalidRequestError, TooLargeError
from services.api.upload_places import UploadPlaces

MAX_CONTACTS_PER_UPLOAD = 1_000_000
MAX_ROWS_PER_UPLOAD = 2 * MAX_CONTACTS_PER_UPLOAD
"""Bad and blank ones among them, since each costs a look."""


@dataclass(slots=True)
class Contacts:
    """The contacts of a request, and what was wrong with the lines that were passed over; `digest` says what was uploaded, in hex."""

    spool: ContactSpool
    digest: str
    skipped: int = 0
    errors: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Uploads:
    """Takes uploads. `seconds` bounds how long one may take to come, and to be read; those without a place wait, unread."""

    directory: Path
    max_bytes: int
    seconds: float
    places: UploadPlaces

    @asynccontextmanager
    async def room(self, org_id: str) -> AsyncIterator[None]:
        """A place; raises as `UploadPlaces` does, and what the client or the disk did wrong within the block as an `ApiError`."""
        try:
            async with self.places.taken(org_id):
                yield
        except (HttpProcessingError, web.RequestPayloadError) as error:
            raise InvalidRequestError("the body's encoding is broken") from error

    @asynccontextmanager
    async def spool(self) -> AsyncIterator[ContactSpool]:
        """An empty spool, gone after the block; raises `UnavailableError` where the disk takes nothing."""
        with temporary_file(self.directory) as file:
            yield ContactSpool(file)

    @asynccontextmanager
    async def csv(self, chunks: AsyncIterator[bytes], skip_bad_lines: bool) -> AsyncIterator[Contacts]:
        """The contacts of a CSV that comes in pieces.

        Raises `InvalidRequestError` with one message for each bad line, unless they are to be skipped and one line is good;
        `TooLargeError`, `BodyTimeoutError`, `UnavailableError`.
        """
        async with self.spool() as spool:
            with temporary_file(self.directory) as file:
                digest = await self._received(chunks, file)
                contacts = Contacts(spool, digest)
                await self._fill_in_time(contacts, file, skip_bad_lines)
            yield contacts

    async def _fill_in_time(self, contacts: Contacts, file: BinaryIO, skip_bad_lines: bool) -> None:
        """Goes on only when nothing reads the file any more, also when it is cancelled: the upload's place is not free before."""
        unwanted = threading.Event()
        filling = asyncio.create_task(asyncio.to_thread(_fill, contacts, _WhileWanted(file, unwanted), skip_bad_lines))
        try:
            async with asyncio.timeout(self.seconds):
                try:
                    await asyncio.shield(filling)
                finally:
                    unwanted.set()
                    await asyncio.gather(filling, return_exceptions=True)
        except TimeoutError as error:
            raise BodyTimeoutError(f"the contacts could not be read within {self.seconds:g} seconds") from error

    async def _received(self, chunks: AsyncIterator[bytes], file: BinaryIO) -> str:
        digest, size = hashlib.sha256(), 0
        try:
            async with asyncio.timeout(self.seconds):
                async for chunk in chunks:
                    size += len(chunk)
                    if size > self.max_bytes:
                        raise TooLargeError(f"an upload must be at most {self.max_bytes} bytes")
                    digest.update(chunk)
                    with storing():
                        file.write(chunk)
        except TimeoutError as error:
            raise BodyTimeoutError(f"the body did not come within {self.seconds:g} seconds") from error
        with storing():
            file.seek(0)
        return digest.hexdigest()


class _NotWantedError(Exception):
    """Nobody waits for what is read. Never leaves this module."""


class _WhileWanted(io.RawIOBase):
    """A file whose reader, in another thread, is stopped at its next piece by `_NotWantedError` once `unwanted` is set."""

    def __init__(self, file: BinaryIO, unwanted: threading.Event) -> None:
        self._file = file
        self._unwanted = unwanted

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if self._unwanted.is_set():
            raise _NotWantedError
        read = self._file.read(len(buffer))
        buffer[: len(read)] = read
        return len(read)


def _fill(contacts: Contacts, file: io.RawIOBase, skip_bad_lines: bool) -> None:
    try:
        for bad in _bad_lines(contacts.spool, file):
            contacts.skipped += 1
            contacts.errors += [f"line {bad.line}: {message}" for message in bad.messages if len(contacts.errors) < MAX_MESSAGES]
    except UnreadableCsvError as error:
        raise InvalidRequestError([str(error)]) from error
    if contacts.skipped and len(contacts.errors) >= MAX_MESSAGES:
        contacts.errors = [*contacts.errors[:MAX_MESSAGES], f"{contacts.skipped} lines can not be taken in all"]
    if contacts.errors and not (skip_bad_lines and contacts.spool.count):
        raise InvalidRequestError(contacts.errors)
    if not contacts.spool.count:
        raise InvalidRequestError(["the CSV must hold at least one contact after its header"])


def _bad_lines(spool: ContactSpool, file: io.RawIOBase) -> Iterator[BadLine]:
    """The lines that are not taken; the others go into the spool."""
    text = io.TextIOWrapper(io.BufferedReader(file), encoding="utf-8-sig", errors="surrogateescape", newline="")
    for item in read_contacts(text, MAX_ROWS_PER_UPLOAD):
        if isinstance(item, BadLine):
            yield item
            continue
        if spool.count == MAX_CONTACTS_PER_UPLOAD:
            raise InvalidRequestError([f"at most {MAX_CONTACTS_PER_UPLOAD} contacts are taken at once"])
        spool.add(item.json)
