"""Every decoder of what comes from outside: it reads, or raises just what it says that it raises."""

import io
import json
from contextlib import suppress
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from events.codec import decode_command, decode_event, encode_command, encode_event
from events.commands import ReportCall
from events.contacts import Customer
from events.envelope import Command
from events.errors import DecodeError
from services.api.bodies import parse_json
from services.api.callback_reports import read_report
from services.api.csv_contacts import BadLine, UnreadableCsvError, read_contacts
from services.api.errors import InvalidRequestError
from services.api.query_parameters import campaigns_query, contacts_query
from services.api.twilio_reports import is_signed, parse_form, read_twilio_report
from services.dialer import twilio_provider, vapi_provider
from services.dialer.decisions import found_report
from services.dialer.http_predial import verdict_of
from services.dialer.posting import _retry_after_seconds
from services.dialer.provider import LookupFailedError, NotPlaced, Placed, Refused, Unknown
from services.dialer.vapi_lookup import read_found
from services.runtime.errors import StartupError
from services.runtime.provider_choice import read_provider_choice
from tests.fuzzing.anything import any_json, broken_bytes, changed, encoded, records

_ID = "00000000-0000-4000-8000-000000000001"


@given(records(commands=True) | st.none())
def test_a_command_is_read_or_refused_and_what_is_read_is_read_alike_again(value: bytes | None) -> None:
    try:
        command = decode_command(value)
    except DecodeError:
        return
    assert decode_command(encode_command(command)) == command


@given(records(commands=False) | st.none())
def test_an_event_is_read_or_refused_and_what_is_read_is_read_alike_again(value: bytes | None) -> None:
    try:
        event = decode_event(value)
    except DecodeError:
        return
    assert decode_event(encode_event(event, "e-1")) == event


_CELLS = st.text(alphabet="+0123456789 ()-'\"ab\u00e9,;\n\r\t\x00\ud800", max_size=12) | st.text(max_size=8)
_ROWS = st.lists(st.lists(_CELLS, max_size=4), max_size=8)
_CSVS = _ROWS.map(lambda rows: "\n".join(",".join(row) for row in [["number", "name", "city"], *rows]).encode("utf-8", "surrogatepass"))


@given(_CSVS | broken_bytes(_CSVS) | st.binary(max_size=200))
def test_each_row_of_a_csv_is_a_valid_contact_or_a_bad_line(content: bytes) -> None:
    text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        items = list(read_contacts(text, 10))
    except UnreadableCsvError:
        return
    for item in items:
        if isinstance(item, BadLine):
            assert item.messages
            assert item.line >= 2
        else:
            Customer.model_validate(json.loads(item.json), by_alias=True, by_name=False)


_NAMES = st.sampled_from(
    ["page", "limit", "sortOrder", "sortBy", "id", "status", "status[]", "includeCounters", "createdAtGt", "updatedAtLe", "createdAtLt"]
)
_VALUES = (
    st.text(max_size=30)
    | st.integers().map(str)
    | st.datetimes().map(lambda at: at.isoformat() + "+14:00")
    | st.sampled_from(["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1.0", "-0", "\ud800"])
)


@given(st.lists(st.tuples(_NAMES, _VALUES), max_size=6))
def test_query_parameters_are_taken_or_each_broken_rule_is_said(pairs: list[tuple[str, str]]) -> None:
    for read in (lambda query: campaigns_query("org", query), contacts_query):
        with suppress(InvalidRequestError):
            read(MultiDict(pairs))


def _goes_through(report: ReportCall | None) -> None:
    """What is said of a call is taken by the engine: a callback must never end among the dead letters."""
    if report is not None:
        command = Command(_ID, "org", report, "/api", _ID, _ID)
        assert decode_command(encode_command(command)) == command


_REPORT = {
    "message": {
        "type": "end-of-call-report", "status": "ended", "endedReason": "busy", "timestamp": 1, "startedAt": "2030-01-31T09:00:00Z",
        "endedAt": 1.5, "cost": 0.1, "analysis": {"summary": "fine"}, "call": {"id": "p-1"},
    }
}  # fmt: skip


_REPORTS = changed(st.just(_REPORT)).map(encoded)


@given(_REPORTS | broken_bytes(_REPORTS) | any_json.map(encoded))
def test_a_providers_callback_is_read_or_says_nothing(body: bytes) -> None:
    with suppress(InvalidRequestError):
        _goes_through(read_report(1, parse_json(body)))


_FIELDS = st.lists(
    st.tuples(
        st.sampled_from(["CallSid", "CallStatus", "Timestamp", "ErrorCode", "SipResponseCode", "AnsweredBy"]) | st.text(max_size=8),
        st.sampled_from(["completed", "busy", "in-progress", "failed", "CA" + "0" * 32, "Tue, 24 Nov 2026 16:00:05 +0000", "machine_start"])
        | st.text(max_size=30),
    ),
    max_size=8,
)


