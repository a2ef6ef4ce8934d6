"""A command's id names one request: the engine knows a repeat from another request by the hash that is sent along."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from events import commands
from events.envelope import Event
from events.topics import CALL_COMMANDS, CAMPAIGN_COMMANDS, COMMAND_IDS_KEPT, WEBHOOK_COMMANDS
from services.engine.decider.decide import ID_REUSED
from tests.engine.given import World, customers, draft, names, through_the_log

ONE, OTHER = "1" * 64, "2" * 64


def ask(world: World, data: commands.CommandData, id: str, request_hash: str | None, campaign_id: str | None = None) -> list[Event]:
    return world.do(data, campaign_id, id=id, request_hash=request_hash)


def test_the_same_request_again_has_no_effect_and_another_under_the_same_id_is_rejected() -> None:
    world = World()
    created = ask(world, draft(), "c", ONE)
    assert [event.request_hash for event in created[:2]] == [ONE, None]
    assert names(ask(world, draft(), "c", ONE)) == ["CommandHadNoEffect"]
    (refused,) = ask(world, draft(1), "c", OTHER)
    assert refused.data.to_wire() == {"command": "CreateCampaign.v1", "reason": "id-reused", "messages": [ID_REUSED]}
    assert (refused.request_hash, refused.campaign_id) == (OTHER, created[0].campaign_id)
    assert names(ask(world, draft(), "c", ONE)) == ["CommandHadNoEffect"]


def test_an_id_is_known_for_longer_than_its_command_may_stand_on_the_log() -> None:
    for topic in (CAMPAIGN_COMMANDS, CALL_COMMANDS, WEBHOOK_COMMANDS):
        assert topic.retention_ms is not None
        assert topic.segment_ms is not None
        stands = timedelta(milliseconds=topic.retention_ms + topic.segment_ms)
        assert stands + timedelta(hours=12) < COMMAND_IDS_KEPT
        world = World()
        campaign_id = world.create(1, schedulePlan={"earliestAt": "2031-01-01T00:00:00Z"})
        more = commands.AddContacts.model_validate({"customers": customers(1)})
        assert names(ask(world, more, "more", None, campaign_id)) == ["CallScheduled", "ContactsCompleted"]
        world.now += stands
        world.do(commands.UpdateCampaign(name="new"), campaign_id)
        assert names(ask(world, more, "more", None, campaign_id)) == ["CommandHadNoEffect"]


def test_who_sends_no_hash_is_taken_at_their_word() -> None:
    world = World()
    ask(world, draft(), "c", None)
    assert names(ask(world, draft(1), "c", OTHER)) == ["CommandHadNoEffect"]
    ask(world, draft(), "d", ONE)
    assert names(ask(world, draft(1), "d", None)) == ["CommandHadNoEffect"]


def test_the_hash_is_remembered_by_the_log_alone() -> None:
    world = World()
    ask(world, draft(), "c", ONE)
    world.state = through_the_log(world.log)
    assert names(ask(world, draft(1), "c", OTHER)) == ["CommandRejected"]


def test_a_part_that_comes_after_its_creation_was_given_up_is_told_so() -> None:
    world = World()
    data = commands.CreateCampaign.model_validate({"name": "x", "assistantId": "a", "phoneNumberId": "p", "parts": 2})
    campaign_id = world.do(data, id="c")[0].campaign_id
    world.after(minutes=10)
    part = commands.AddContacts.model_validate({"part": 0, "customers": customers(1)})
    (refused,) = world.do(part, campaign_id)
    assert refused.data.to_wire()["messages"] == ["only 0 of 2 parts of the contacts came in time"]
    (other,) = world.do(part, campaign_id, org="org-2")
    assert other.data.to_wire()["reason"] == "not-found"


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from([ONE, OTHER])), max_size=12))
def test_whatever_is_repeated_each_id_has_one_effect(asked: list[tuple[str, str]]) -> None:
    world = World()
    first: dict[str, str] = {}
    for id, request_hash in asked:
        (event, *_) = ask(world, draft(1), id, request_hash)
        if id not in first:
            assert event.data.type_name == "CampaignCreated.v1"
            first[id] = request_hash
        else:
            assert names([event]) == ["CommandHadNoEffect" if first[id] == request_hash else "CommandRejected"]
    assert len(world.state.campaigns) == len(first)
