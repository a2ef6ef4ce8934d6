"""Nothing is doubled by the SDKs' own repeats (contract, "Repeats by the SDKs")."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from services.api.command_log import LogUnavailableError, MaybeWrittenError
from services.api.own_store import requests
from tests.api.service import Service, draft, running_service
from tests.support.eventually import eventually


async def _until_appended(service: Service, commands: int) -> None:
    async def appended() -> int:
        return len(service.log.appended)

    await eventually(appended, lambda count: count >= commands)


async def _total(service: Service) -> int:
    total: int = (await service.answer("GET", "/campaign"))["metadata"]["totalItems"]
    return total


async def test_two_equal_requests_that_were_both_answered_are_two_campaigns(service_on: Service) -> None:
    first, second = await service_on.create(), await service_on.create()
    assert first["id"] != second["id"]
    assert await _total(service_on) == 2


async def test_many_requests_at_once_are_as_many_campaigns(service_on: Service) -> None:
    created = await asyncio.gather(*(service_on.create(customers=1, name=f"Campaign {number}") for number in range(40)))
    assert len({campaign["id"] for campaign in created}) == await _total(service_on) == 40


async def test_an_equal_request_joins_the_one_in_flight(service_on: Service) -> None:
    service = service_on
    service.log.engine_runs = False
    asked = [asyncio.create_task(service.create()) for _ in range(3)]
    await _until_appended(service, 1)
    service.log.engine_runs = True
    await service.log.decide()
    answers = await asyncio.gather(*asked)
    assert answers[0] == answers[1] == answers[2]
    assert len(service.log.appended) == 1
    assert await _total(service) == 1
    assert (await service.create())["id"] != answers[0]["id"]


async def test_a_request_whose_connection_was_dropped_is_joined_by_its_repeat(service: Service) -> None:
    await service.create_without_hearing()
    campaign = await service.create()
    assert await _total(service) == 1
    assert (await service.create())["id"] != campaign["id"]


async def test_a_request_that_was_never_answered_is_joined_after_a_restart(tmp_path: Path) -> None:
    async with running_service(tmp_path, hold_seconds=0.2) as before:
        before.log.engine_runs = False
        await before.create(customers=9_000, status=503)
        sent = before.log.appended
    async with running_service(tmp_path, hold_seconds=5) as after:
        # the engine handles what stood in the log, and the repeat's commands after it
        after.log.undecided = sent[:2]
        await after.log.decide()
        campaign = await after.create(customers=9_000)
        assert campaign["callsCounterScheduled"] == 9_000
        assert [command.id for command in after.log.appended] == [command.id for command in sent]
        assert await _total(after) == 1


async def test_a_request_that_was_not_answered_is_forgotten_after_ten_minutes(tmp_path: Path) -> None:
    async with running_service(tmp_path, hold_seconds=0.1) as service:
        service.log.engine_runs = False
        await service.create(status=503)
        await service.create(status=503)
        service.log.world.now = service.log.world.now.replace(minute=11)
        await service.create(status=503)
        assert [command.id == service.log.appended[0].id for command in service.log.appended] == [True, True, False]


async def test_a_rejection_is_told_again_to_who_was_never_told(tmp_path: Path) -> None:
    async with running_service(tmp_path, hold_seconds=0.2) as service:
        service.log.engine_runs = False
        await service.create(maxConcurrency=500, status=503)
        service.log.engine_runs = True
        await service.log.decide()
        for projector_runs in (True, False):
            service.log.projector_runs = projector_runs
            answer = await service.create(maxConcurrency=500, status=400)
            assert answer["message"] == ["maxConcurrency must be at most 100, the org's concurrency limit"]


async def test_within_the_window_an_equal_request_joins_one_that_was_answered(tmp_path: Path) -> None:
    async with running_service(tmp_path, window_seconds=60) as service:
        campaign = await service.create()
        assert await service.create() == campaign
        service.log.world.now = service.log.world.now.replace(minute=2)
        assert (await service.create())["id"] != campaign["id"]


class TestIdempotencyKey:
    """`Idempotency-Key`: same key and body, same answer; same key and another body, 400; in flight waits."""

    async def _post(self, service: Service, key: str, status: int = 201, **fields: Any) -> Any:
        return await service.answer("POST", "/campaign", draft(**fields), status=status, headers={"Idempotency-Key": key})

    async def test_the_same_key_and_body_are_one_campaign(self, service: Service) -> None:
        campaign = await self._post(service, "k-1")
        assert await self._post(service, "k-1") == campaign
        assert (await self._post(service, "k-2"))["id"] != campaign["id"]

    async def test_the_same_key_with_another_body_is_400(self, service: Service) -> None:
        await self._post(service, "k-1")
        answer = await self._post(service, "k-1", status=400, name="Other")
        assert answer["message"] == "this Idempotency-Key was used for another request"
        assert len(service.log.appended) == 1

    async def test_a_key_in_flight_waits_and_refuses_another_body(self, service: Service) -> None:
        service.log.engine_runs = False
        asked = [asyncio.create_task(self._post(service, "k-1")) for _ in range(2)]
        await _until_appended(service, 1)
        await self._post(service, "k-1", status=400, name="Other")
        service.log.engine_runs = True
        await service.log.decide()
        first, second = await asyncio.gather(*asked)
        assert first == second

    async def test_the_same_key_of_two_orgs_is_two_campaigns(self, service: Service) -> None:
        campaign = await self._post(service, "k-1")
        service.headers = await service.key_of("org-2")
        assert (await self._post(service, "k-1"))["id"] != campaign["id"]

    @pytest.mark.parametrize("key", ["", "x" * 256, "ü"])
    async def test_a_malformed_key_is_400(self, service: Service, key: str) -> None:
        await self._post(service, key, status=400)


async def test_a_log_that_takes_nothing_is_503(service: Service) -> None:
    service.log.fault = LogUnavailableError("down")
    answer = await service.create(status=503)
    assert (answer["error"], answer["statusCode"]) == ("Service Unavailable", 503)
    service.log.fault = None
    await service.create()
    assert await _total(service) == 1


async def test_a_command_that_may_be_written_is_503_and_its_repeat_joins(service: Service) -> None:
    service.log.fault = MaybeWrittenError("lost")
    await service.create(status=503)
    service.log.fault = None
    campaign = await service.create()
    assert await _total(service) == 1
    assert {command.id for command in service.log.appended} == {service.log.appended[0].id}
    assert campaign["callsCounterScheduled"] == 2


async def test_too_many_waiting_writes_are_503(tmp_path: Path) -> None:
    async with running_service(tmp_path, max_waiting=1) as service:
        service.log.engine_runs = False
        waiting = asyncio.create_task(service.create())
        await _until_appended(service, 1)
        await service.create(status=503, name="Other")
        service.log.engine_runs = True
        await service.log.decide()
        await waiting


async def test_where_the_projector_is_away_answers_are_built_from_the_events(tmp_path: Path) -> None:
    async with running_service(tmp_path, patience_seconds=0.05) as service:
        known = await service.create()
        service.log.projector_runs = False
        created = await service.create(customers=3)
        edited = await service.answer("PATCH", f"/campaign/{known['id']}", {"name": "Summer"})
        deleted = await service.answer("DELETE", f"/campaign/{created['id']}")
        assert (created["callsCounterScheduled"], len(created["calls"]), len(created["customers"])) == (3, 3, 3)
        assert (deleted["status"], len(deleted["calls"])) == ("ended", 3)
        assert await service.answer("GET", f"/campaign/{known['id']}") == known
        service.log.projector_runs = True
        await service.log.project()
        assert await service.answer("GET", f"/campaign/{known['id']}") == edited


async def test_the_engine_tells_another_body_under_a_key_from_a_repeat_where_the_api_has_forgotten_the_first(service: Service) -> None:
    key = {"Idempotency-Key": "k-1"}
    first = await service.answer("POST", "/campaign", draft(), status=201, headers=key)
    async with service.context.repeats.remembered.database.begin() as connection:
        await connection.execute(requests.delete())
    again = await service.answer("POST", "/campaign", draft(), status=201, headers=key)
    assert again == first
    async with service.context.repeats.remembered.database.begin() as connection:
        await connection.execute(requests.delete())
    refused = await service.answer("POST", "/campaign", draft(name="Other"), status=400, headers=key)
    assert "used for another request" in refused["message"][0]
    assert (await service.answer("GET", "/campaign"))["metadata"]["totalItems"] == 1
