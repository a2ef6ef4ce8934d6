"""Owns when a provider is left alone: a circuit that opens on failures, tries one call after a while, and closes by itself."""

from collections.abc import Callable

_UNKNOWN_IN_A_ROW = 5
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 15.0
_LONGEST_ASKED_PAUSE_SECONDS = 3_600.0
_JITTER = 0.25
_TRIAL_SECONDS = 10.0
_LOOK_AGAIN_SECONDS = 0.1


class Circuit:
    """Times are monotonic seconds. Calls wait before they are claimed, so that an open circuit uses up no attempt.

    `draw` gives numbers from 0 up to 1: by so much of a quarter each pause is longer, lest several dialers come back at once.
    """

    def __init__(self, draw: Callable[[], float]) -> None:
        self._draw = draw
        self._failures = 0
        self._unknown = 0
        self._open_until: float | None = None
        self._trial_until = 0.0

    def is_open(self, now: float) -> bool:
        """Whether no call may be placed now, not even one to try."""
        return self._open_until is not None and now < self._open_until

    @property
    def is_closed(self) -> bool:
        """Whether the provider is well, for all that is known."""
        return self._open_until is None

    def admit(self, now: float) -> float:
        """0 where a call may go on to be claimed now, otherwise the seconds after which to ask again.

        After the pause one call at a time goes on, to try; one that did not come through gives way after some seconds.
        """
        if self._open_until is None:
            return 0.0
        if now < self._open_until:
            return self._open_until - now
        if now < self._trial_until:
            return _LOOK_AGAIN_SECONDS
        self._trial_until = now + _TRIAL_SECONDS
        return 0.0

    def answered(self) -> None:
        """The provider placed or refused a call: it is well."""
        self._failures = self._unknown = 0
        self._open_until = None
        self._trial_until = 0.0

    def told_nothing(self) -> None:
        """The provider was not asked, or refused a call, or us: where the call was to try, the next may try at once."""
        self._trial_until = 0.0

    def not_reached(self, now: float, at_least_seconds: float = 0.0) -> None:
        """The provider was not reached, or takes no calls: pause, twice as long each time.

        At least as long as it asks, though not longer than an hour.
        """
        asked = min(at_least_seconds, _LONGEST_ASKED_PAUSE_SECONDS)
        if self.is_open(now):
            self._open_until = max(self._open_until or now, now + asked)
            return
        pause = min(_FIRST_PAUSE_SECONDS * 2 ** min(self._failures, 10), _LONGEST_PAUSE_SECONDS)
        self._failures += 1
        self._open_until = now + max(pause, asked) * (1 + _JITTER * self._draw())
        self._trial_until = 0.0

    def left_unknown(self, now: float) -> None:
        """A request was left without an answer; five in a row, or one that was to try, count as not reached."""
        self._unknown += 1
        if self._unknown >= _UNKNOWN_IN_A_ROW or not self.is_closed:
            self.not_reached(now)
