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

        assert await post("before") == 201
        processes.kill("broker")
        started = asyncio.get_running_loop().time()
        assert [await post(f"during {number}") for number in range(5)] == [503] * 5
        assert asyncio.get_running_loop().time() - started < 12
        async with http.get("/campaign", headers=headers) as response:
            assert (response.status, (await response.json())["metadata"]["totalItems"]) == (200, 1)
        await processes.start("broker")
        assert await eventually(lambda: post("during 0"), lambda status: status == 201, seconds=60)

        async def names() -> list[str]:
            async with http.get("/campaign", headers=headers) as response:
                return [campaign["name"] for campaign in (await response.json())["results"]]

        seen = await eventually(names, lambda names: "during 0" in names)
        assert len(seen) == len(set(seen))
