"""What is large is answered whole where it is streamed, and refused by a message that says what helps where it is asked for by items."""

import json
from typing import Any

import pytest

from projections.queries import calls, page_size
from projections.queries.views import CallView
from tests.api.service import Service, draft

_ROW_CHARACTERS = 500


def large(count: int) -> dict[str, Any]:
    """A campaign with so many large customers, every other of them small, and itself large."""
    customers: list[dict[str, Any]] = [{"number": f"+141555501{n:02}", "name": "x" * (30 if n % 2 else 1)} for n in range(count)]
    for customer in customers[::2]:
        customer["assistantOverrides"] = {"variableValues": {"text": "y" * _ROW_CHARACTERS}}
    return draft() | {"customers": customers, "assistantOverrides": {"text": "z" * _ROW_CHARACTERS}}


@pytest.fixture
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "MAX_PAGE_CHARACTERS", 2 * _ROW_CHARACTERS)
    monkeypatch.setattr(page_size, "MAX_LIST_CHARACTERS", 3 * _ROW_CHARACTERS)
    monkeypatch.setattr(page_size, "SURELY_SMALL", 1)


@pytest.mark.usefixtures("small_bounds")
async def test_a_campaign_whose_contacts_are_large_is_read_in_small_pages_and_answered_whole(
    service_on: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = large(11)
    campaign = await service_on.answer("POST", "/campaign", asked, status=201)
    assert campaign["customers"] == asked["customers"]
    model, pages = type(service_on.context.read_model), []
    read = model.calls_from

    async def counted(*arguments: Any) -> list[CallView]:
        pages.append(await read(*arguments))
        return list(pages[-1])

    monkeypatch.setattr(model, "calls_from", counted)
    found = await service_on.answer("GET", f"/campaign/{campaign['id']}")
    assert (found["customers"], len(found["calls"])) == (asked["customers"], 11)
    assert max(map(len, pages)) <= 4
    results = await (await service_on.ask("GET", f"/campaign/{campaign['id']}/results?format=ndjson")).text()
    assert [json.loads(line)["customer"] for line in results.splitlines()] == asked["customers"]


@pytest.mark.usefixtures("small_bounds")
async def test_a_page_that_is_too_large_is_400_and_a_smaller_one_is_answered(service_on: Service) -> None:
    campaign = await service_on.answer("POST", "/campaign", large(9), status=201)
    for name in "ab":
        await service_on.answer("POST", "/campaign", large(1) | {"name": name}, status=201)
    lists = (
        ("/campaign?", "results"), ("/v2/campaign?sortBy=cost&", "results"),
        (f"/v2/campaign/{campaign['id']}/contacts?", "results"), (f"/call?campaignId={campaign['id']}&", None),
    )  # fmt: skip
    for path, results in lists:
        refused = await service_on.answer("GET", f"{path}limit=9", status=400)
        assert refused["message"][0].startswith("limit must be smaller: the page holds ")
        answer = await service_on.answer("GET", f"{path}limit=2")
        assert len(answer[results] if results else answer) == 2
