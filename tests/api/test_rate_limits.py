"""How often a key and an org may ask (contract, "Errors": 429 with `Retry-After`)."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.rate_limits import TokenBuckets
from tests.api.service import running_service
from tests.support.clock import ManualClock


async def test_requests_beyond_a_keys_rate_are_429_until_it_may_ask_again(tmp_path: Path) -> None:
    async with running_service(tmp_path, key_rate=2.0) as service:
        other = await service.key_of("org-1")
        for _ in range(4):
            await service.answer("GET", "/campaign")
        refused = await service.ask("GET", "/campaign")
        assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
        assert await refused.json() == {"message": "this key may ask 2 times a second", "error": "Too Many Requests", "statusCode": 429}
        await service.answer("GET", "/campaign", headers=other)
        service.clock.elapsed += 0.5
        await service.answer("GET", "/campaign")
        assert (await service.ask("POST", "/campaign", {})).status == 429
        assert service.log.appended == []


async def test_an_orgs_keys_share_its_rate(tmp_path: Path) -> None:
    async with running_service(tmp_path, org_rate=1.0) as service:
        same, other = await service.key_of("org-1"), await service.key_of("org-2")
        await service.answer("GET", "/campaign")
        await service.answer("GET", "/campaign", headers=same)
        assert (await service.answer("GET", "/campaign", status=429))["message"] == "this org may ask 1 times a second"
        await service.answer("GET", "/campaign", headers=other)


@given(st.lists(st.floats(0, 3), max_size=60), st.floats(0.5, 20))
def test_no_more_pass_than_the_burst_and_what_flowed_in_since(pauses: list[float], rate: float) -> None:
    clock = ManualClock()
    buckets = TokenBuckets(clock, rate, 2 * rate)
    passed = 0
    for pause in pauses:
        clock.move(seconds=pause)
        wait = buckets.take("a")
        passed += not wait
        assert wait <= 1 / rate + 1e-9
    assert passed <= 2 * rate + sum(pauses) * rate + 1e-3


def test_buckets_are_forgotten_where_there_are_too_many_but_never_one_that_is_lately_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.api.rate_limits._MOST_REMEMBERED", 4)
    clock = ManualClock()
    buckets = TokenBuckets(clock, 1.0, 1.0)
    for name in range(40):
        assert buckets.take(f"org-{name}") == 0.0
        assert buckets.take(f"org-{name}") > 0.0
        clock.move(seconds=0.1)
    clock.move(seconds=1)
    assert buckets.take("org-0") == 0.0


def test_a_rate_of_zero_is_no_limit() -> None:
    buckets = TokenBuckets(ManualClock(), 0, 0)
    assert not any(buckets.take("a") for _ in range(1_000))
