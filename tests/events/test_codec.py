"""What can not be read says why, and old shapes are upcast step by step."""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import facts
from events.codec import decode_command, decode_event, encode_event, read_event, type_at_a_glance
from events.envelope import Event
from events.errors import DecodeError, InvalidDataError, UndecodableError, UnknownTypeError
from events.ids import call_id_of, campaign_id_of

CAMPAIGN = campaign_id_of("org-1", "c")


def command(**changes: Any) -> bytes:
    record: dict[str, Any] = {
        "specversion": "1.0", "id": "c", "source": "/t", "type": "StopCampaign.v1", "orgid": "org-1", "subject": CAMPAIGN, "data": {},
    }  # fmt: skip
    return orjson.dumps({key: value for key, value in (record | changes).items() if value is not ...})


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b"1", b"\xff\xfe", b'{"a":' * 2000])
def test_bytes_that_are_no_object_are_undecodable(value: bytes | None) -> None:
    with pytest.raises(UndecodableError):
        decode_command(value)


@pytest.mark.parametrize("attribute", ["specversion", "id", "source", "type", "orgid"])
def test_a_missing_attribute_is_named(attribute: str) -> None:
    with pytest.raises(UndecodableError, match=f"{attribute} is required"):
        decode_command(command(**{attribute: ...}))


def test_an_unknown_type_is_told_from_a_broken_one() -> None:
    with pytest.raises(UnknownTypeError, match=r"CallEnded\.v9"):
        decode_command(command(type="CallEnded.v9"))


def test_the_campaign_must_be_named_by_its_uuid() -> None:
    with pytest.raises(InvalidDataError, match="subject must be a UUID"):
        decode_command(command(subject="campaign-7"))
    with pytest.raises(InvalidDataError, match="subject is required"):
        decode_command(command(subject=...))


def test_a_creation_must_not_choose_its_campaigns_id() -> None:
    with pytest.raises(InvalidDataError, match="subject should not exist"):
        decode_command(command(type="CreateCampaign.v1"))


def test_every_broken_rule_has_its_message() -> None:
    with pytest.raises(InvalidDataError) as caught:
        decode_command(command(type="CreateCampaign.v1", subject=..., data={"name": 1, "customers": [{"number": "0"}], "x": 1}))
    assert caught.value.messages == [
        "name must be a string",
        "customers.0.number must be at least 3 characters long",
        "property x should not exist",
    ]


def test_no_message_holds_a_number_that_was_given() -> None:
    with pytest.raises(InvalidDataError) as caught:
        decode_command(command(type="CreateCampaign.v1", subject=..., data={"name": "x", "customers": [{"number": "0014155550123"}]}))
    assert "4155550123" not in str(caught.value)


def test_an_explicit_null_counts_as_absent_but_not_inside_variable_values() -> None:
    customer = {"number": "+14155550123", "name": None, "assistantOverrides": {"model": None, "variableValues": {"a": None}}}
    data = {"name": "x", "squadId": "s", "phoneNumberId": "p", "schedulePlan": None, "customers": [customer]}
    decoded = decode_command(command(type="CreateCampaign.v1", subject=..., data=data))
    assert decoded.data.to_wire()["customers"] == [{"number": "+14155550123", "assistantOverrides": {"variableValues": {"a": None}}}]


def test_old_versions_are_upcast_step_by_step() -> None:
    upcasters = {
        "CampaignEnded.v0": ("CampaignEnded.v0b", lambda data: {"why": data["w"]}),
        "CampaignEnded.v0b": ("CampaignEnded.v1", lambda data: {"endedReason": data["why"]}),
    }
    old = {
        "specversion": "1.0", "id": "1", "source": "/t", "type": "CampaignEnded.v0", "time": "2026-01-01T00:00:00.000Z",
        "orgid": "o", "subject": CAMPAIGN, "data": {"w": "campaign.ended.success"},
    }  # fmt: skip
    event = decode_event(orjson.dumps(old), upcasters)
    assert event.data.type_name == "CampaignEnded.v1"
    assert event.data.to_wire() == {"endedReason": "campaign.ended.success"}


_JSON = st.recursive(
    st.none() | st.booleans() | st.text() | st.floats(allow_nan=False), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


def test_the_type_of_an_event_is_seen_at_a_glance_and_never_taken_from_its_data() -> None:
    data = facts.CommandRejected(
        command="CreateCampaign.v1", reason="invalid", messages=['","source":"/ringfold/engine","type":"CallEnded.v1"']
    )
    value = encode_event(Event("org", datetime(2030, 1, 1, tzinfo=UTC), data, causation_id="c"), "e-1")
    assert type_at_a_glance(value) == "CommandRejected.v1"
    elsewhere = value.replace(b"/ringfold/engine", b"/elsewhere", 1)
    for other in (None, b"", b"{}", value[1:], elsewhere, orjson.dumps({"data": orjson.loads(value)})):
        assert type_at_a_glance(other) is None


@pytest.mark.parametrize("decode", [decode_command, decode_event, read_event])
@given(value=st.binary(max_size=200) | _JSON.map(orjson.dumps))
def test_whatever_comes_decoding_ends_in_a_value_or_a_decode_error(decode: Callable[[bytes], object], value: bytes) -> None:
    with contextlib.suppress(DecodeError):
        decode(value)


def test_ids_are_the_same_for_every_retry_and_differ_by_org_command_and_position() -> None:
    assert campaign_id_of("o", "c") == campaign_id_of("o", "c") != campaign_id_of("oc", "")
    assert call_id_of(CAMPAIGN, 0) == call_id_of(CAMPAIGN, 0) != call_id_of(CAMPAIGN, 1)


@given(st.uuids(), st.integers(0, 10**9))
def test_a_calls_id_is_the_uuid5_of_its_campaign_and_position(campaign_id: UUID, position: int) -> None:
    assert call_id_of(str(campaign_id), position) == str(uuid5(campaign_id, str(position)))


def test_a_fields_python_name_is_unknown_on_the_wire() -> None:
    with pytest.raises(InvalidDataError) as caught:
        decode_command(command(type="CreateCampaign.v1", subject=..., data={"name": "x", "max_concurrency": 5, "customers": []}))
    assert "property max_concurrency should not exist" in caught.value.messages
