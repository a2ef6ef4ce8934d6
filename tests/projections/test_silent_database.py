"""A database that takes connections and never answers is away, like one that is not there."""

import pytest

from projections.queries import read_model
from projections.queries.read_model import ReadModelAwayError, SqlReadModel
from projections.store.engine import open_database
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
