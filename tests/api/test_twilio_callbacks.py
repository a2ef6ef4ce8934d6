"""Twilio's status callbacks: taken where our URL and Twilio's signature are right, and read as a report."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from events.codec import encode_command
from events.commands import ClaimCall, DialOutcome, ReportCall
from events.envelope import Command
from events.topics import CALL_COMMANDS
from services.api.command_log import LogUnavailableError
from services.api.errors import InvalidRequestError
from services.api.twilio_reports import is_signed, parse_form, read_twilio_report
from services.runtime.callback_urls import callback_url, twilio_callback_url
from tests.api.service import CALLBACK_BASE, CALLBACK_KEY, TWILIO_TOKEN, Service

SID = "CA" + "1" * 32
AT = datetime(2026, 11, 24, 16, 0, 5, tzinfo=UTC)
TIMESTAMP = "Tue, 24 Nov 2026 16:00:05 +0000"


def signature_of(url: str, form: dict[str, str], token: str = TWILIO_TOKEN) -> str:
    text = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


async def placed_call(service: Service) -> tuple[str, str, str]:
    """Campaign, call and the URL that Twilio was given for it."""
    campaign = await service.create(customers=1, schedulePlan=...)
    call_id = next(iter(campaign["calls"]))
    claim = ClaimCall(attempt=1, claimant="dialer-1", valid_until=service.clock.now() + timedelta(seconds=30), provider="twilio-us")
    placed = DialOutcome(attempt=1, claim_id="claim-1", outcome="placed", provider="twilio-us", provider_call_id=SID)
    for id, data in (("claim-1", claim), ("outcome-1", placed)):
        command = Command(id, "org-1", data, "/tests", campaign["id"], call_id)
        await service.log.append(CALL_COMMANDS, "org-1", [encode_command(command)])
    return campaign["id"], call_id, twilio_callback_url(CALLBACK_BASE, CALLBACK_KEY, "twilio-us", "org-1", campaign["id"], call_id, 1)


async def tell(service: Service, url: str, form: dict[str, str], signature: str | None = None) -> int:
    """Twilio calls the URL, through a proxy that passes the path on."""
    signed = {"X-Twilio-Signature": signature_of(url, form) if signature is None else signature}
    path = URL(str(service.client.make_url("")).rstrip("/") + url.removeprefix(CALLBACK_BASE), encoded=True)
    return (await service.client.session.post(path, data=form, headers=signed)).status


async def test_a_call_goes_its_way_by_what_twilio_says_of_it(service: Service) -> None:
    campaign_id, call_id, url = await placed_call(service)
    seen = []
    for status in ("initiated", "ringing", "in-progress", "completed"):
        assert await tell(service, url, {"CallSid": SID, "CallStatus": status, "Timestamp": TIMESTAMP}) == 200
        seen.append((await service.answer("GET", f"/campaign/{campaign_id}"))["calls"][call_id]["status"])
    assert seen == ["queued", "ringing", "in-progress", "ended"]
    call = (await service.answer("GET", f"/campaign/{campaign_id}"))["calls"][call_id]
    assert (call["endedReason"], call["startedAt"]) == ("customer-ended-call", "2026-11-24T16:00:05.000Z")


async def test_a_callback_that_twilio_did_not_sign_for_this_url_is_403_and_changes_nothing(service: Service) -> None:
    campaign_id, call_id, url = await placed_call(service)
    form = {"CallSid": SID, "CallStatus": "ringing"}
    appended = len(service.log.appended)
    right = signature_of(url, form)
    wrong = ["", "é", right[:-2] + ("E=" if right[-2] == "A" else "A="), signature_of(url, form, "another"), signature_of(url + "x", form)]
    wrong.append(signature_of(url, form | {"CallStatus": "completed"}))
    for signature in wrong:
        assert await tell(service, url, form, signature) == 403
    for other in (
        url[:-1] + ("A" if url[-1] != "A" else "B"),
        url.replace("org-1", "org-2"),
        url.replace("twilio-us", "twilio-eu"),
        twilio_callback_url(CALLBACK_BASE, CALLBACK_KEY, "twilio-eu", "org-1", campaign_id, call_id, 1),
        twilio_callback_url(CALLBACK_BASE, CALLBACK_KEY, "twilio-us", "org-1", campaign_id, "no-uuid", 1),
    ):
        assert await tell(service, other, form) == 403
    assert len(service.log.appended) == appended


async def test_a_call_at_twilio_is_not_reported_of_through_the_plain_route_without_a_signature(service: Service) -> None:
    campaign_id, call_id, url = await placed_call(service)
    mac = url.rpartition("/")[2]
    plain = callback_url("", b"another", "org-1", campaign_id, call_id, 1).rpartition("/")[0]
    assert (await service.client.post(f"{plain}/{mac}", json={})).status == 403


async def test_while_the_log_is_away_twilio_is_asked_to_come_again(service: Service) -> None:
    _, _, url = await placed_call(service)
    service.log.fault = LogUnavailableError()
    assert await tell(service, url, {"CallSid": SID, "CallStatus": "ringing"}) == 503


def report(status: str, **said: str) -> dict[str, Any]:
    read = read_twilio_report(1, "twilio-us", list({"CallSid": SID, "CallStatus": status, "Timestamp": TIMESTAMP, **said}.items()))
    assert read is not None
    return {"reason": read.ended_reason, "status": read.status, "final": read.final}


@pytest.mark.parametrize(
    ("status", "said", "reason"),
    [
        ("completed", {}, "customer-ended-call"),
        ("completed", {"AnsweredBy": "human"}, "customer-ended-call"),
        ("completed", {"AnsweredBy": "unknown"}, "customer-ended-call"),
        ("completed", {"AnsweredBy": "machine_start"}, "voicemail"),
        ("completed", {"AnsweredBy": "machine_end_beep"}, "voicemail"),
        ("completed", {"AnsweredBy": "fax"}, "voicemail"),
        ("busy", {}, "customer-busy"),
        ("no-answer", {}, "customer-did-not-answer"),
        ("canceled", {}, "manually-canceled"),
        ("failed", {}, "twilio-failed-to-connect-call"),
        ("failed", {"SipResponseCode": "503"}, "twilio-failed-to-connect-call"),
        ("failed", {"SipResponseCode": "404"}, "twilio-reported-customer-misdialed"),
        ("failed", {"ErrorCode": "13224"}, "twilio-reported-customer-misdialed"),
    ],
)
def test_each_end_has_its_reason(status: str, said: dict[str, str], reason: str) -> None:
    assert report(status, **said) == {"reason": reason, "status": "ended", "final": True}


def test_times_are_read_and_what_is_broken_is_left_out() -> None:
    fields = [("CallSid", SID), ("CallStatus", "in-progress"), ("Timestamp", TIMESTAMP)]
    assert read_twilio_report(2, "t", fields) == ReportCall(
        attempt=2, provider="t", provider_call_id=SID, status="in-progress", started_at=AT
    )
    broken = [("CallSid", "x"), ("CallStatus", "busy"), ("Timestamp", "yesterday")]
    read = read_twilio_report(2, "t", broken)
    assert read is not None
    assert (read.provider_call_id, read.ended_at) == (None, None)
    for status in ("queued", "initiated", "what", ""):
        assert read_twilio_report(2, "t", [("CallStatus", status)]) is None


DOCUMENTED = {
    "Digits": "1234",
    "To": "+18005551212",
    "From": "+14158675309",
    "Caller": "+14158675309",
    "CallSid": "CA1234567890ABCDE",
}


def test_the_signature_is_the_one_of_twilios_documentation_and_libraries() -> None:
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert is_signed("RSOYDt4T1cUTdK1PDd93/VVr8B8=", "12345", url, list(DOCUMENTED.items()))
    assert not is_signed("RSOYDt4T1cUTdK1PDd93/VVr8B8=", "12346", url, list(DOCUMENTED.items()))
    repeated = [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")]
    assert is_signed("IK+Dwps556ElfBT0I3Rgjkr1wJU=", "12345", url, repeated)


def test_a_port_may_be_left_out_of_what_is_signed_or_be_added_to_it() -> None:
    for signed, given_url in (
        ("https://a.example.com/x", "https://a.example.com:8443/x"),
        ("https://a.example.com:443/x", "https://a.example.com/x"),
        ("https://a.example.com:8443/x", "https://a.example.com:8443/x"),
    ):
        assert is_signed(signature_of(signed, {}), TWILIO_TOKEN, given_url, [])


@given(st.binary(max_size=300))
def test_any_body_is_a_form_or_a_declared_error(body: bytes) -> None:
    try:
        fields = parse_form(body)
    except InvalidRequestError:
        return
    read_twilio_report(1, "t", [*fields, ("CallStatus", "completed")])
    read_twilio_report(1, "t", fields)
