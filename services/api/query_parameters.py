"""Owns how query parameters are read: empty ones count as absent, whole floats as whole numbers, each broken rule is one message."""

import re
from collections.abc import Collection, Mapping
from typing import Any, cast

from multidict import MultiMapping

from events.instants import iso, parse_instant
from projections.queries.contact_lists import CONTACT_STATUSES
from projections.queries.views import CampaignsQuery, Comparison, ContactOrder
from services.api.errors import InvalidRequestError

MAX_LIMIT = 1_000
_MAX_PAGE = 10**12
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.0*)?")
_COMPARISONS: Mapping[str, Comparison] = {"Gt": "gt", "Lt": "lt", "Ge": "ge", "Le": "le"}
CAMPAIGN_STATUSES = ("scheduled", "in-progress", "ended", "cancelled", "archived")


class Parameters:
    """The parameters of one request; `check` raises what `read` methods found broken, all at once."""

    def __init__(self, query: MultiMapping[str]) -> None:
        self._query = query
        self._messages: list[str] = []

    def check(self) -> None:
        """Raises `InvalidRequestError`."""
        if self._messages:
            raise InvalidRequestError(self._messages)

    def text(self, name: str) -> str | None:
        return self._query.get(name) or None

    def texts(self, name: str) -> list[str]:
        """Every value of a parameter that may be repeated, or hold several values between commas."""
        names = [*self._query.getall(name, []), *self._query.getall(f"{name}[]", [])]
        return [value for item in names for value in item.split(",") if value]

    def one_of(self, name: str, values: Collection[str], default: str | None = None) -> str | None:
        value = self.text(name)
        if value is not None and value not in values:
            self._messages.append(f"{name} must be one of {', '.join(values)}")
        return default if value is None else value

    def several_of(self, name: str, values: Collection[str]) -> list[str]:
        given = self.texts(name)
        if any(value not in values for value in given):
            self._messages.append(f"{name} must be one of {', '.join(values)}")
        return given

    def whole_number(self, name: str, default: int, most: int) -> int:
        value = self.text(name)
        if value is None:
            return default
        if not _NUMBER.fullmatch(value):
            self._messages.append(f"{name} must be a whole number")
            return default
        number = int(value.partition(".")[0])
        if number < 1:
            self._messages.append(f"{name} must be at least 1")
        elif number > most:
            self._messages.append(f"{name} must be at most {most}")
        return number

    def flag(self, name: str) -> bool:
        value = self.text(name)
        if value is not None and value.lower() not in ("true", "false"):
            self._messages.append(f"{name} must be true or false")
        return value is not None and value.lower() == "true"

    def bounds(self, name: str) -> tuple[tuple[Comparison, str], ...]:
        """The comparisons `<name>Gt`, `Lt`, `Ge` and `Le` with instants, at the precision of answers."""
        found: list[tuple[Comparison, str]] = []
        for suffix, comparison in _COMPARISONS.items():
            value = self.text(name + suffix)
            if value is None:
                continue
            try:
                found.append((comparison, iso(parse_instant(value))))
            except (ValueError, OverflowError):
                self._messages.append(f"{name}{suffix} must be an ISO 8601 date-time with an offset, such as 2030-01-31T09:00:00Z")
        return tuple(found)


def campaigns_query(org_id: str, query: MultiMapping[str]) -> tuple[CampaignsQuery, bool]:
    """The list that is asked for, and whether with counters; raises `InvalidRequestError`."""
    parameters = Parameters(query)
    asked = CampaignsQuery(
        org_id=org_id,
        page=parameters.whole_number("page", 1, _MAX_PAGE),
        limit=parameters.whole_number("limit", 100, MAX_LIMIT),
        campaign_id=parameters.text("id"),
        status=parameters.one_of("status", CAMPAIGN_STATUSES),
        created=parameters.bounds("createdAt"),
        updated=parameters.bounds("updatedAt"),
        order=cast(Any, parameters.one_of("sortBy", ("createdAt", "duration", "cost"), "createdAt")),
        descending=parameters.one_of("sortOrder", ("ASC", "DESC"), "DESC") == "DESC",
    )
    counters = parameters.flag("includeCounters")
    parameters.check()
    return asked, counters


def dead_webhooks_query(query: MultiMapping[str]) -> tuple[str | None, int, int, bool]:
    """Campaign, page, limit, and whether the newest come first; raises `InvalidRequestError`."""
    parameters = Parameters(query)
    campaign_id = parameters.text("campaignId")
    page = parameters.whole_number("page", 1, _MAX_PAGE)
    limit = parameters.whole_number("limit", 100, MAX_LIMIT)
    descending = parameters.one_of("sortOrder", ("ASC", "DESC"), "DESC") == "DESC"
    parameters.check()
    return campaign_id, page, limit, descending


def contacts_query(query: MultiMapping[str]) -> tuple[list[str], ContactOrder, int, int]:
    """Statuses, order, page and limit; raises `InvalidRequestError`."""
    parameters = Parameters(query)
    statuses = parameters.several_of("status", CONTACT_STATUSES)
    order = parameters.one_of("sortBy", ("position", "status"), "position")
    page = parameters.whole_number("page", 1, _MAX_PAGE)
    limit = parameters.whole_number("limit", 50, MAX_LIMIT)
    parameters.check()
    return statuses, cast(ContactOrder, order), page, limit
