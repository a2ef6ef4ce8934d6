"""Pre-dial against a real server of the customer's (contract, "Webhooks")."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from services.dialer.http_predial import HttpPredial
from services.dialer.predial import Eligible, NotEligible, PredialFailed, Verdict
from services.dialer.predial_turns import PredialTurns
from services.runtime.clock import SystemClock
from services.runtime.url_guard import AllowedHosts, guarded_session
from services.runtime.webhook_signing import org_secret, signature_headers
from tests.dialer.given import CAMPAIGN, call_id, task
from tests.support.eventually import eventually
from tests.support.ports import free_port

Answer = tuple[int, bytes]
YES, NO = b'{"eligible":true}', b'{"eligible":false}'


class CustomerServer:
    """Counts what it is asked, and answers in turn what it holds; the last answer again and again."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.bodies: list[bytes] = []
        self.answers: list[Answer | float] = [(200, YES)]
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        self.headers.append(request.headers)
        self.bodies.append(await request.read())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            return web.Response(body=YES)
        return web.Response(status=answer[0], body=answer[1], headers={"Location": "/"})


@pytest.fixture
async def customer() -> AsyncIterator[CustomerServer]:
    customer = CustomerServer()
    app = web.Application()
    app.router.add_post("/predial", customer.answer)
    async with TestServer(app) as server:
        customer.url = str(server.make_url("/predial"))
        yield customer


@pytest.fixture
async def ask() -> AsyncIterator[Callable[..., Any]]:
    async with AsyncExitStack() as exits:
        http = await exits.enter_async_context(aiohttp.ClientSession())

        async def ask(url: str, **server: Any) -> Verdict:
            return await HttpPredial(http, SystemClock(), secret_of, PredialTurns(100)).ask(
                task(predial_plan={}, server={"url": url, **server})
            )

        yield ask


def secret_of(org_id: str) -> str:
    return org_secret(b"master", org_id)


def plan(retries: int, **more: Any) -> dict[str, Any]:
    return {"type": "fixed", "maxRetries": retries, "baseDelaySeconds": 0, **more}


async def test_the_question_names_the_contact_as_the_contract_says(customer: CustomerServer, ask: Callable[..., Any]) -> None:
    assert await ask(customer.url, headers={"X-Token": "t"}) == Eligible()
    (asked,) = customer.asked
    message = asked["message"]
    assert isinstance(message.pop("timestamp"), int)
    assert message == {
        "type": "campaign.predial",
        "campaignId": CAMPAIGN,
        "contact": {
            "id": call_id(),
            "campaignId": CAMPAIGN,
            "orgId": "acme",
            "number": "+15550000000",
            "createdAt": "2030-01-01T09:00:00.000Z",
        },
    }
    assert customer.headers[0]["X-Token"] == "t"


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ((200, YES), Eligible()),
        ((201, YES), Eligible()),
        ((200, NO), NotEligible()),
        ((200, b'{"eligible":1}'), PredialFailed("the answer holds no boolean `eligible`")),
        ((200, b'{"eligible":"true"}'), PredialFailed("the answer holds no boolean `eligible`")),
        ((200, b"[true]"), PredialFailed("the answer holds no boolean `eligible`")),
        ((200, b"yes"), PredialFailed("the answer is not JSON")),
        ((200, b'{"eligible":true,"x":"' + b"x" * 100_000 + b'"}'), PredialFailed("the answer is not JSON")),
        ((500, YES), PredialFailed("answered 500")),
        ((302, YES), PredialFailed("answered 302")),
    ],
)
async def test_only_a_2xx_with_a_boolean_is_an_answer(
    customer: CustomerServer, ask: Callable[..., Any], answer: Answer, verdict: Verdict
) -> None:
    customer.answers = [answer]
    assert await ask(customer.url) == verdict
    assert len(customer.asked) == 1


async def test_a_server_that_is_too_slow_or_away_is_a_failure(customer: CustomerServer, ask: Callable[..., Any]) -> None:
    customer.answers = [5.0]
    assert await ask(customer.url, timeoutSeconds=1) == PredialFailed("no answer within 1 seconds")
    assert isinstance(await ask(f"http://127.0.0.1:{free_port()}/"), PredialFailed)


