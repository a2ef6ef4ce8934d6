"""Owns when a webhook that failed is sent again, and when it is given up; pure."""

import hashlib

from events.campaigns import BackoffPlan

_FIRST_SECONDS = 5.0
_LONGEST_SECONDS = 4 * 3_600.0


def retry_after_seconds(
    plan: BackoffPlan | None, message_id: str, failures: int, status: int | None, age_seconds: float, window_seconds: float
) -> float | None:
    """How long to wait after the failure number `failures` (from 1); `None`: the message is dead.

    The campaign's `backoffPlan` decides alone where there is one. Otherwise: 5 seconds, doubling up to four hours, spread by a fifth
    either way so that what failed together does not come back together, until the message would be older than the window.
    """
    if plan is not None:
        return plan.retry_after_seconds(failures, status)
    plain = min(_FIRST_SECONDS * 2 ** min(failures - 1, 20), _LONGEST_SECONDS)
    wait_seconds = plain * (0.8 + 0.4 * _spread(message_id, failures))
    return wait_seconds if age_seconds + wait_seconds <= window_seconds else None


def _spread(message_id: str, failures: int) -> float:
    digest = hashlib.sha256(f"{message_id}\n{failures}".encode()).digest()
    return digest[0] / 255
