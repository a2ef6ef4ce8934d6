"""What is nested too deeply, or holds a number that no JSON can hold, is the caller's fault wherever it comes in."""

import json
from typing import Any

import aiohttp
import pytest

from tests.api.service import Service
from tests.api.test_uploads import CSV, HEAD

_TOO_DEEP = ["the body is nested too deeply"]


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def beside_an_upload(campaign: dict[str, Any]) -> aiohttp.FormData:
    data = aiohttp.FormData()
    data.add_field("campaign", json.dumps(campaign), content_type="application/json")
    data.add_field("customers", CSV, filename="customers.csv", content_type="text/csv")
    return data


@pytest.mark.parametrize("depth", [260, 700])
async def test_a_campaign_that_is_nested_too_deeply_is_400_inline_beside_an_upload_and_as_a_copy(service: Service, depth: int) -> None:
    source = await service.create(path="/v2/campaign")
    deep = HEAD | {"assistantOverrides": nested(depth)}
    customers = [{"number": "+14155550100"}]
    before = len(service.log.appended)
    for body in (deep | {"customers": customers}, deep | {"duplicateFromCampaignId": source["id"]}):
        assert (await service.answer("POST", "/v2/campaign", body, status=400))["message"] == _TOO_DEEP
    answer = await service.answer("POST", "/campaign", data=beside_an_upload(deep), status=400)
    assert answer["message"] == _TOO_DEEP
    contact = customers[0] | {"assistantOverrides": nested(depth)}
    answer = await service.answer("POST", f"/campaign/{source['id']}/contacts", {"customers": [contact]}, status=400)
    assert answer["message"] == _TOO_DEEP
    assert len(service.log.appended) == before


async def test_a_status_code_beyond_all_numbers_is_400_and_named(service: Service) -> None:
    source = await service.create(path="/v2/campaign")
    plan = {"type": "fixed", "maxRetries": 1, "baseDelaySeconds": 1, "excludedStatusCodes": [1e300]}
    head = HEAD | {"server": {"url": "https://customer.example", "backoffPlan": plan}}
    message = ["server.backoffPlan.excludedStatusCodes must hold HTTP status codes only, from 100 to 599"]
    copied = head | {"duplicateFromCampaignId": source["id"]}
    assert (await service.answer("POST", "/v2/campaign", copied, status=400))["message"] == message
    answer = await service.answer("POST", "/campaign", data=beside_an_upload(head), status=400)
    assert answer["message"] == message