async def test_the_backoff_plan_says_how_often_it_is_asked_again(customer: CustomerServer, ask: Callable[..., Any]) -> None:
    customer.answers = [(500, b""), (503, b""), (200, YES)]
    assert await ask(customer.url, backoffPlan=plan(2)) == Eligible()
    customer.answers = [(500, b"")]
    assert isinstance(await ask(customer.url, backoffPlan=plan(3)), PredialFailed)
    assert len(customer.asked) == 3 + 4


async def test_the_question_is_signed_for_its_org_and_asked_again_under_the_same_id(
    customer: CustomerServer, ask: Callable[..., Any]
) -> None:
    customer.answers = [(500, b""), (200, YES)]
    assert await ask(customer.url, backoffPlan=plan(1), headers={"Webhook-Signature": "theirs"}) == Eligible()
    for headers, body in zip(customer.headers, customer.bodies, strict=True):
        signed = signature_headers(secret_of("acme"), headers["webhook-id"], int(headers["webhook-timestamp"]), body)
        assert headers.getall("webhook-signature") == [signed["webhook-signature"]]
    assert [headers.getall("webhook-id") for headers in customer.headers] == [[f"predial_{call_id()}_1"]] * 2


async def test_an_excluded_status_and_an_answer_that_came_are_not_asked_again(customer: CustomerServer, ask: Callable[..., Any]) -> None:
    customer.answers = [(500, b"")]
    await ask(customer.url, backoffPlan=plan(3, excludedStatusCodes=[500]))
    customer.answers = [(200, b"{}")]
    await ask(customer.url, backoffPlan=plan(3))
    assert len(customer.asked) == 2


@pytest.mark.parametrize("server", [{"headers": {"bad name": "x"}}, {"headers": {"X": "a\nb"}}, {"timeoutSeconds": "x"}])
async def test_a_server_that_can_not_be_asked_so_is_a_failure_and_no_fault(
    customer: CustomerServer, ask: Callable[..., Any], server: dict[str, Any]
) -> None:
    assert isinstance(await ask(customer.url, **server), PredialFailed)


async def test_servers_that_hang_hold_up_nobody_else_and_who_waits_for_a_turn_has_not_failed(customer: CustomerServer) -> None:
    hanging = CustomerServer()
    hanging.answers = [60.0]
    app = web.Application()
    app.router.add_post("/predial", hanging.answer)
    async with AsyncExitStack() as exits:
        url = str((await exits.enter_async_context(TestServer(app))).make_url("/predial"))
        http = await exits.enter_async_context(guarded_session(AllowedHosts(["127.0.0.1"]), 30))
        predial = HttpPredial(http, SystemClock(), secret_of, PredialTurns(30))

        async def ask(number: int, org_id: str, url: str) -> Verdict:
            server = {"url": url, "timeoutSeconds": 1 if org_id == "well" else 300, "backoffPlan": plan(10)}
            return await predial.ask(task(number, org_id=org_id, predial_plan={}, server=server))

        asking = [asyncio.create_task(ask(number, f"silent-{number % 10}", url)) for number in range(100)]
        await eventually(lambda: asyncio.sleep(0, len(hanging.asked)), lambda asked: asked >= 20)
        customer.answers = [0.4]
        verdicts = await asyncio.gather(*(ask(number, "well", customer.url) for number in range(10)))
        for silent in asking:
            silent.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    assert verdicts == [Eligible()] * 10
    assert {asked["message"]["contact"]["orgId"] for asked in hanging.asked} == {f"silent-{number}" for number in range(10)}


async def test_a_server_in_our_own_network_is_not_asked(customer: CustomerServer) -> None:
    async with guarded_session(AllowedHosts()) as http:
        verdict = await HttpPredial(http, SystemClock(), secret_of, PredialTurns(100)).ask(
            task(predial_plan={}, server={"url": customer.url})
        )
    assert verdict == PredialFailed("leads to an address that is not public")
    assert customer.asked == []
