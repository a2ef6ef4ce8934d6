"""The tables of a service's own store, made and kept up with the release."""

from sqlalchemy import Column, Index, Integer, MetaData, Table, inspect

from projections.store.engine import open_database
from services.runtime.own_store import ensure_tables


def tables(*later: Column[int]) -> MetaData:
    metadata = MetaData()
    table = Table("kept", metadata, Column("id", Integer, primary_key=True), *later)
    if later:
        Index("kept_by_later", table.c.later)
    return metadata


async def test_a_later_release_gives_existing_tables_their_columns_and_indexes(database_url: str) -> None:
    database = open_database(database_url)
    for metadata in (tables(), tables(Column("later", Integer)), tables(Column("later", Integer))):
        await ensure_tables(database, metadata)
    async with database.connect() as connection:
        columns = await connection.run_sync(lambda there: {column["name"] for column in inspect(there).get_columns("kept")})
        indexes = await connection.run_sync(lambda there: [index["name"] for index in inspect(there).get_indexes("kept")])
    await database.dispose()
    assert (columns, indexes) == ({"id", "later"}, ["kept_by_later"])
