"""The dead webhooks over HTTP: an org's own, in pages, and sent again once however often that is asked."""

import json
from pathlib import Path

import pytest
from sqlalchemy import delete

from events.webhooks import MAX_REPLAYED_IDS
from projections.store.engine import writing
from services.api.own_store import requests
from tests.api.service import Service, running_service

CAMPAIGN, OTHER_CAMPAIGN = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"
JSON = {"Content-Type": "application/json"}
PATH, REPLAY = "/webhooks/dead", "/webhooks/dead/replay"


async def given_dead(service: Service, count: int = 3, org: str = "org-1", campaign: str = CAMPAIGN) -> list[str]:
    """The ids of webhooks that died one second after the other."""
    return [await service.log.webhooks.died(org, campaign, f"2030-01-01T09:00:0{number}Z") for number in range(count)]


async def listed(service: Service, query: str = "") -> list[str]:
    return [webhook["id"] for webhook in (await service.answer("GET", PATH + query))["results"]]


async def test_the_dead_are_listed_newest_first_with_why_and_what_they_say(service: Service) -> None:
    dead = await given_dead(service)
    page = await service.answer("GET", PATH)
    assert [webhook["id"] for webhook in page["results"]] == dead[::-1]
    assert page["results"][0] == {
        "id": dead[2],
        "orgId": "org-1",
        "campaignId": CAMPAIGN,
        "sequence": 1,
        "eventType": "campaign.ended",
        "message": {"type": "campaign.event", "campaignId": CAMPAIGN, "data": {}},
        "attempts": 3,
        "lastError": "answered 500",
        "queuedAt": "2030-01-01T08:00:00.000Z",
        "deadAt": "2030-01-01T09:00:02.000Z",
    }
    assert page["metadata"] == {
        "itemsPerPage": 100,
        "totalItems": 3,
        "currentPage": 1,
        "totalPages": 1,
        "hasNextPage": False,
        "sortOrder": "DESC",
    }


async def test_pages_hold_each_dead_webhook_once_and_a_campaigns_alone_where_asked(service: Service) -> None:
    dead, others = await given_dead(service), await given_dead(service, 1, campaign=OTHER_CAMPAIGN)
    pages = [await listed(service, f"?campaignId={CAMPAIGN}&sortOrder=ASC&limit=2&page={page}") for page in (1, 2, 3)]
    assert pages == [dead[:2], dead[2:], []]
    assert await listed(service, f"?campaignId={OTHER_CAMPAIGN}") == others
    assert await listed(service, "?campaignId=nothing") == []


@pytest.mark.parametrize("query", ["?limit=0", "?limit=1001", "?page=0", "?page=x", "?sortOrder=UP"])
async def test_a_broken_parameter_of_the_dead_is_400(service: Service, query: str) -> None:
    await service.answer("GET", PATH + query, status=400)


async def test_dead_webhooks_are_sent_again_by_their_ids_or_all_and_are_gone_from_the_list(service: Service) -> None:
    dead = await given_dead(service)
    some = await service.answer("POST", REPLAY, {"ids": [dead[0], dead[2], "nobody"]}, status=201)
    assert some["webhooksReplayed"] == 2
    assert await listed(service) == [dead[1]]
    assert (await service.answer("POST", REPLAY, {"all": True}, status=201))["webhooksReplayed"] == 1
    assert await listed(service) == []
    assert (await service.answer("POST", REPLAY, {"all": True}, status=201))["webhooksReplayed"] == 0


async def test_another_orgs_dead_webhooks_are_as_if_absent(service: Service) -> None:
    dead, other = await given_dead(service), await service.key_of("org-2")
    for query in ("", f"?campaignId={CAMPAIGN}"):
        assert (await service.answer("GET", PATH + query, headers=other))["results"] == []
    for body in ({"ids": dead}, {"all": True}):
        assert (await service.answer("POST", REPLAY, body, status=201, headers=other))["webhooksReplayed"] == 0
    assert len(await listed(service)) == 3


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "exactly one of ids or all is required"),
        ({"ids": ["a"], "all": True}, "exactly one of ids or all is required"),
        ({"all": False}, "all must be true"),
        ({"ids": []}, "ids must hold at least 1"),
        ({"ids": ["a"] * (MAX_REPLAYED_IDS + 1)}, f"ids must hold at most {MAX_REPLAYED_IDS}"),
        ({"ids": [1]}, "ids.0 must be a string"),
        ({"all": True, "org": "x"}, "property org should not exist"),
        ([], "the body must be an object"),
    ],
)
async def test_a_replay_that_is_not_whole_is_400(service: Service, body: object, message: str) -> None:
    assert (await service.answer("POST", REPLAY, body, status=400))["message"] == [message]
    assert service.log.webhooks.commands == []


async def test_as_many_of_the_longest_ids_as_are_taken_fit_a_replay_and_a_larger_body_is_413(service: Service) -> None:
    ids = [f"{number:0200d}" for number in range(MAX_REPLAYED_IDS)]
    answer = await service.answer("POST", REPLAY, data=json.dumps({"ids": ids}, indent=4), status=201, headers=JSON)
    assert answer["webhooksReplayed"] == 0
    await service.answer("POST", REPLAY, data='{"ids": [' + "[]," * 90_000, status=413, headers=JSON)


async def test_a_replay_that_is_not_json_is_415(service: Service) -> None:
    response = await service.ask("POST", REPLAY, data=b"all=true", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert response.status == 415


async def test_a_keyed_replay_is_carried_out_once_and_answered_the_same(service: Service) -> None:
    (message_id,) = await given_dead(service, 1)
    key = {"Idempotency-Key": "k-1"}
    first = await service.answer("POST", REPLAY, {"all": True}, status=201, headers=key)
    await given_dead(service, 2)
    assert await service.answer("POST", REPLAY, {"all": True}, status=201, headers=key) == first
    assert len(await listed(service)) == 2
    refused = await service.answer("POST", REPLAY, {"ids": [message_id]}, status=400, headers=key)
    assert refused["message"] == "this Idempotency-Key was used for another request"


async def test_an_api_that_has_forgotten_a_key_tells_another_body_under_it_by_what_the_notifier_told(tmp_path: Path) -> None:
    key = {"Idempotency-Key": "k-1"}
    async with running_service(tmp_path) as service:
        dead = await given_dead(service, 1)
        first = await service.answer("POST", REPLAY, {"all": True}, status=201, headers=key)
        await forget_requests(service)
        assert await service.answer("POST", REPLAY, {"all": True}, status=201, headers=key) == first
        await forget_requests(service)
        await service.answer("POST", REPLAY, {"ids": dead}, status=400, headers=key)


async def forget_requests(service: Service) -> None:
    async with writing(service.context.repeats.remembered.database) as connection:
        await connection.execute(delete(requests))


async def test_a_replay_whose_outcome_is_not_known_in_time_is_503_and_its_repeat_joins_it(tmp_path: Path) -> None:
    async with running_service(tmp_path, hold_seconds=0.2) as service:
        await given_dead(service, 1)
        service.log.webhooks.notifier_runs = False
        refused = await service.answer("POST", REPLAY, {"all": True}, status=503)
        assert "joins this one" in refused["message"]
        service.log.webhooks.notifier_runs = True
        assert (await service.answer("POST", REPLAY, {"all": True}, status=201))["webhooksReplayed"] == 1
        assert len({command.id for command in service.log.webhooks.commands}) == 1
