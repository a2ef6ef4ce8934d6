"""Requests in progress are bounded, those that are held too; who watches the process is still answered."""

import asyncio
from pathlib import Path

from tests.api.service import draft, running_service
from tests.support.eventually import eventually


async def test_requests_beyond_the_bound_are_503_and_held_ones_count(tmp_path: Path) -> None:
    async with running_service(tmp_path, max_requests=2) as service:

        async def held() -> int:
            return len(service.log.appended)

        service.log.engine_runs = False
        waiting = [asyncio.create_task(service.create(name=f"Campaign {number}")) for number in range(2)]
        await eventually(held, lambda count: count == 2)
        for method, path in (("GET", "/campaign"), ("POST", "/campaign"), ("POST", "/provider-callbacks/x"), ("GET", "/nowhere")):
            async with await service.ask(method, path, draft() if method == "POST" else None) as refused:
                assert (refused.status, refused.headers["Retry-After"]) == (503, "1"), path
                assert (await refused.json())["message"] == "too many requests are in progress; nothing was accepted"
        assert len(service.log.appended) == 2
        for path in ("/health/live", "/health/ready"):
            assert (await service.client.get(path)).status == 200
        assert "ringfold_api_requests_in_progress 2.0" in await (await service.client.get("/metrics")).text()
        service.log.engine_runs = True
        await service.log.decide()
        await asyncio.gather(*waiting)

        async def status() -> int:
            return (await service.ask("GET", "/campaign")).status

        # who was answered counts until its handler has returned
        await eventually(status, lambda status: status == 200)
        assert (await service.answer("GET", "/campaign"))["metadata"]["totalItems"] == 2


async def test_a_body_that_comes_slowly_counts_and_one_that_breaks_off_does_not_any_more(tmp_path: Path) -> None:
    async with running_service(tmp_path, max_requests=1) as service:
        server = service.client.server
        _, writer = await asyncio.open_connection(server.host, server.port)
        key = service.headers["Authorization"]
        writer.write(f"POST /campaign HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n".encode())
        writer.write(b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{")

        async def status() -> int:
            return (await service.ask("GET", "/campaign")).status

        await eventually(status, lambda status: status == 503)
        writer.transport.abort()
        await eventually(status, lambda status: status == 200)
