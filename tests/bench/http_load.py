"""Owns the client of the HTTP measurements: some connections, each with one request under way, that do as little as they can.

`python -m tests.bench.http_load PORT PATH KEY CONNECTIONS SECONDS` prints a `Load` as JSON.
"""

import asyncio
import json
import re
import sys
import time
from dataclasses import asdict, dataclass

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Load:
    """What came of it: answers per second of wall time, and the time of one in milliseconds."""

    requests: int
    seconds: float
    median_ms: float
    p99_ms: float


class _Connection(asyncio.Protocol):
    def __init__(self, request: bytes, ends_at: float, done: "asyncio.Future[None]") -> None:
        self.took: list[float] = []
        self._request, self._ends_at, self._done = request, ends_at, done
        self._buffer = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head) if found else None
        if length is None or len(body) < int(length.group(1)):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self._fail(RuntimeError(head.partition(b"\r\n")[0].decode()))
            return
        self.took.append(time.perf_counter() - self._began)
        self._buffer = b""
        if time.perf_counter() < self._ends_at:
            self._ask()
        elif not self._done.done():
            self._transport.close()
            self._done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(error or ConnectionError("the server hung up"))

    def _ask(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._request)

    def _fail(self, error: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(error)


async def load(port: int, path: str, key: str, connections: int, seconds: float) -> Load:
    """Raises where anything but 200 with a length is answered."""
    loop = asyncio.get_running_loop()
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\nAccept: */*\r\n\r\n".encode()
    began = time.perf_counter()
    clients = []
    for _ in range(connections):
        done: asyncio.Future[None] = loop.create_future()
        _, client = await loop.create_connection(lambda done=done: _Connection(request, began + seconds, done), "127.0.0.1", port)  # type: ignore[misc]
        clients.append((client, done))
    await asyncio.gather(*(done for _, done in clients))
    took = sorted(one for client, _ in clients for one in client.took)
    ended = time.perf_counter() - began
    return Load(len(took), ended, took[len(took) // 2] * 1000, took[len(took) * 99 // 100] * 1000)


async def load_from_outside(port: int, path: str, key: str, connections: int, seconds: float) -> Load:
    """The same by a process of its own, so that this one's loop is not what is measured."""
    arguments = [str(port), path, key, str(connections), str(seconds)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.http_load", *arguments, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("the client failed")
    return Load(**json.loads(output))


if __name__ == "__main__":
    given = sys.argv[1:]
    print(json.dumps(asdict(asyncio.run(load(int(given[0]), given[1], given[2], int(given[3]), float(given[4]))))))
