"""What the API answers is what the contract's schemas and its own document say."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from events.codec import encode_command
from events.commands import ReportCall
from events.envelope import Command
from events.schemas import campaign_state_schema, event_schemas
from events.topics import CALL_COMMANDS
from projections.campaign_progress.fold import Progress
from projections.campaign_state.summary import summary
from projections.reading import read_events
from services.api.openapi import openapi
from tests.api.service import LATER, Service, draft, running_service
from tests.schemas.api import CONTRACT, broken_by, broken_by_operation

UNKNOWN = "00000000-0000-4000-8000-000000000000"
HOOKS: dict[str, Any] = {
    "server": {"url": "https://customer.example/hook", "timeoutSeconds": 5, "headers": {"x": "y"}},
    "serverMessages": ["campaign.started", "contact.completed"],
    "predialPlan": {"enabled": False},
    "assistantOverrides": {"variableValues": {"a": None}},
}
REFUSED: list[tuple[str, str, str, Any, int]] = [
    ("POST", "/campaign", "/campaign", {"name": 1, "foo": 2}, 400),
    ("POST", "/v2/campaign", "/v2/campaign", {"workflowId": "w"}, 400),
    ("GET", "/campaign", "/campaign?limit=0", None, 400),
    ("GET", "/v2/campaign", "/v2/campaign?includeCounters=maybe", None, 400),
    ("GET", "/campaign/{id}", f"/campaign/{UNKNOWN}", None, 404),
    ("GET", "/v2/campaign/{id}", f"/v2/campaign/{UNKNOWN}", None, 404),
    ("GET", "/v2/campaign/{id}", "/v2/campaign/1?includeCounters=maybe", None, 400),
    ("PATCH", "/campaign/{id}", f"/campaign/{UNKNOWN}", {"name": "New"}, 404),
    ("PATCH", "/v2/campaign/{id}", f"/v2/campaign/{UNKNOWN}", {"status": "over"}, 400),
    ("DELETE", "/campaign/{id}", f"/campaign/{UNKNOWN}", None, 404),
    ("DELETE", "/v2/campaign/{id}", f"/v2/campaign/{UNKNOWN}", None, 404),
    ("GET", "/v2/campaign/{id}/contacts", f"/v2/campaign/{UNKNOWN}/contacts", None, 404),
    ("GET", "/v2/campaign/{id}/contacts", f"/v2/campaign/{UNKNOWN}/contacts?status=x", None, 400),
    ("GET", "/call", "/call", None, 400),
    ("GET", "/call", f"/call?campaignId={UNKNOWN}", None, 404),
    ("GET", "/call/{id}", "/call/1", None, 404),
]


@pytest.fixture
async def lived(service: Service) -> Service:
    """An org with a campaign that waits, one under way with a call that has ended, and one with a dial plan that was stopped."""
    await service.create(**HOOKS)
    running = await service.create(customers=3, schedulePlan=..., maxConcurrency=2)
    call_id = next(iter(running["calls"]))
    service.log.world.now += timedelta(minutes=1)
    for report in (
        ReportCall(attempt=1, status="in-progress", started_at=service.clock.now()),
        ReportCall(attempt=1, status="ended", ended_reason="customer-ended-call", final=True, cost=0.1, analysis={"summary": "Sold."}),
    ):
        command = Command(service.context.draw_id(), "org-1", report, "/tests", running["id"], call_id)
        await service.log.append(CALL_COMMANDS, "org-1", [encode_command(command)])
    plan = [{"phoneNumberId": "p-1", "customers": draft()["customers"]}]
    body = {field: value for field, value in draft(dialPlan=plan).items() if field not in ("customers", "phoneNumberId")}
    planned = await service.answer("POST", "/campaign", body, status=201)
    await service.answer("PATCH", f"/campaign/{planned['id']}", {"status": "ended"})
    return service


async def both(service: Service, method: str, operation: str, path: str, contract: str | None, body: Any = None, status: int = 200) -> Any:
    """The answer, which must be what the operation tells, and what the contract's component says where it has one."""
    answer = await service.answer(method, path, body, status=status)
    assert broken_by_operation(answer, openapi(), method, operation, status) == []
    assert contract is None or broken_by(answer, contract, CONTRACT) == []
    return answer


