"""Owns one attempt to hand a message to the customer's server, and what its answer means (contract, "Webhooks")."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import aiohttp
from pydantic import ValidationError

from events.campaigns import BackoffPlan, Server
from services.notifier.outbox import Delivery
from services.runtime.clock import Clock
from services.runtime.url_guard import AddressRefusedError
from services.runtime.webhook_signing import signature_headers

DEFAULT_TIMEOUT_SECONDS = 20.0
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "content-type"})


@dataclass(frozen=True, slots=True)
class Answer:
    """`error` is `None` where the message was taken; `hopeless`: no further attempt would be answered otherwise."""

    status: int | None = None
    error: str | None = None
    plan: BackoffPlan | None = None
    hopeless: bool = False


class Webhooks(Protocol):
    """Hands messages to customers' servers."""

    async def send(self, delivery: Delivery) -> Answer:
        """One attempt. Raises nothing but cancellation."""


class HttpWebhooks:
    """`Webhooks` by a signed POST to the campaign's `server.url`.

    A 2xx takes the message, whatever its body, which is not read; redirects are not followed.
    """

    def __init__(self, http: aiohttp.ClientSession, clock: Clock, secret_of: Callable[[str], str]) -> None:
        self._http = http
        self._clock = clock
        self._secret_of = secret_of

    async def send(self, delivery: Delivery) -> Answer:
        try:
            server = Server.model_validate(delivery.server, extra="ignore")
        except ValidationError:
            return Answer(error="server can not be read", hopeless=True)
        timeout_seconds = server.timeout_seconds or DEFAULT_TIMEOUT_SECONDS
        try:
            status = await self._post(server, delivery, timeout_seconds)
        except AddressRefusedError as error:
            return Answer(error=str(error), plan=server.backoff_plan, hopeless=True)
        except aiohttp.InvalidURL:
            return Answer(error="server.url is no URL", plan=server.backoff_plan, hopeless=True)
        except TimeoutError:
            return Answer(error=f"no answer within {timeout_seconds:g} seconds", plan=server.backoff_plan)
        except (aiohttp.ClientError, OSError) as error:
            return Answer(error=f"could not be sent: {type(error).__name__}", plan=server.backoff_plan)
        except ValueError:
            return Answer(error="server.url or server.headers can not be sent", plan=server.backoff_plan, hopeless=True)
        if 200 <= status < 300:
            return Answer(status)
        return Answer(status, f"answered {status}", server.backoff_plan)

    async def _post(self, server: Server, delivery: Delivery, timeout_seconds: float) -> int:
        signed = signature_headers(self._secret_of(delivery.org_id), delivery.id, int(self._clock.now().timestamp()), delivery.body)
        ours = signed | {"webhook-sequence": str(delivery.sequence), "Content-Type": "application/json"}
        taken = _OURS | {name.lower() for name in ours}
        headers = {name: str(value) for name, value in (server.headers or {}).items() if name.lower() not in taken} | ours
        timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        async with self._http.post(
            server.url or "", data=delivery.body, headers=headers, timeout=timeout, allow_redirects=False
        ) as response:
            return response.status
