"""Bodies in and streams out: bounded, and never a part for the whole (contract, "Errors")."""

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import orjson
import pytest

from projections.campaign_progress.rows import CampaignRow
from projections.queries.read_model import ReadModelAwayError
from projections.queries.views import CallView
from services.api.bodies import MAX_BODY_BYTES
from tests.api.service import Service, draft, running_service

JSON = {"Content-Type": "application/json"}


async def test_a_body_above_64_mib_is_413_however_it_comes(service: Service) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 2**20 + 1):
            yield b" " * 2**20

    assert (await service.ask("POST", "/campaign", data=pieces(), headers=JSON)).status == 413
    packed = gzip.compress(b" " * (MAX_BODY_BYTES + 1), 1)
    response = await service.ask("POST", "/campaign", data=packed, headers=JSON | {"Content-Encoding": "gzip"})
    assert response.status == 413


async def test_a_compressed_body_is_read_and_a_broken_one_is_400(service: Service) -> None:
    headers = JSON | {"Content-Encoding": "gzip"}
    assert (await service.ask("POST", "/campaign", data=gzip.compress(orjson.dumps(draft())), headers=headers)).status == 201
    assert (await service.ask("POST", "/campaign", data=b"no gzip", headers=headers)).status == 400


async def test_a_campaign_with_a_megabyte_of_variables_is_created(service: Service) -> None:
    customers = [{"number": f"+1415555{i:04d}", "assistantOverrides": {"variableValues": {"x": "ü" * 600}}} for i in range(1_000)]
    campaign = await service.answer("POST", "/campaign", draft() | {"customers": customers}, status=201)
    assert campaign["customers"] == customers


async def test_calls_are_strings_where_the_setting_says_so(tmp_path: Path) -> None:
    async with running_service(tmp_path, calls_as_strings=True) as service:
        campaign = await service.create()
        for call_id, value in campaign["calls"].items():
            assert json.loads(value)["id"] == call_id


async def test_a_stream_that_fails_midway_cuts_the_connection(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = await service.create(customers=9_000)
    read = service.context.read_model.calls_from

    async def failing(row: CampaignRow, position: int, limit: int) -> list[CallView]:
        if position >= 8_000:
            raise ReadModelAwayError("away")
        return await read(row, position, limit)

    monkeypatch.setattr(type(service.context.read_model), "calls_from", lambda _, *arguments: failing(*arguments))
    with pytest.raises(aiohttp.ClientPayloadError):
        await (await service.ask("GET", f"/campaign/{campaign['id']}")).read()


async def test_a_read_model_that_is_away_is_503(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = await service.create()

    async def away(*_: object, **__: object) -> None:
        raise ReadModelAwayError("away")

    for method in ("campaign", "campaign_and_calls"):
        monkeypatch.setattr(type(service.context.read_model), method, away)
    for path in (f"/campaign/{campaign['id']}", f"/v2/campaign/{campaign['id']}"):
        answer = await service.answer("GET", path, status=503)
        assert answer["error"] == "Service Unavailable"
    answer = await service.answer("PATCH", f"/campaign/{campaign['id']}", {"name": "Written"})
    assert answer["name"] == "Written"


async def test_a_fault_of_ours_is_500_without_details(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(type(service.context.read_model), "campaigns", broken)
    answer = await service.answer("GET", "/campaign", status=500)
    assert answer == {"message": "internal error", "error": "Internal Server Error", "statusCode": 500}


async def test_log_lines_hold_no_numbers_keys_or_callback_paths(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "services")
    await service.create()
    await service.create(status=400, name=3)
    await service.client.post("/provider-callbacks/org-1/a/b/1/some-mac", json={})
    text = "".join(f"{vars(record)}" for record in caplog.records if record.name.startswith("services"))
    assert "POST /campaign 201" in text
    for secret in ("+1415", "rf_", "some-mac"):
        assert secret not in text
