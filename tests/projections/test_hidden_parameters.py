"""A database's error may reach a log line, so it must not hold what was to be written."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from projections.store.engine import open_database, open_sqlite_writer, writing

_NUMBER = "+14155550123"
_BROKEN = text("INSERT INTO no_such_table VALUES (:number)")


async def test_an_error_of_the_database_holds_no_values(database_url: str) -> None:
    database = open_database(database_url)
    try:
        with pytest.raises(DBAPIError) as caught:
            async with writing(database) as connection:
                await connection.execute(_BROKEN, {"number": _NUMBER})
        assert _NUMBER not in str(caught.value)
        if database.dialect.name == "sqlite":
            writer = open_sqlite_writer(database)
            with pytest.raises(DBAPIError) as caught, writer.begin() as connection:
                connection.execute(_BROKEN, {"number": _NUMBER})
            assert _NUMBER not in str(caught.value)
            writer.dispose()
    finally:
        await database.dispose()
