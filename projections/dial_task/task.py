"""Owns the shape of what a dialer must know to place a call (design, "Dialing")."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class DialTask:
    """A call as the read model knows it. Objects stand as on the wire (camelCase); `customer` is personal data.

    `target_field` is one of `assistantId`, `workflowId`, `squadId`. `phone_number_id` is the campaign's where it has
    one, otherwise that of the call's dial-plan entry. `created_at` is when the contact was taken, aware UTC.
    """

    call_id: str
    campaign_id: str
    org_id: str
    position: int
    customer: dict[str, Any]
    phone_number_id: str | None
    target_field: str
    target_id: str
    assistant_overrides: dict[str, Any] | None
    squad_overrides: dict[str, Any] | None
    server: dict[str, Any] | None
    predial_plan: dict[str, Any] | None
    call_status: str
    attempt: int
    claimed: bool
    """A claim of this attempt was granted, and not given back."""
    campaign_status: str
    paused: bool
    deleted: bool
    created_at: datetime
