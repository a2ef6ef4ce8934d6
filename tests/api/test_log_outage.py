"""A broker that is away: the API says 503 in time and takes commands again when it is back."""

import asyncio

import aiohttp

from infra.kafka.broker import Broker
from services.runtime.settings import Settings
from tests.api.processes import api_processes
from tests.api.service import draft
from tests.support.eventually import eventually


async def test_without_a_broker_writes_are_503_and_reads_go_on(own_broker: Broker, settings: Settings) -> None:
    own = settings.model_copy(update={"kafka_bootstrap_servers": own_broker.bootstrap_servers})
    async with api_processes(own, own_broker, API_HOLD_SECONDS="2") as processes, aiohttp.ClientSession(processes.api_url) as http:
        headers = {"Authorization": f"Bearer {await processes.create_key('acme')}"}

        async def post(name: str) -> int:
            async with http.post("/campaign", json=draft(name=name), headers=headers) as response:
                await response.read()
                return response.status

        async def ready() -> int:
            async with http.get("/health/ready") as response:
                return response.status

        assert await post("before") == 201
        processes.kill("broker")
        assert await post("during") == 503
        await eventually(ready, lambda status: status == 503)
        started = asyncio.get_running_loop().time()
        assert [await post(f"refused {number}") for number in range(10)] == [503] * 10
        assert asyncio.get_running_loop().time() - started < 5
        async with http.get("/campaign", headers=headers) as response:
            assert (response.status, (await response.json())["metadata"]["totalItems"]) == (200, 1)
        await processes.start("broker")
        assert await eventually(lambda: post("during"), lambda status: status == 201, seconds=60)

        async def names() -> list[str]:
            async with http.get("/campaign", headers=headers) as response:
                return [campaign["name"] for campaign in (await response.json())["results"]]

        seen = await eventually(names, lambda names: "during" in names)
        assert sorted(seen) == ["before", "during"]
