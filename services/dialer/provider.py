"""Owns the port to a call provider: what it is asked, and the four things that may have become of a dial."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from projections.dial_task.task import DialTask


@dataclass(frozen=True, slots=True)
class PlaceCall:
    """One attempt to be placed. `callback_url` authenticates and routes what the provider says of it."""

    task: DialTask
    attempt: int
    callback_url: str


@dataclass(frozen=True, slots=True)
class Placed:
    """The provider has the call, under its own id."""

    provider_call_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider will not place this call, and asking again would not help.

    `knows_us` is false where that says nothing of how well the provider is: it was not asked, or it may be us whom it refuses,
    and only this call has asked often enough.
    """

    ended_reason: str
    error: str
    knows_us: bool = True


@dataclass(frozen=True, slots=True)
class NotPlaced:
    """The provider surely does not have the call: it was not reached, or said that it can take none now.

    `too_many` where it said that it is given too many; `retry_after_seconds` where it said when to come back; `doubtful` where
    either our key or URL is wrong or an id of this call's.
    """

    error: str
    too_many: bool = False
    retry_after_seconds: float | None = None
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """The provider may have the call."""

    error: str


Answer = Placed | Refused | NotPlaced | Unknown


@dataclass(frozen=True, slots=True)
class FoundCall:
    """A call as the provider knows it; `report` holds what is known beside, under the names that it has on the wire of a report."""

    provider_call_id: str | None
    status: Literal["queued", "ringing", "in-progress", "forwarding", "ended"]
    report: dict[str, Any]


class LookupFailedError(Exception):
    """The provider could not be asked, or gave no usable answer. Retriable."""


class CallProvider(Protocol):
    """A provider of phone calls."""

    @property
    def name(self) -> str:
        """What facts call it."""

    @property
    def can_find(self) -> bool:
        """Whether the provider can look a call up by our id."""

    async def place(self, call: PlaceCall) -> Answer:
        """Ask once, without any retry, and say what is known afterwards. Raises nothing but cancellation.

        Cancelled while it waits, the call's outcome is unknown.
        """

    async def find(self, call_id: str, attempt: int) -> FoundCall | None:
        """The call placed for this attempt, or `None` where there is none now; raises `LookupFailedError`. Only where it `can_find`."""
