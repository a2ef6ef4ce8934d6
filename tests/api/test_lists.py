"""Lists, summaries, contacts and calls on both databases (contract, "Requests", "Calls by themselves")."""

from datetime import timedelta
from typing import Any

import pytest

from tests.api.service import Service, draft


async def _campaigns(service: Service, count: int) -> list[dict[str, Any]]:
    """Campaigns a minute apart, the newest first."""
    created = []
    for number in range(count):
        service.log.world.now += timedelta(minutes=1)
        created.append(await service.create(customers=1, name=f"Campaign {number}"))
    return created[::-1]


def _ids(answer: dict[str, Any]) -> list[str]:
    return [campaign["id"] for campaign in answer["results"]]


async def test_a_list_holds_campaigns_newest_first_without_calls_and_customers(service_on: Service) -> None:
    campaigns = await _campaigns(service_on, 2)
    answer = await service_on.answer("GET", "/campaign")
    for campaign in campaigns:
        del campaign["customers"]
        campaign["calls"] = {}
    assert answer["results"] == campaigns
    assert answer["metadata"] == {
        "itemsPerPage": 100,
        "totalItems": 2,
        "currentPage": 1,
        "totalPages": 1,
        "hasNextPage": False,
        "sortOrder": "DESC",
    }


async def test_pages_hold_each_campaign_once(service_on: Service) -> None:
    campaigns = await _campaigns(service_on, 5)
    pages = [await service_on.answer("GET", f"/campaign?limit=2&page={page}") for page in (1, 2.0, 3, 4)]
    assert [id for page in pages for id in _ids(page)] == [campaign["id"] for campaign in campaigns]
    assert [page["metadata"]["hasNextPage"] for page in pages] == [True, True, False, False]
    assert {(page["metadata"]["totalPages"], page["metadata"]["totalItems"]) for page in pages} == {(3, 5)}
    ascending = await service_on.answer("GET", "/campaign?limit=2&sortOrder=ASC")
    assert _ids(ascending) == [campaigns[4]["id"], campaigns[3]["id"]]
    assert ascending["metadata"]["sortOrder"] == "ASC"


async def test_filters_by_time_compare_with_what_is_answered(service_on: Service) -> None:
    newest, middle, oldest = await _campaigns(service_on, 3)
    at = middle["createdAt"]
    for query, expected in {
        f"createdAtGt={at}": [newest],
        f"createdAtGe={at}": [newest, middle],
        f"createdAtLt={at}": [oldest],
        f"createdAtLe={at}": [middle, oldest],
        "createdAtGe=2030-01-01T10:02:00%2B01:00": [newest, middle],
        f"createdAtGe={at}&createdAtLe={at}": [middle],
        f"updatedAtGt={at}": [newest],
        "createdAtGt=&status=&id=&page=&limit=&sortBy=": [newest, middle, oldest],
        f"id={oldest['id']}": [oldest],
        "id=nonsense": [],
        "unheardOf=1": [newest, middle, oldest],
    }.items():
        answer = await service_on.answer("GET", f"/campaign?{query}")
        assert _ids(answer) == [campaign["id"] for campaign in expected], query
        assert answer["metadata"]["totalItems"] == len(expected)


async def test_archived_campaigns_are_listed_only_where_the_status_asks_for_them(service_on: Service) -> None:
    scheduled, archived, ended = await _campaigns(service_on, 3)
    await service_on.answer("DELETE", f"/v2/campaign/{archived['id']}")
    await service_on.answer("PATCH", f"/campaign/{ended['id']}", {"status": "ended"})
    for prefix in ("/campaign", "/v2/campaign"):
        assert _ids(await service_on.answer("GET", prefix)) == [scheduled["id"], ended["id"]]
        for status, expected in {"archived": [archived], "ended": [ended], "scheduled": [scheduled], "cancelled": []}.items():
            assert _ids(await service_on.answer("GET", f"{prefix}?status={status}")) == [campaign["id"] for campaign in expected]


async def test_lists_sort_by_how_long_campaigns_ran(service_on: Service) -> None:
    short, none, long = [await service_on.create(schedulePlan=...), await service_on.create(), await service_on.create(schedulePlan=...)]
    for campaign, minutes in ((short, 1), (long, 5)):
        service_on.log.world.now += timedelta(minutes=minutes)
        await service_on.answer("PATCH", f"/campaign/{campaign['id']}", {"status": "ended"})
    answer = await service_on.answer("GET", "/campaign?sortBy=duration")
    assert _ids(answer) == [long["id"], short["id"], none["id"]]
    assert len((await service_on.answer("GET", "/campaign?sortBy=cost&sortOrder=ASC"))["results"]) == 3


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=0", "limit must be at least 1"),
        ("limit=1001", "limit must be at most 1000"),
        ("page=0", "page must be at least 1"),
        ("page=1.5", "page must be a whole number"),
        ("page=99999999999999999999", "page must be a whole number"),
        ("limit=x", "limit must be a whole number"),
        ("sortOrder=asc", "sortOrder must be one of ASC, DESC"),
        ("sortBy=name", "sortBy must be one of createdAt, duration, cost"),
        ("status=running", "status must be one of scheduled, in-progress, ended, cancelled, archived"),
        ("createdAtGt=yesterday", "createdAtGt must be an ISO 8601 date-time with an offset, such as 2030-01-31T09:00:00Z"),
        ("updatedAtLe=2030-01-01", "updatedAtLe must be an ISO 8601 date-time with an offset, such as 2030-01-31T09:00:00Z"),
    ],
)
async def test_a_broken_parameter_is_400(service: Service, query: str, message: str) -> None:
    assert (await service.answer("GET", f"/campaign?{query}", status=400))["message"] == [message]


