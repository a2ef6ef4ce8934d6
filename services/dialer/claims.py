"""Owns the claims of this process: remembered from before they are sent until they are granted, withdrawn, or too old to act upon."""

from collections import OrderedDict
from dataclasses import dataclass

from projections.dial_task.task import DialTask

_MOST_NOT_PLACED = 10_000


@dataclass(frozen=True, slots=True)
class Claim:
    """`provider` is who is to place the call. `expires` is by our monotonic clock; from then on the claim must not be acted upon."""

    id: str
    task: DialTask
    attempt: int
    provider: str
    expires: float


class ClaimBook:
    """Pure. A claim leaves it once, and only whoever took it out may act upon it: so each is acted upon at most once.

    It lives in memory alone: the claims of a former process life are nobody's.
    """

    def __init__(self) -> None:
        self._claims: OrderedDict[str, Claim] = OrderedDict()
        self._not_placed: OrderedDict[str, Claim] = OrderedDict()

    def __len__(self) -> int:
        return len(self._claims)

    def remember(self, claim: Claim) -> None:
        """Before the claim is sent, since it may be granted before the send is acknowledged. In the order of `expires`."""
        self._claims[claim.id] = claim

    def take(self, claim_id: str | None) -> Claim | None:
        """The claim, out of the book; `None` where it is not ours, or was taken out before."""
        return None if claim_id is None else self._claims.pop(claim_id, None)

    def remember_not_placed(self, claim: Claim) -> None:
        """Of one that was taken out: no request of it placed the call, and none ever will. Beyond 10,000 the first are forgotten."""
        self._not_placed[claim.id] = claim
        if len(self._not_placed) > _MOST_NOT_PLACED:
            self._not_placed.popitem(last=False)

    def not_placed(self, claim_id: str | None) -> Claim | None:
        """The claim, where it is remembered as not placed."""
        return None if claim_id is None else self._not_placed.get(claim_id)

    def take_expired(self, monotonic: float) -> list[Claim]:
        """Those that are too old to act upon, out of the book."""
        expired = []
        while self._claims and next(iter(self._claims.values())).expires <= monotonic:
            expired.append(self._claims.popitem(last=False)[1])
        return expired

    def take_all(self) -> list[Claim]:
        """All, out of the book."""
        claims = list(self._claims.values())
        self._claims.clear()
        return claims