def _form(fields: list[tuple[str, str]]) -> bytes:
    return urlencode([(name.encode(errors="replace"), value.encode(errors="replace")) for name, value in fields]).encode()


_FORMS = _FIELDS.map(_form)


@given(_FORMS | broken_bytes(_FORMS) | st.binary(max_size=80), st.text(max_size=40))
def test_a_form_of_twilios_is_read_or_refused_and_a_made_up_signature_is_never_right(body: bytes, signature: str) -> None:
    try:
        fields = parse_form(body)
    except InvalidRequestError:
        return
    assert not is_signed(signature, "token", "https://calls.example.com/x", fields)
    _goes_through(read_twilio_report(1, "twilio-us", fields))


_DATES = st.text(max_size=40) | st.sampled_from(
    [
        "Tue, 24 Nov 2026 16:00:05 +0000",
        "Tue, 24 Nov 0001 00:00:00 +2359",
        "Mon, 31 Dec 9999 23:59:59 -2359",
        "Tue, 24 Nov 2026 16:00:05",
        "1e9",
        "9" * 400,
    ]
)


@given(_DATES, _DATES)
def test_a_retry_after_is_some_seconds_that_are_not_past_or_nothing(retry_after: str, date: str) -> None:
    seconds = _retry_after_seconds({"Retry-After": retry_after, "Date": date})
    assert seconds is None or 0 <= seconds < float("inf")


@given(_DATES)
def test_a_timestamp_of_twilios_is_read_or_left_out(text: str) -> None:
    _goes_through(read_twilio_report(1, "twilio-us", [("CallStatus", "completed"), ("Timestamp", text)]))


_ANSWERS = changed(
    st.sampled_from(
        [
            {"id": "p-1", "status": "ringing"},
            {"sid": "CA" + "0" * 32, "status": "queued"},
            {"code": 21211, "status": 400, "message": "no"},
            [
                {"id": "p-1", "status": "ended", "endedReason": "busy", "startedAt": "2030-01-31T09:00:00Z", "cost": 1, "analysis": {}}
                | {"metadata": {"callId": _ID, "attempt": 1}},
            ],
        ]
    )
).map(encoded)


@given(st.integers(100, 599), _ANSWERS | broken_bytes(_ANSWERS) | st.binary(max_size=40))
def test_a_providers_answer_always_means_something(status: int, content: bytes) -> None:
    for answer in (vapi_provider._answer(status, content), twilio_provider._answer(status, content)):
        assert isinstance(answer, Placed | Refused | NotPlaced | Unknown)
        if isinstance(answer, Placed):
            assert status in (200, 201)
    verdict_of(content)
    with suppress(LookupFailedError):
        found = read_found(content, _ID, 1)
        if found is not None:
            found_report("id", "acme", _ID, _ID, 1, "vapi", found)


_SECRET = "hunter2-hunter2"
_CONFIG = {
    "providers": {
        "vapi": {"kind": "vapi", "url": "https://api.vapi.ai", "key": _SECRET, "canFind": True, "callsPerSecond": 5},
        "twilio": {
            "kind": "twilio", "accountSid": "AC" + "0" * 32, "authToken": _SECRET, "url": "https://app.example.com/voice",
            "callers": {"pn-1": "+14155550100"}, "machineDetection": None, "longestCallSeconds": 60,
        },
    },
    "rules": [{"org": "acme", "phoneNumberId": "pn-1", "provider": "twilio"}],
    "default": "vapi",
}  # fmt: skip
_CONFIGS = changed(st.just(_CONFIG)).map(encoded)


@given((_CONFIGS | broken_bytes(_CONFIGS) | any_json.map(encoded)).map(lambda text: text.decode(errors="replace")))
def test_a_configuration_of_providers_is_taken_or_one_line_says_why_not_and_no_secret(text: str) -> None:
    try:
        choice = read_provider_choice(text, None)
        choice.known_with("simulator")
        said = repr(choice)
    except StartupError as error:
        said = str(error)
    assert _SECRET not in said


@pytest.mark.parametrize("depth", [300, 5_000, 200_000])
def test_nothing_is_so_deep_that_a_decoder_falls(depth: int) -> None:
    for deep in (b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth):
        for value in (deep, b'{"specversion":"1.0","id":"1","source":"/a","type":"CreateCampaign.v1","orgid":"o","data":' + deep + b"}"):
            with pytest.raises(DecodeError):
                decode_command(value)
            with pytest.raises(DecodeError):
                decode_event(value)
        assert not isinstance(vapi_provider._answer(200, deep), Placed)
        verdict_of(deep)
        with pytest.raises(StartupError):
            read_provider_choice(deep.decode(), None)
