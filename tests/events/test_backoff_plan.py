"""When a campaign's `backoffPlan` has a webhook or a question tried again."""

from events.campaigns import BackoffPlan


def test_delays_are_fixed_or_double_until_the_retries_are_used_up() -> None:
    fixed = BackoffPlan(type="fixed", max_retries=3, base_delay_seconds=2)
    exponential = BackoffPlan(type="exponential", max_retries=3, base_delay_seconds=2)
    assert [fixed.retry_after_seconds(failures, 500) for failures in (1, 2, 3, 4)] == [2, 2, 2, None]
    assert [exponential.retry_after_seconds(failures, None) for failures in (1, 2, 3, 4)] == [2, 4, 8, None]
    assert BackoffPlan(type="fixed", max_retries=0, base_delay_seconds=0).retry_after_seconds(1, None) is None


def test_an_excluded_status_is_not_tried_again() -> None:
    plan = BackoffPlan(type="fixed", max_retries=2, base_delay_seconds=3, excluded_status_codes=[404])
    assert plan.retry_after_seconds(1, 404) is None
    assert plan.retry_after_seconds(1, 500) == 3
    assert plan.retry_after_seconds(1, None) == 3
