"""A database that takes connections and never answers is away, like one that is not there."""

import asyncio
import socket
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import event, text

from projections.queries import read_model
from projections.queries.read_model import ReadModelAwayError, SqlReadModel
from projections.store.engine import open_database, reading
from projections.store.vanished_peer import GIVEN_UP_AFTER_SECONDS
from tests.support.silence import silent_server


async def test_a_read_of_a_silent_database_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_model, "_ANSWER_SECONDS", 0.2)
    async with silent_server() as port:
        database = open_database(f"postgresql://nobody@127.0.0.1:{port}/none")
        reads = SqlReadModel(database)
        for question in (reads.campaign("acme", "c-1"), reads.version("acme", "c-1"), reads.next_offsets(), reads.version("acme", "c-1")):
            with pytest.raises(ReadModelAwayError):
                await question
        await reads.close()
        await database.dispose()


async def test_a_postgresql_whose_machine_vanished_is_given_up_by_the_kernel(postgres_url: str) -> None:
    address = urlsplit(postgres_url)
    [directory] = parse_qs(address.query)["host"]
    options: dict[str, int] = {}

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(f"{directory}/.s.PGSQL.5432")
        await asyncio.gather(forward(reader, to_server), forward(from_server, writer))

    def look(connection: object, record: object) -> None:
        own = connection.driver_connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
        options["keepalive"] = own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        options["milliseconds"] = own.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        database = open_database(
            f"postgresql://{address.username}@127.0.0.1:{server.sockets[0].getsockname()[1]}{address.path}?sslmode=disable"
        )
        event.listen(database.sync_engine, "connect", look)
        async with reading(database) as connection:
            assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1
        await database.dispose()
    assert options == {"keepalive": 1, "milliseconds": GIVEN_UP_AFTER_SECONDS * 1_000}
