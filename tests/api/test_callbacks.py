"""The providers' callbacks (contract, "Telephony callbacks")."""

from datetime import timedelta
from typing import Any

import pytest
from yarl import URL

from events.codec import encode_command
from events.commands import ClaimCall, DialOutcome, ReportCall
from events.envelope import Command
from events.topics import CALL_COMMANDS
from services.api.callback_reports import read_report
from services.api.command_log import LogUnavailableError
from services.runtime.callback_urls import callback_url
from tests.api.service import CALLBACK_KEY, Service


async def _ringing_call(service: Service) -> tuple[str, str, str]:
    """Campaign, call and the path of its callbacks; the call was claimed and placed."""
    campaign = await service.create(customers=1, schedulePlan=...)
    call_id = next(iter(campaign["calls"]))
    claim = ClaimCall(attempt=1, claimant="dialer-1", valid_until=service.clock.now() + timedelta(seconds=30))
    placed = DialOutcome(attempt=1, claim_id="claim-1", outcome="placed")
    for id, data in (("claim-1", claim), ("outcome-1", placed)):
        command = Command(id, "org-1", data, "/tests", campaign["id"], call_id)
        await service.log.append(CALL_COMMANDS, "org-1", [encode_command(command)])
    return campaign["id"], call_id, callback_url("", CALLBACK_KEY, "org-1", campaign["id"], call_id, 1)


def _told(**message: Any) -> dict[str, Any]:
    return {"message": {"call": {"id": "p-7"}, **message}}


async def test_a_report_is_in_the_log_when_it_is_confirmed(service: Service) -> None:
    _, call_id, path = await _ringing_call(service)
    response = await service.client.post(path, json=_told(type="status-update", status="ringing"))
    assert response.status == 200
    command = service.log.appended[-1]
    assert (command.org_id, command.call_id) == ("org-1", call_id)
    assert command.data == ReportCall(attempt=1, status="ringing", provider_call_id="p-7")


async def test_a_report_without_our_mac_is_403_and_changes_nothing(service: Service) -> None:
    campaign_id, call_id, path = await _ringing_call(service)
    appended = len(service.log.appended)
    others = [
        path[:-1] + ("A" if path[-1] != "A" else "B"),
        path.replace("org-1", "org-2"),
        path.replace("/1/", "/2/"),
        callback_url("", b"other", "org-1", campaign_id, call_id, 1),
        callback_url("", CALLBACK_KEY, "org-1", campaign_id, "no-uuid", 1),
        path + "%FF",
    ]
    for other in others:
        assert (await service.client.post(other, json=_told(type="status-update", status="ringing"))).status == 403
    assert len(service.log.appended) == appended


async def test_an_org_with_reserved_characters_is_called_back(service: Service) -> None:
    service.headers = await service.key_of("a/b?c%d#e")
    campaign = await service.create(customers=1, schedulePlan=...)
    path = callback_url("", CALLBACK_KEY, "a/b?c%d#e", campaign["id"], next(iter(campaign["calls"])), 1)
    url = URL(str(service.client.make_url("/")).rstrip("/") + path, encoded=True)
    response = await service.client.session.post(url, json=_told(type="status-update", status="ringing"))
    assert response.status == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"message": "text"},
        {"message": {"type": "transcript"}},
        {"message": {"type": "status-update", "status": "queued"}},
        {"message": {"type": "status-update", "status": ["ended"]}},
        {"message": {"type": "status-update"}},
    ],
)
async def test_what_we_do_not_know_is_confirmed_and_ignored(service: Service, body: Any) -> None:
    _, _, path = await _ringing_call(service)
    appended = len(service.log.appended)
    response = await service.client.post(path, json=body)
    assert response.status == 200
    assert len(service.log.appended) == appended
    metrics = await (await service.client.get("/metrics")).text()
    assert 'ringfold_api_callbacks_total{result="ignored"} 1.0' in metrics


async def test_a_report_that_the_log_does_not_take_is_503(service: Service) -> None:
    _, _, path = await _ringing_call(service)
    service.log.fault = LogUnavailableError("down")
    assert (await service.client.post(path, json=_told(type="status-update", status="ringing"))).status == 503


async def test_a_campaign_ends_by_its_reports(service: Service) -> None:
    campaign_id, call_id, path = await _ringing_call(service)
    final = _told(
        type="end-of-call-report",
        endedReason="customer-ended-call",
        startedAt="2030-01-01T09:00:05.000Z",
        endedAt=1893488465000,
        cost=0.12,
        analysis={"summary": "fine"},
    )
    for body in (final, _told(type="status-update", status="in-progress"), final):
        assert (await service.client.post(path, json=body)).status == 200
    campaign = await service.answer("GET", f"/campaign/{campaign_id}")
    assert (campaign["status"], campaign["endedReason"]) == ("ended", "campaign.ended.success")
    assert campaign["calls"][call_id] == {
        "id": call_id,
        "customer": campaign["customers"][0],
        "status": "ended",
        "endedReason": "customer-ended-call",
        "startedAt": "2030-01-01T09:00:05.000Z",
        "endedAt": "2030-01-01T09:01:05.000Z",
        "analysis": {"summary": "fine"},
    }


def test_a_status_update_reads_its_timestamp_in_milliseconds_or_as_text() -> None:
    for timestamp in (1893488400123.7, "2030-01-01T10:00:00.123+01:00"):
        report = read_report(2, _told(type="status-update", status="in-progress", timestamp=timestamp))
        assert report is not None
        assert report.to_wire()["startedAt"] == "2030-01-01T09:00:00.123Z"
        assert (report.attempt, report.final) == (2, False)


def test_broken_details_are_left_out_and_the_end_is_kept() -> None:
    deep: Any = 1
    for _ in range(900):
        deep = {"a": deep}
    broken = {
        "endedReason": "x" * 300 + "\n",
        "startedAt": "soon",
        "endedAt": 1e300,
        "cost": -1,
        "analysis": {"deep": deep},
        "call": {"id": "with space"},
    }
    report = read_report(1, _told(type="end-of-call-report", **broken))
    assert report == ReportCall(attempt=1, status="ended", final=True, ended_reason="x" * 200)
    nothing = read_report(1, _told(type="end-of-call-report", endedReason="", cost=True, startedAt=True, analysis=[], call=3))
    assert nothing == ReportCall(attempt=1, status="ended", final=True)


async def test_an_analysis_too_large_to_keep_is_left_out(service: Service) -> None:
    _, _, path = await _ringing_call(service)
    body = _told(type="end-of-call-report", endedReason="voicemail", analysis={"summary": "x" * 1_000_000})
    assert (await service.client.post(path, json=body)).status == 200
    assert service.log.appended[-1].data == ReportCall(
        attempt=1, status="ended", final=True, ended_reason="voicemail", provider_call_id="p-7"
    )
