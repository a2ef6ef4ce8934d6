"""Owns the fail points: named places at which a test can kill, stop or delay the process; elsewhere they do nothing.

`RINGFOLD_FAIL_POINT` arms them for one process life, as `name:action:n` separated by commas: at the n-th passing (the first, if left
out) the process kills itself (`kill`), stops itself until somebody continues it (`stop`), or blocks for some seconds (`sleep=1.5`).
"""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from services.runtime.errors import StartupError

VARIABLE = "RINGFOLD_FAIL_POINT"
FAIL_POINTS = frozenset(
    {
        "api.before-append",
        "api.after-append",
        "engine.take-over-before-fence",
        "engine.take-over-after-fence",
        "engine.take-over-after-replay",
        "engine.before-commit",
        "engine.inside-transaction",
        "engine.after-commit",
        "dialer.before-claim-append",
        "dialer.after-claim-append",
        "dialer.before-post",
        "dialer.after-post",
        "dialer.before-outcome-append",
        "dialer.after-outcome-append",
        "projector.before-commit",
        "projector.after-commit",
        "projector.before-ack",
        "projector.before-publish",
        "projector.after-publish",
        "notifier.before-intake",
        "notifier.after-intake",
        "notifier.before-delivery",
        "notifier.after-delivery",
        "notifier.before-settle",
        "notifier.before-replay",
        "notifier.after-replay",
        "notifier.before-publish",
        "notifier.after-publish",
    }
)
"""Every name that a service passes; a test holds that each stands in exactly one place."""


@dataclass(slots=True)
class _Armed:
    act: Callable[[], None]
    passings_left: int


_armed: dict[str, _Armed] = {}


def fail_point(name: str) -> None:
    """Where the process may be made to fail. Costs one lookup in an empty dict unless armed."""
    if name in _armed:
        _pass(_armed[name])


def arm_fail_points(spec: str) -> None:
    """Arm what `RINGFOLD_FAIL_POINT` says, instead of what was armed before; raises `StartupError` where it can not be read."""
    _armed.clear()
    for part in filter(None, spec.split(",")):
        name, action, count = [*part.split(":"), "", ""][:3]
        if name not in FAIL_POINTS:
            raise StartupError(f"{VARIABLE}: there is no fail point {name}")
        try:
            _armed[name] = _Armed(_action(action), int(count or 1))
        except ValueError as error:
            raise StartupError(f"{VARIABLE}: {part} is not name:action:n") from error


def _pass(armed: _Armed) -> None:
    armed.passings_left -= 1
    if armed.passings_left == 0:
        armed.act()


def _action(text: str) -> Callable[[], None]:
    word, _, seconds = text.partition("=")
    match word:
        case "kill":
            return lambda: os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            return lambda: os.kill(os.getpid(), signal.SIGSTOP)
        case "sleep":
            span_seconds = float(seconds)
            return lambda: time.sleep(span_seconds)
    raise ValueError(text)
