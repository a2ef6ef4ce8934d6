"""A PostgreSQL that demands TLS is reached, and checked, as `sslmode`, `sslrootcert`, `sslcert` and `sslkey` say."""

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from projections.queries.read_model import ReadModelAwayError, SqlReadModel
from projections.queries.views import CampaignVersion
from projections.store.engine import open_database, reading
from tests.engine.given import World
from tests.projections.given import fill, open_store, records
from tests.support.secure_broker import identity
from tests.support.secure_postgres import secure_postgres, server_programs

_REFUSALS = (SQLAlchemyError, OSError, ssl.SSLError, ValueError)
_SSL_REQUEST = (8).to_bytes(4) + (80_877_103).to_bytes(4)
"""PostgreSQL's protocol, "SSLRequest": the first that a client says where it wants TLS, before anything of itself."""


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def url(ca: trustme.CA) -> Iterator[str]:
    programs = server_programs()
    if programs is None:
        pytest.skip("no PostgreSQL with TLS is on this machine")
    with secure_postgres(programs, ca) as url:
        yield url


@pytest.fixture
def own(ca: trustme.CA, tmp_path: Path) -> str:
    """The certificate and key of `ringfold`, as parameters."""
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    files = identity(ca, tmp_path, "ringfold")
    files.key_file.chmod(0o600)
    return f"sslcert={files.cert_file}&sslkey={files.key_file}"


async def _asks(url: str) -> bool:
    database = open_database(url)
    try:
        async with reading(database) as connection:
            asked = await connection.execute(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
            return bool(asked.scalar_one())
    finally:
        await database.dispose()


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_every_mode_gets_through(url: str, own: str, tmp_path: Path, mode: str) -> None:
    assert await _asks(f"{url}?sslmode={mode}&sslrootcert={tmp_path / 'ca.pem'}&{own}")


@pytest.mark.parametrize("wrong", ["sslmode=disable", "sslmode=require", "sslmode=verify-full&sslrootcert=other.pem", "sslmode=any"])
async def test_without_tls_or_a_certificate_or_under_another_ca_nothing_is_said(url: str, own: str, tmp_path: Path, wrong: str) -> None:
    given = wrong.replace("other.pem", f"{tmp_path / 'other.pem'}&{own}")
    with pytest.raises(_REFUSALS):
        await _asks(f"{url}?{given}")


async def test_verify_full_checks_the_name_of_the_host_and_verify_ca_does_not(url: str, own: str, tmp_path: Path) -> None:
    elsewhere = url.replace("localhost", "127.0.0.1")
    assert await _asks(f"{elsewhere}?sslmode=verify-ca&sslrootcert={tmp_path / 'ca.pem'}&{own}")
    with pytest.raises(_REFUSALS):
        await _asks(f"{elsewhere}?sslmode=verify-full&sslrootcert={tmp_path / 'ca.pem'}&{own}")


async def test_the_short_way_to_a_version_asks_for_tls_as_all_else_does(url: str, own: str, tmp_path: Path) -> None:
    verified = f"{url}?sslmode=verify-full&sslrootcert={tmp_path / 'ca.pem'}&{own}"
    world = World()
    campaign_id = world.create(1)
    async with open_store(verified) as store:
        await fill(store, records(world.log))
        model = SqlReadModel(store.database)
        found = await model.version("org-1", campaign_id)
        await model.close()
    assert found == CampaignVersion(None, len(world.log))


async def test_a_server_without_tls_is_told_nothing_where_tls_is_demanded_whatever_is_asked() -> None:
    heard: asyncio.Queue[tuple[bytes, bytes]] = asyncio.Queue()

    async def refuse_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readexactly(8)
        writer.write(b"N")
        heard.put_nowait((first, await reader.read(65_536)))
        writer.close()

    server = await asyncio.start_server(refuse_tls, "127.0.0.1", 0)
    async with server:
        database = open_database(f"postgresql://ringfold@127.0.0.1:{server.sockets[0].getsockname()[1]}/none?sslmode=require")
        model = SqlReadModel(database)
        for question in (model.campaign("org-1", "c-1"), model.version("org-1", "c-1")):
            with pytest.raises(ReadModelAwayError):
                await question
            assert await heard.get() == (_SSL_REQUEST, b"")
        await model.close()
        await database.dispose()
