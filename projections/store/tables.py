"""Owns the read model's tables: one schema for SQLite and PostgreSQL (design, "Read model").

Instants are text as `events.instants.iso` writes them, which sorts as the instants do. JSON is text as orjson writes it,
so that both engines hold the same bytes. Only the projector writes these tables.
"""

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)

TEXT = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that both engines compare byte by byte."""

ACTIVE_CALL = "status NOT IN ('scheduled', 'ended')"
"""The predicate of the index on the calls that hold a slot; a query must say it in these words to use that index."""
AWAITED_REPORT = "report_due_at IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Tables:
    """One generation of the tables that are folded from the log; `all` is in the order in which they are created."""

    metadata: MetaData
    campaigns: Table
    calls: Table
    handled_commands: Table
    offsets: Table

    @property
    def all(self) -> tuple[Table, ...]:
        return (self.campaigns, self.calls, self.handled_commands, self.offsets)


def tables_named(prefix: str = "", generation: int = 0) -> Tables:
    """The tables, each name with `prefix`. Names of indexes hold the generation, since a renamed table keeps its indexes' names."""
    metadata = MetaData()
    suffix = f"_{generation}" if generation else ""
    return Tables(
        metadata,
        _campaigns(metadata, prefix, suffix),
        _calls(metadata, prefix, suffix),
        _handled_commands(metadata, prefix, suffix),
        Table(
            f"{prefix}offsets",
            metadata,
            Column("partition", Integer, primary_key=True, autoincrement=False),
            Column("next_offset", BigInteger, nullable=False),
            Column("last_event_at", TEXT),
        ),
    )


