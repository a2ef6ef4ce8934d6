"""Owns what nearly every request asks, on SQLite: reads by key, made in the calling thread, where each takes microseconds.

Handing such a read to another thread costs a hundred times the read. In WAL mode a reader waits for no writer.
"""

import sqlite3
from collections.abc import Mapping
from typing import Any

from sqlalchemy import BindParameter, Boolean, Select, bindparam
from sqlalchemy.dialects import sqlite

from projections.campaign_progress.rows import CAMPAIGN_COLUMNS, CampaignRow
from projections.queries.campaigns import of_org, select_campaign, select_offsets, select_version
from projections.queries.views import CampaignVersion
from projections.store.tables import campaigns

_BUSY_SECONDS = 0.05
"""How long the calling thread may stand still where the file is locked, as it is while it is opened after a crash."""
_FLAGS = tuple(index for index, name in enumerate(CAMPAIGN_COLUMNS) if isinstance(campaigns.c[name].type, Boolean))


class SqliteReads:
    """One connection to the read model's file, for one thread; every read is a transaction of its own. Raises `sqlite3.Error`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._cursor: sqlite3.Cursor | None = None
        org_id: BindParameter[str] = bindparam("org_id")
        campaign_id: BindParameter[str] = bindparam("campaign_id")
        self._version = _Statement(select_version().where(*of_org(org_id, campaign_id)))
        self._shown = _Statement(select_campaign(org_id, campaign_id, deleted=False))
        self._any = _Statement(select_campaign(org_id, campaign_id, deleted=True))
        self._offsets = _Statement(select_offsets())

    def version(self, org_id: str, campaign_id: str) -> CampaignVersion | None:
        row = self._version.first(self._cursor or self._open(), {"org_id": org_id, "campaign_id": campaign_id})
        return None if row is None else CampaignVersion(*row)

    def campaign(self, org_id: str, campaign_id: str, deleted: bool) -> CampaignRow | None:
        statement = self._any if deleted else self._shown
        row = statement.first(self._cursor or self._open(), {"org_id": org_id, "campaign_id": campaign_id})
        if row is None:
            return None
        values = list(row)
        for index in _FLAGS:
            values[index] = bool(values[index])
        return CampaignRow(*values)

    def next_offsets(self) -> dict[int, int]:
        return dict(self._offsets.all(self._cursor or self._open()))

    def close(self) -> None:
        """Idempotent; the next read opens the file anew."""
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            cursor.connection.close()

    def _open(self) -> sqlite3.Cursor:
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
        connection.execute("PRAGMA query_only=1")
        self._cursor = connection.cursor()
        return self._cursor


class _Statement:
    """A query in the driver's own words."""

    def __init__(self, query: Select[Any]) -> None:
        self._sql = str(query.compile(dialect=sqlite.dialect(paramstyle="named")))

    def first(self, cursor: sqlite3.Cursor, values: Mapping[str, Any]) -> Any:
        # fetched to the end, since anything else would keep the read transaction open
        rows = cursor.execute(self._sql, values).fetchall()
        return rows[0] if rows else None

    def all(self, cursor: sqlite3.Cursor) -> list[Any]:
        return cursor.execute(self._sql).fetchall()
