"""Rules of the contract that no other test holds by itself."""

from pathlib import Path
from typing import Any

import pytest

from services.api.openapi import openapi
from tests.api.service import Service, running_service


@pytest.mark.parametrize("path", ["/campaign", "/v2/campaign"])
async def test_whole_floats_and_empty_values_are_taken(tmp_path: Path, path: str) -> None:
    async with running_service(tmp_path) as service:
        assert (await service.create(path=path, maxConcurrency=10.0))["maxConcurrency"] == 10
        page = await service.answer("GET", f"{path}?page=1.0&limit=5.0&status=&sortOrder=&createdAtGe=")
        assert (page["metadata"]["currentPage"], page["metadata"]["itemsPerPage"]) == (1, 5)


async def _lists(service: Service) -> list[dict[str, Any]]:
    created = await service.create(path="/v2/campaign", customers=3)
    paths = ("/campaign?limit=1", "/v2/campaign?limit=1", f"/v2/campaign/{created['id']}/contacts?limit=1")
    return [await service.answer("GET", path) for path in paths]


async def test_no_list_holds_a_next_cursor(tmp_path: Path) -> None:
    async with running_service(tmp_path) as service:
        for page in await _lists(service):
            assert page.keys() == {"results", "metadata"}
            assert "nextCursor" not in page["metadata"]


def test_every_operation_tells_of_the_contracts_statuses_only() -> None:
    told = {
        status
        for operations in openapi()["paths"].values()
        for operation in operations.values()
        if operation["security"]
        for status in operation["responses"]
    }
    # 403 is ours, for a key whose scope does not allow what the contract knows no word for
    assert told - {"403"} == {"200", "201", "304", "400", "401", "404", "408", "413", "415", "429", "503"}


@pytest.mark.parametrize("name", ["campaign.unarchived", "campaign.job.continued"])
async def test_names_that_are_never_sent_are_accepted(tmp_path: Path, name: str) -> None:
    async with running_service(tmp_path) as service:
        created = await service.create(path="/v2/campaign", serverMessages=[name], server={"url": "https://customer.example/hook"})
        assert created["serverMessages"] == [name]
