"""Owns replacing the read model's tables by rebuilt ones, in one write transaction (design, "Read model")."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from sqlalchemy import Connection, and_, func, literal, or_, select, text
from sqlalchemy.exc import DBAPIError

from projections.campaign_state.summary import SUMMARY_COLUMNS
from projections.store.row_writing import upsert
from projections.store.tables import GENERATION, LIVE, Tables, meta, outbox, tables_named
from projections.store.writer import Writer

_PREFIX = "rebuild_"
_DEADLOCK = "40P01"


async def fresh_tables(writer: Writer) -> Tables:
    """The tables of the next generation, still to be created; what an earlier, unfinished rebuild left of them is dropped."""
    return await writer.run(_fresh_tables)


def _fresh_tables(connection: Connection) -> Tables:
    stored = connection.execute(select(meta.c.value).where(meta.c.name == GENERATION)).scalar()
    tables = tables_named(_PREFIX, int(stored or 0) + 1)
    tables.metadata.drop_all(connection)
    return tables


async def swap_in(writer: Writer, fresh: Tables, identity: Mapping[str, str]) -> bool:
    """Put the fresh tables in place of the live ones, with the identity of what they were folded from.

    Changes nothing and says so where a partition of the live ones is ahead, unless those come from another log or fold, and
    where a reader's locks stood in the way: then try again. The
    campaigns whose summaries differ go to the outbox, whatever their versions: another fold may give other rows of the same events.
    """
    try:
        return await writer.run(partial(_swap_in, fresh=fresh, identity=identity))
    except DBAPIError as error:
        if not is_deadlock(error):
            raise
        return False


def is_deadlock(error: DBAPIError) -> bool:
    """Whether PostgreSQL ended one of two that waited for each other: it may be tried again."""
    return getattr(error.orig, "sqlstate", None) == _DEADLOCK


def _swap_in(connection: Connection, fresh: Tables, identity: Mapping[str, str]) -> bool:
    if connection.dialect.name != "sqlite":
        # in the order in which a batch takes them, so that the two do not wait for each other
        names = ", ".join(f'"{table.name}"' for table in sorted(LIVE.all, key=lambda table: table is not LIVE.offsets))
        connection.execute(text(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE"))
    stored = {row.name: row.value for row in connection.execute(select(meta))}
    is_same_log = all(stored.get(name, value) == value for name, value in identity.items())
    if is_same_log and _is_behind(connection, fresh):
        return False
    generation = int(stored.get(GENERATION, 0)) + 1
    _publish_differences(connection, fresh, generation)
    for live, new in zip(LIVE.all, fresh.all, strict=True):
        connection.execute(text(f'DROP TABLE "{live.name}"'))
        connection.execute(text(f'ALTER TABLE "{new.name}" RENAME TO "{live.name}"'))
    upsert(meta, connection.dialect).run(connection, list({**identity, GENERATION: str(generation)}.items()))
    return True


def _is_behind(connection: Connection, fresh: Tables) -> bool:
    live, new = LIVE.offsets, fresh.offsets
    ahead = (
        select(func.count())
        .select_from(live.outerjoin(new, live.c.partition == new.c.partition))
        .where(live.c.next_offset > func.coalesce(new.c.next_offset, 0))
    )
    return bool((connection.execute(ahead)).scalar())


def _publish_differences(connection: Connection, fresh: Tables, generation: int) -> None:
    live, new = LIVE.campaigns, fresh.campaigns
    differ = or_(*[live.c[name].is_distinct_from(new.c[name]) for name in (*SUMMARY_COLUMNS, "shown")])
    query = (
        # not the campaign's version, by which a publisher that sends the replaced row right now would delete the entry
        select(new.c.id, new.c.partition, literal(-generation))
        .select_from(new.outerjoin(live, live.c.id == new.c.id))
        .where(and_(new.c.shown, differ))
    )
    rows: list[Any] = [tuple(row) for row in connection.execute(query)]
    upsert(outbox, connection.dialect).run(connection, rows)