async def test_answers_to_reads_are_what_both_documents_say(lived: Service) -> None:
    page = await both(lived, "GET", "/campaign", "/campaign", "CampaignPaginatedResponse")
    assert len(page["results"]) == 3
    for query in ("", "?includeCounters=true"):
        await both(lived, "GET", "/v2/campaign", f"/v2/campaign{query}", "CampaignSummaryPaginatedResponse")
    statuses = set()
    for campaign in page["results"]:
        id = campaign["id"]
        whole = await both(lived, "GET", "/campaign/{id}", f"/campaign/{id}", "Campaign")
        statuses |= {whole["status"], *(call["status"] for call in whole["calls"].values())}
        summary = await both(lived, "GET", "/v2/campaign/{id}", f"/v2/campaign/{id}?includeCounters=true", "CampaignSummary")
        assert summary["contactCounters"].keys() == {"pending", "dispatched", "completed", "failed", "skipped", "predialFailed"}
        contacts = f"/v2/campaign/{id}/contacts"
        await both(lived, "GET", "/v2/campaign/{id}/contacts", contacts, "CampaignContactPaginatedResponse")
        for call in await both(lived, "GET", "/call", f"/call?campaignId={id}", None):
            await both(lived, "GET", "/call/{id}", f"/call/{call['id']}", None)
    assert statuses == {"scheduled", "queued", "in-progress", "ended"}


@pytest.mark.parametrize("prefix", ["/campaign", "/v2/campaign"])
async def test_answers_to_writes_are_what_both_documents_say(service: Service, prefix: str) -> None:
    created = await both(service, "POST", prefix, prefix, "Campaign", draft(**HOOKS), 201)
    path = f"{prefix}/{created['id']}"
    await both(service, "PATCH", f"{prefix}/{{id}}", path, "Campaign", {"name": "Summer", "schedulePlan": LATER})
    await both(service, "PATCH", f"{prefix}/{{id}}", path, "Campaign", {"status": "ended"})
    await both(service, "DELETE", f"{prefix}/{{id}}", path, "Campaign")


async def test_calls_as_strings_are_what_both_documents_say(tmp_path: Path) -> None:
    async with running_service(tmp_path, calls_as_strings=True) as service:
        campaign = await both(service, "POST", "/campaign", "/campaign", "Campaign", draft(), 201)
        assert all(isinstance(call, str) for call in campaign["calls"].values())


@pytest.mark.parametrize(("method", "operation", "path", "body", "status"), REFUSED)
async def test_refusals_are_what_the_document_says(
    service: Service, method: str, operation: str, path: str, body: Any, status: int
) -> None:
    await both(service, method, operation, path, None, body, status)


async def test_every_operation_with_a_key_tells_of_401(service: Service) -> None:
    for path, operations in openapi()["paths"].items():
        for method, operation in operations.items():
            if operation["security"]:
                response = await service.client.request(method, path.replace("{id}", UNKNOWN))
                assert response.status == 401, (method, path)
                assert broken_by_operation(await response.json(), openapi(), method, path, 401) == []


async def test_other_refusals_are_what_the_document_says(service: Service) -> None:
    for headers, data, status in (({"Content-Type": "text/plain"}, b"{}", 415), ({"Content-Type": "application/json"}, b"{", 400)):
        response = await service.ask("POST", "/campaign", headers=headers, data=data)
        assert response.status == status
        assert broken_by_operation(await response.json(), openapi(), "POST", "/campaign", status) == []
    service.log.is_followed = False
    await both(service, "POST", "/campaign", "/campaign", None, draft(), 503)


async def test_health_is_what_the_document_says(service: Service) -> None:
    for path in ("/health/live", "/health/ready"):
        await both(service, "GET", path, path, None)


async def test_what_the_log_and_the_state_topic_hold_is_what_their_schemas_say(lived: Service) -> None:
    schemas = event_schemas()
    progress = Progress(0, {}, {})
    for value in lived.log.events:
        event = orjson.loads(value)
        Draft202012Validator(schemas[event["type"]]).validate(event)
        progress.fold(*read_events([value]))
    progress.settle()
    for row in progress.campaigns.values():
        state = orjson.loads(summary(row, 1_000_000) or b"")
        Draft202012Validator(campaign_state_schema()).validate(state)


def test_an_answer_that_breaks_a_document_is_found() -> None:
    assert broken_by({"status": "over"}, "Campaign", CONTRACT)
    assert broken_by_operation({"id": 1}, openapi(), "GET", "/campaign/{id}", 200)
    assert broken_by_operation({}, openapi(), "GET", "/campaign/{id}", 418)