def _campaigns(metadata: MetaData, prefix: str, suffix: str) -> Table:
    """`total` counts positions ever given; those below `first_position` were dropped when a dial plan was replaced.

    `shown`: its contacts were complete once, so answers show it unless it is `deleted`; `complete`: they are now.
    `version` counts the events that changed the campaign or its calls. `cost_micros`: millionths of a US dollar.
    `edited_at`, `edited_by`: time and command of the last edit, pause or resumption.
    """
    return Table(
        f"{prefix}campaigns",
        metadata,
        Column("id", TEXT, primary_key=True),
        Column("org_id", TEXT, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("status", TEXT, nullable=False),
        Column("ended_reason", TEXT),
        Column("paused", Boolean, nullable=False),
        Column("shown", Boolean, nullable=False),
        Column("complete", Boolean, nullable=False),
        Column("deleted", Boolean, nullable=False),
        Column("spec", TEXT, nullable=False),
        Column("has_dial_plan", Boolean, nullable=False),
        Column("parts", Integer, nullable=False),
        Column("parts_received", Integer, nullable=False),
        Column("contacts_due_at", TEXT),
        Column("first_position", Integer, nullable=False),
        Column("total", Integer, nullable=False),
        Column("retry_until", TEXT),
        Column("created_at", TEXT, nullable=False),
        Column("updated_at", TEXT, nullable=False),
        Column("started_at", TEXT),
        Column("ended_at", TEXT),
        Column("edited_at", TEXT),
        Column("edited_by", TEXT),
        Column("version", BigInteger, nullable=False),
        Column("calls_scheduled", Integer, nullable=False),
        Column("calls_queued", Integer, nullable=False),
        Column("calls_in_progress", Integer, nullable=False),
        Column("calls_ended", Integer, nullable=False),
        Column("calls_ended_voicemail", Integer, nullable=False),
        Column("contacts_pending", Integer, nullable=False),
        Column("contacts_dispatched", Integer, nullable=False),
        Column("contacts_completed", Integer, nullable=False),
        Column("contacts_failed", Integer, nullable=False),
        Column("contacts_skipped", Integer, nullable=False),
        Column("contacts_predial_failed", Integer, nullable=False),
        Column("dialed", Integer, nullable=False),
        Column("connected", Integer, nullable=False),
        Column("cost_micros", BigInteger, nullable=False),
        # holds all that a list asks but the rows themselves, so that counting an org's campaigns reads none of them
        Index(f"{prefix}campaigns_by_org{suffix}", "org_id", "created_at", "id", "status", "shown", "deleted"),
        Index(f"{prefix}campaigns_by_partition{suffix}", "partition", "created_at", "id"),
    )


def _calls(metadata: MetaData, prefix: str, suffix: str) -> Table:
    """The first eight columns never change; `customer` is personal data and the only column that holds any.

    `dispatched_at` is the time of the first `CallQueued`, `queued_at` and
    `queued_by` are time and command of the last. `placed`: `provider`, which the claim names, has or had it.
    `report_due_at` stands while the final report of an ended call is awaited. `cost` is in US dollars.
    """
    return Table(
        f"{prefix}calls",
        metadata,
        Column("id", TEXT, primary_key=True),
        Column("campaign_id", TEXT, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("position", Integer, nullable=False),
        Column("entry", Integer),
        Column("phone_number_id", TEXT),
        Column("customer", TEXT, nullable=False),
        Column("created_at", TEXT, nullable=False),
        Column("status", TEXT, nullable=False),
        Column("contact_status", TEXT, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("claim_id", TEXT),
        Column("claimant", TEXT),
        Column("placed", Boolean, nullable=False),
        Column("outcome_unknown", Boolean, nullable=False),
        Column("outcome_due_at", TEXT),
        Column("ends_by", TEXT),
        Column("provider", TEXT),
        Column("provider_call_id", TEXT),
        Column("ended_reason", TEXT),
        Column("dispatched_at", TEXT),
        Column("queued_at", TEXT),
        Column("queued_by", TEXT),
        Column("started_at", TEXT),
        Column("ended_at", TEXT),
        Column("report_due_at", TEXT),
        Column("cost", Double),
        Column("analysis", TEXT),
        Column("updated_at", TEXT, nullable=False),
        Index(f"{prefix}calls_by_campaign{suffix}", "campaign_id", "position", unique=True),
        Index(f"{prefix}calls_active{suffix}", "partition", sqlite_where=text(ACTIVE_CALL), postgresql_where=text(ACTIVE_CALL)),
        Index(
            f"{prefix}calls_awaited{suffix}",
            "partition",
            "report_due_at",
            sqlite_where=text(AWAITED_REPORT),
            postgresql_where=text(AWAITED_REPORT),
        ),
    )


def _handled_commands(metadata: MetaData, prefix: str, suffix: str) -> Table:
    """`rejection` is the `data` of a `CommandRejected` or `CommandHadNoEffect` that came first, as JSON.

    `request_hash` says what the command asked, where it was sent along.
    """
    return Table(
        f"{prefix}handled_commands",
        metadata,
        Column("org_id", TEXT, primary_key=True),
        Column("command_id", TEXT, primary_key=True),
        Column("partition", Integer, nullable=False),
        Column("campaign_id", TEXT),
        Column("first_type", TEXT, nullable=False),
        Column("first_at", TEXT, nullable=False),
        Column("rejection", TEXT),
        Column("request_hash", TEXT),
        Index(f"{prefix}handled_commands_by_age{suffix}", "partition", "first_at"),
    )


LIVE = tables_named()
"""The tables that answers are read from."""

campaigns = LIVE.campaigns
calls = LIVE.calls
handled_commands = LIVE.handled_commands
offsets = LIVE.offsets

bookkeeping = MetaData()
"""What is not folded from the log, so that a rebuild leaves it in place."""

outbox = Table(
    "outbox",
    bookkeeping,
    Column("campaign_id", TEXT, primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    Index("outbox_by_partition", "partition"),
)
"""The campaigns whose newest summary is not on `campaign-state` yet.

`version` is that of the change that asks for it; a rebuild asks with its generation, below 0.
"""

meta = Table("meta", bookkeeping, Column("name", TEXT, primary_key=True), Column("value", TEXT, nullable=False))
"""The fold's version and the ids of the cluster and the topic that the rows come from, and the tables' generation."""

GENERATION = "generation"
"""The name in `meta` under which stands how often the tables were replaced; absent before the first time."""
