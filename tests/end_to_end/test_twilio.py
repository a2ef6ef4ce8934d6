"""A campaign whose calls go through Twilio, played by a real HTTP server that signs what it reports."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.end_to_end.user import user_of
from tests.support.stack import RunningStack

ACCOUNT, TOKEN = "AC" + "a" * 32, "the-auth-token-of-twilio"
WAYS = (
    ({"CallStatus": "completed", "AnsweredBy": "human"}, "customer-ended-call"),
    ({"CallStatus": "completed", "AnsweredBy": "machine_start"}, "voicemail"),
    ({"CallStatus": "busy"}, "customer-busy"),
    (None, "twilio-reported-customer-misdialed"),
)
"""What becomes of a call, by the last digit of its number; `None`: it is refused at once."""


class Twilio:
    """Counts the calls of each number, and reports of each what is its way."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.http = http
        self.calls: Counter[str] = Counter()
        self.answers: Counter[int] = Counter()
        self.reporting: set[asyncio.Task[None]] = set()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post(f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json", self.place)
        return app

    async def place(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.calls[form["To"]] += 1
        end = WAYS[int(form["To"][-1]) % 4][0]
        if end is None:
            return web.json_response({"code": 21211, "status": 400}, status=400)
        sid = f"CA{len(self.reporting):032x}"
        self.reporting.add(asyncio.create_task(self.report(form["StatusCallback"], sid, end)))
        return web.json_response({"sid": sid, "status": "queued"}, status=201)

    async def report(self, url: str, sid: str, end: dict[str, str]) -> None:
        moves = ["initiated", "ringing"] + (["in-progress"] if end["CallStatus"] == "completed" else [])
        for said in [*({"CallStatus": status} for status in moves), end]:
            form = {"CallSid": sid, "AccountSid": ACCOUNT, "Timestamp": "Tue, 24 Nov 2026 16:00:05 +0000", **said}
            text = url + "".join(name + form[name] for name in sorted(form))
            signature = base64.b64encode(hmac.digest(TOKEN.encode(), text.encode(), hashlib.sha1)).decode()
            async with self.http.post(url, data=form, headers={"X-Twilio-Signature": signature}) as response:
                self.answers[response.status] += 1


async def test_each_call_is_placed_once_and_ends_as_twilio_reports(start_stack: Callable[..., Awaitable[RunningStack]]) -> None:
    async with aiohttp.ClientSession() as http:
        twilio = Twilio(http)
        async with TestServer(twilio.app()) as server:
            config = {
                "kind": "twilio",
                "accountSid": ACCOUNT,
                "authToken": {"env": "TWILIO_TOKEN"},
                "url": "https://app.example.com/voice",
                "callers": {"pn-1": "+14155550100"},
                "apiUrl": str(server.make_url("")),
            }
            choice = {"providers": {"twilio-us": config}, "rules": [{"phoneNumberId": "pn-1", "provider": "twilio-us"}]}
            stack = await start_stack(PROVIDERS=json.dumps(choice), TWILIO_TOKEN=TOKEN)
            async with user_of(stack) as user:
                created = await user.create(20)
                ended = await user.until_ended(created["id"], 20)
                assert (await user.provider())["posts"] == 0
                await asyncio.gather(*twilio.reporting)
    assert sorted(twilio.calls.values()) == [1] * 20
    assert {call["customer"]["number"]: call["endedReason"] for call in ended["calls"].values()} == {
        number: WAYS[int(number[-1]) % 4][1] for number in twilio.calls
    }
    assert twilio.answers.keys() == {200}
    logged = "".join(log.read_text() for log in (stack.settings.data_dir / "logs").iterdir())
    assert not [secret for secret in (TOKEN, *twilio.calls) if secret in logged]
