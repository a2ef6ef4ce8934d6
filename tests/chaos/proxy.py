"""Owns a TCP proxy on loopback that can be slow, silent, half open, refusing, or cut its connections."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from services.runtime.cancelling import cancel_all
from tests.support.ports import free_port

_CHUNK_BYTES = 64 * 1024
_LOOK_SECONDS = 0.02


@dataclass(slots=True)
class Proxy:
    """Forwards to `target`, an address or the path of a unix socket. The faults hold for connections old and new until `heal`."""

    target: tuple[str, int] | str
    port: int = field(default_factory=free_port)
    latency_seconds: float = 0.0
    silent: bool = False
    """Nothing passes, and nobody is told."""
    half_open: bool = False
    """What the server says is lost, what the client says arrives."""
    _server: asyncio.Server | None = None
    _connections: set["asyncio.Task[None]"] = field(default_factory=set)

    async def start(self) -> None:
        """Do nothing when it listens."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def refuse(self) -> None:
        """Take no connections any more, and cut those there are."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        await self.cut()

    async def cut(self) -> None:
        """Reset every connection."""
        await cancel_all(self._connections)

    async def heal(self) -> None:
        """Be a proxy like any other. Connections that lost something are cut, as TCP would in the end."""
        lossy = self.silent or self.half_open
        self.latency_seconds, self.silent, self.half_open = 0.0, False, False
        if lossy:
            await self.cut()
        await self.start()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        upstream: asyncio.StreamWriter | None = None
        try:
            while self.silent:
                await asyncio.sleep(_LOOK_SECONDS)
            answers, upstream = await self._connect()
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, upstream, answers=False))
                both.create_task(self._pump(answers, writer, answers=True))
        except (OSError, asyncio.CancelledError, BaseExceptionGroup):
            pass
        finally:
            self._connections.discard(task)
            for end in (writer, upstream):
                if end is not None:
                    end.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.target, str):
            return await asyncio.open_unix_connection(self.target)
        return await asyncio.open_connection(*self.target)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool) -> None:
        while chunk := await source.read(_CHUNK_BYTES):
            if self.latency_seconds:
                await asyncio.sleep(self.latency_seconds)
            while self.silent:
                await asyncio.sleep(_LOOK_SECONDS)
            if answers and self.half_open:
                continue
            sink.write(chunk)
            await sink.drain()
        raise ConnectionResetError

    async def stop(self) -> None:
        with suppress(OSError):
            await self.refuse()
