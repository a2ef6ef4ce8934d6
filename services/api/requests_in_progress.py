"""Owns how many requests are in progress at once: one beyond the bound is refused before anything of it is looked at."""

from dataclasses import dataclass

from services.api.errors import UnavailableError


@dataclass(slots=True)
class RequestsInProgress:
    """A request is in progress from its head until its answer is made, or written where it is streamed; held ones are too."""

    most: int
    now: int = 0

    def begin(self) -> None:
        """Raises `UnavailableError`, and counts nothing, where there are as many as may be."""
        if self.now >= self.most:
            raise UnavailableError("too many requests are in progress; nothing was accepted")
        self.now += 1

    def end(self) -> None:
        self.now -= 1
