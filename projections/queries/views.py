"""Owns the shapes in which the API reads calls; campaigns are read as `CampaignRow`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, NamedTuple, TypeVar

from projections.campaign_progress.rows import CampaignRow

T = TypeVar("T")
Comparison = Literal["gt", "lt", "ge", "le"]
CampaignOrder = Literal["createdAt", "duration", "cost"]
ContactOrder = Literal["position", "status"]


class CampaignVersion(NamedTuple):
    """Which state of a campaign it is: equal ones are of equal rows. The generation tells apart what was folded anew."""

    generation: str | None
    version: int


class CallView(NamedTuple):
    """One call of a campaign; `customer` and `analysis` are JSON text, instants `iso` text."""

    id: str
    position: int
    entry: int | None
    phone_number_id: str | None
    customer: str
    status: str
    contact_status: str
    ended_reason: str | None
    dispatched_at: str | None
    started_at: str | None
    ended_at: str | None
    cost: float | None
    analysis: str | None
    created_at: str
    updated_at: str


class CallDetail(NamedTuple):
    """A call with the campaign that it belongs to."""

    call: CallView
    campaign: CampaignRow


@dataclass(frozen=True, slots=True)
class CampaignsQuery:
    """One page of an org's campaigns. Archived ones are left out unless `status` asks for them, deleted ones always.

    `created` and `updated` compare with `iso` text. Equal sort keys are ordered by `created_at` and `id`.
    """

    org_id: str
    page: int = 1
    limit: int = 100
    campaign_id: str | None = None
    status: str | None = None
    created: tuple[tuple[Comparison, str], ...] = field(default=())
    updated: tuple[tuple[Comparison, str], ...] = field(default=())
    order: CampaignOrder = "createdAt"
    descending: bool = True


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page and how many items all pages hold, as of one moment."""

    items: Sequence[T]
    total: int


@dataclass(frozen=True, slots=True)
class Rejection:
    """What a command that was rejected was told."""

    reason: str
    messages: list[str]
