"""Owns how the customer's server is asked before a call: payload, signature, timeout, retries (contract, "Webhooks")."""

from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import orjson
from pydantic import ValidationError

from events.campaigns import BackoffPlan, Server
from events.contacts import dialed_number
from events.instants import iso
from projections.dial_task.task import DialTask
from services.dialer.http_answers import content_of
from services.dialer.predial import Eligible, NotEligible, PredialFailed, Verdict
from services.dialer.predial_turns import PredialTurns
from services.runtime.clock import Clock
from services.runtime.url_guard import AddressRefusedError, server_of
from services.runtime.webhook_signing import signature_headers

DEFAULT_TIMEOUT_SECONDS = 20.0
_LARGEST_ANSWER_BYTES = 64 * 1024


class HttpPredial:
    """`Predial` by a POST to the campaign's `server.url`, tried again by its `backoffPlan` alone.

    A question waits for its turn, which is no failure; then the time for its answer begins. It is signed as every webhook is, with
    the secret that `secret_of` gives for the org, and keeps its id when it is asked again.
    """

    def __init__(self, http: aiohttp.ClientSession, clock: Clock, secret_of: Callable[[str], str], turns: PredialTurns) -> None:
        """`http` must have a connection for each question that may be out."""
        self._http = http
        self._clock = clock
        self._secret_of = secret_of
        self._turns = turns

    async def ask(self, task: DialTask) -> Verdict:
        try:
            server = Server.model_validate(task.server or {}, extra="ignore")
        except ValidationError:
            return PredialFailed("server can not be read")
        if server.url is None:
            return PredialFailed("server.url is missing")
        body = orjson.dumps({"message": predial_message(task, int(self._clock.now().timestamp() * 1000))})
        failures = 0
        while True:
            async with self._turns.turn(task.org_id, server_of(server.url)):
                verdict, status = await self._post(server, body, task)
            if not isinstance(verdict, PredialFailed):
                return verdict
            failures += 1
            wait_seconds = _retry_after_seconds(server.backoff_plan, failures, status)
            if wait_seconds is None:
                return verdict
            await self._clock.sleep(wait_seconds)

    async def _post(self, server: Server, body: bytes, task: DialTask) -> tuple[Verdict, int | None]:
        timeout = aiohttp.ClientTimeout(total=server.timeout_seconds or DEFAULT_TIMEOUT_SECONDS)
        now_seconds = int(self._clock.now().timestamp())
        signed = signature_headers(self._secret_of(task.org_id), f"predial_{task.call_id}_{task.attempt}", now_seconds, body)
        ours = {"content-type": "application/json", **signed}
        headers = {name: str(value) for name, value in (server.headers or {}).items() if name.lower() not in ours} | ours
        try:
            async with self._http.post(server.url or "", data=body, headers=headers, timeout=timeout, allow_redirects=False) as response:
                if not 200 <= response.status < 300:
                    return PredialFailed(f"answered {response.status}"), response.status
                return verdict_of(await content_of(response, _LARGEST_ANSWER_BYTES)), response.status
        except TimeoutError:
            return PredialFailed(f"no answer within {server.timeout_seconds or DEFAULT_TIMEOUT_SECONDS:g} seconds"), None
        except AddressRefusedError as error:
            return PredialFailed(str(error)), None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return PredialFailed(f"could not be asked: {type(error).__name__}"), None


def predial_message(task: DialTask, timestamp_ms: int) -> dict[str, Any]:
    """The `message` of the question; a contact's id is that of its call."""
    contact: dict[str, Any] = {
        "id": task.call_id,
        "campaignId": task.campaign_id,
        "orgId": task.org_id,
        "number": dialed_number(task.customer),
        "createdAt": iso(task.created_at),
    }
    contact |= {key: task.customer[key] for key in ("name", "assistantOverrides") if key in task.customer}
    return {"type": "campaign.predial", "timestamp": timestamp_ms, "campaignId": task.campaign_id, "contact": contact}


def verdict_of(content: bytes) -> Verdict:
    """What a 2xx answer says."""
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        return PredialFailed("the answer is not JSON")
    match answer.get("eligible") if isinstance(answer, Mapping) else None:
        case True:
            return Eligible()
        case False:
            return NotEligible()
    return PredialFailed("the answer holds no boolean `eligible`")


def _retry_after_seconds(plan: BackoffPlan | None, failures: int, status: int | None) -> float | None:
    # an answer that came, though it can not be read, would come again
    if plan is None or (status is not None and 200 <= status < 300):
        return None
    return plan.retry_after_seconds(failures, status)
