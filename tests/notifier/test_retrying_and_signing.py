"""When a webhook is sent again, and how its receiver knows that it is ours."""

import base64

from hypothesis import given
from hypothesis import strategies as st

from events.campaigns import BackoffPlan
from services.notifier.retrying import retry_after_seconds
from services.runtime.webhook_signing import org_secret, signature_headers

DAY = 24 * 3_600.0


def test_without_a_plan_a_message_is_tried_for_three_days_at_growing_distances() -> None:
    age = 0.0
    waits: list[float] = []
    while (wait := retry_after_seconds(None, "m", len(waits) + 1, 500, age, 3 * DAY)) is not None:
        waits.append(wait)
        age += wait
    assert 4 <= waits[0] <= 6
    assert max(waits) <= 4 * 3_600 * 1.2
    assert 3 * DAY - 5 * 3_600 < age <= 3 * DAY
    assert len(waits) < 50


@given(st.text(), st.integers(1, 10_000))
def test_the_same_failure_always_waits_the_same(message_id: str, failures: int) -> None:
    waits = {retry_after_seconds(None, message_id, failures, None, 0, 3 * DAY) for _ in range(2)}
    assert len(waits) == 1


def test_the_campaigns_plan_decides_alone() -> None:
    fixed = BackoffPlan(type="fixed", max_retries=2, base_delay_seconds=3)
    growing = BackoffPlan(type="exponential", max_retries=3, base_delay_seconds=2)
    assert [retry_after_seconds(fixed, "m", failures, 500, 9 * DAY, DAY) for failures in (1, 2, 3)] == [3, 3, None]
    assert [retry_after_seconds(growing, "m", failures, None, 0, DAY) for failures in (1, 2, 3, 4)] == [2, 4, 8, None]
    assert retry_after_seconds(BackoffPlan(type="fixed", max_retries=0, base_delay_seconds=0), "m", 1, None, 0, DAY) is None


def test_an_excluded_status_is_not_tried_again() -> None:
    plan = BackoffPlan(type="fixed", max_retries=2, base_delay_seconds=3, excluded_status_codes=[404])
    assert retry_after_seconds(plan, "m", 1, 404, 0, DAY) is None
    assert retry_after_seconds(plan, "m", 1, 500, 0, DAY) == 3


def test_a_signature_is_that_of_the_standards_own_example() -> None:
    headers = signature_headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}'
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_each_org_has_a_secret_of_its_own_that_stays() -> None:
    assert org_secret(b"master", "acme") == org_secret(b"master", "acme")
    assert len({org_secret(b"master", "acme"), org_secret(b"master", "other"), org_secret(b"another", "acme")}) == 3
    assert len(base64.b64decode(org_secret(b"master", "acme").removeprefix("whsec_"))) == 32