async def test_v2_answers_summaries_and_counters_where_asked(service_on: Service) -> None:
    campaign = await service_on.create(path="/v2/campaign", customers=3)
    summary = await service_on.answer("GET", f"/v2/campaign/{campaign['id']}")
    left_out = {"customers", "calls"} | {field for field in campaign if field.startswith("callsCounter")}
    assert summary == {field: value for field, value in campaign.items() if field not in left_out}
    counted = await service_on.answer("GET", f"/v2/campaign/{campaign['id']}?includeCounters=true")
    assert counted == summary | {
        "contactCounters": {"pending": 3, "dispatched": 0, "completed": 0, "failed": 0, "skipped": 0, "predialFailed": 0},
        "callMetrics": {"dialed": 0, "connected": 0},
    }
    assert (await service_on.answer("GET", "/v2/campaign?includeCounters=true"))["results"] == [counted]
    assert (await service_on.answer("GET", "/v2/campaign"))["results"] == [summary]
    await service_on.answer("GET", "/v2/campaign?includeCounters=maybe", status=400)


async def test_v2_stops_to_cancelled_and_deletes_to_archived(service_on: Service) -> None:
    campaign = await service_on.create(path="/v2/campaign")
    path = f"/v2/campaign/{campaign['id']}"
    stopped = await service_on.answer("PATCH", path, {"status": "ended"})
    assert (stopped["status"], stopped["endedReason"]) == ("cancelled", "campaign.scheduled.ended-by-user")
    archived = await service_on.answer("DELETE", path)
    assert (archived["status"], len(archived["calls"])) == ("archived", 2)
    assert (await service_on.answer("GET", path))["status"] == "archived"
    assert (await service_on.answer("DELETE", path))["status"] == "archived"
    await service_on.answer("PATCH", path, {"name": "Other"}, status=400)


async def test_v2_refuses_what_only_v1_takes(service: Service) -> None:
    answer = await service.answer("POST", "/v2/campaign", draft() | {"workflowId": "w", "dialPlan": []}, status=400)
    assert answer["message"] == ["property workflowId should not exist", "property dialPlan should not exist"]
    campaign = await service.create()
    answer = await service.answer("PATCH", f"/v2/campaign/{campaign['id']}", {"workflowId": "w"}, status=400)
    assert answer["message"] == ["property workflowId should not exist"]


async def test_contacts_come_in_pages_by_position_or_status(service_on: Service) -> None:
    customers = [{"number": "+14155550100", "name": "Ann"}, {"sipUri": "sip:bob@example.com"}, *draft(3)["customers"]]
    body = draft(schedulePlan=..., maxConcurrency=2) | {"customers": customers}
    campaign = await service_on.answer("POST", "/v2/campaign", body, status=201)
    path, ids = f"/v2/campaign/{campaign['id']}/contacts", list(campaign["calls"])
    first = await service_on.answer("GET", f"{path}?limit=2")
    at = campaign["createdAt"]
    assert first["results"] == [
        {"id": ids[0], "number": "+14155550100", "name": "Ann", "status": "contact.dispatched", "callId": ids[0], "dispatchedAt": at},
        {"id": ids[1], "number": "sip:bob@example.com", "status": "contact.dispatched", "callId": ids[1], "dispatchedAt": at},
    ]
    assert first["metadata"]["totalItems"] == 5
    second = await service_on.answer("GET", f"{path}?limit=2&page=2")
    assert second["results"][0] == {"id": ids[2], "number": "+14155550000", "name": "Customer 0", "status": "contact.pending"}
    by_status = await service_on.answer("GET", f"{path}?sortBy=status&limit=4")
    assert [contact["id"] for contact in by_status["results"]] == [*ids[2:], ids[0]]
    both = await service_on.answer("GET", f"{path}?status=contact.pending&status=contact.failed&page=2&limit=1")
    assert ([contact["id"] for contact in both["results"]], both["metadata"]["totalItems"]) == ([ids[3]], 3)
    await service_on.answer("GET", f"{path}?status=pending", status=400)
    await service_on.answer("GET", f"{path}?limit=1001", status=400)


async def test_calls_are_answered_by_themselves_newest_first(service_on: Service) -> None:
    campaign = await service_on.create(customers=3)
    calls = await service_on.answer("GET", f"/call?campaignId={campaign['id']}&limit=2")
    assert [call["id"] for call in calls] == list(campaign["calls"])[:0:-1]
    call = await service_on.answer("GET", f"/call/{calls[0]['id']}")
    assert call == calls[0]
    assert call == {
        "id": calls[0]["id"],
        "orgId": "org-1",
        "campaignId": campaign["id"],
        "type": "outboundPhoneCall",
        "createdAt": campaign["createdAt"],
        "updatedAt": campaign["createdAt"],
        "status": "scheduled",
        "customer": campaign["customers"][2],
        "assistantId": "a-1",
        "phoneNumberId": "p-1",
    }
    await service_on.answer("GET", "/call?campaignId=", status=400)
    await service_on.answer("GET", "/call/nonsense", status=404)
