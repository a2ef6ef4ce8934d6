"""Owns the notifier's operational tables, which nobody else touches: what it learned from the log, its place, the outbox, the replays.

Losing them loses no truth: the log is read again from its start. What is younger than the retry window is then sent again, under the
same ids, and what is older is not.
"""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, MetaData, Table, Text, text

metadata = MetaData()

places = Table(
    "notifier_places",
    metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("tell_from", Text, nullable=False),
)
"""`tell_from`: events before this instant were there before the store was, and are learned from but not told."""

campaigns = Table(
    "notifier_campaigns",
    metadata,
    Column("id", Text, primary_key=True),
    Column("org_id", Text, nullable=False),
    Column("server", Text, nullable=False),
    Column("names", Text, nullable=False),
    Column("announced", Boolean, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Index("notifier_campaigns_over", "id", sqlite_where=text("names = '[]'"), postgresql_where=text("names = '[]'")),
)
"""The campaigns whose server wants to be told, `server` and `names` as JSON; one without names is kept while the outbox needs it."""

calls = Table(
    "notifier_calls",
    metadata,
    Column("id", Text, primary_key=True),
    Column("campaign_id", Text, nullable=False),
    Column("in_progress", Boolean, nullable=False),
    Column("decided", Boolean, nullable=False),
)
"""Their calls that were dispatched and are not over."""

outbox = Table(
    "notifier_outbox",
    metadata,
    Column("id", Text, primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("receiver", Text, nullable=False),
    Column("org_id", Text, nullable=False),
    Column("campaign_id", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("enqueued_at", Float, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("dead", Boolean, nullable=False),
    Column("last_error", Text),
    Index("notifier_outbox_by_receiver", "partition", "dead", "receiver", "next_at", "sequence"),
    Index("notifier_outbox_by_campaign", "campaign_id"),
    Index("notifier_outbox_by_death", "partition", "next_at", "id", sqlite_where=text("dead IS 1"), postgresql_where=text("dead IS true")),
)
"""What was not taken by its receiver yet; `dead`: given up at `next_at` until somebody replays it or it expires.

Instants are seconds since 1970, UTC.
"""

replays = Table(
    "notifier_replays",
    metadata,
    Column("id", Text, primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("org_id", Text, nullable=False),
    Column("request_hash", Text),
    Column("replayed", Integer, nullable=False),
    Column("handled_at", Float, nullable=False),
    Index("notifier_replays_by_age", "handled_at"),
)
"""The commands that were carried out, by their ids, and how many webhooks each let be sent again."""

changes = Table(
    "notifier_changes",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("partition", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Index("notifier_changes_by_partition", "partition", "number"),
    sqlite_autoincrement=True,
)
"""The webhooks that died, are sent again or expired, and the replays, whose state `webhook-state` does not hold yet.

No number is used twice.
"""

told_partitions = Table("notifier_told_partitions", metadata, Column("partition", Integer, primary_key=True, autoincrement=False))
"""Those of whose dead `webhook-state` tells, but for the changes."""
