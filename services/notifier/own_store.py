"""Owns the notifier's operational tables, which nobody else touches: what it learned from the log, its place, and the outbox.

Losing them loses no truth: the log is read again from its start. What is younger than the retry window is then sent again, under the
same ids, and what is older is not.
"""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, MetaData, Table, Text

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
)
"""The campaigns whose server wants to be told, `server` and `names` as JSON."""

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
)
"""What was not taken by its receiver yet; `dead`: given up until somebody replays it. Instants are seconds since 1970, UTC."""
