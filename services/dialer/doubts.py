"""Owns what a 403 or 404 means: that the provider does not know an id of this call's, or that it does not know us."""

from collections import OrderedDict

from events.calls import REFUSED
from services.dialer.provider import Answer, NotPlaced, Placed, Refused

_OFTEN_ENOUGH = 3
_MOST_REMEMBERED = 20_000


class Doubts:
    """Of one provider in this process life; pure.

    Such an answer refuses the call where the provider placed another since the last of them, for then it knows us, or where
    this call has it for the third time. Otherwise nobody knows, and it is not placed. Of calls beyond 20,000 the tries are forgotten.
    """

    def __init__(self) -> None:
        self._knows_us = False
        self._times: OrderedDict[str, int] = OrderedDict()

    def weigh(self, call_id: str, answer: Answer) -> Answer:
        """The answer to this call, in the light of those before it."""
        if isinstance(answer, NotPlaced) and answer.doubtful:
            return self._weigh_doubtful(call_id, answer)
        if isinstance(answer, Placed):
            self._knows_us = True
        if not isinstance(answer, NotPlaced):
            self._times.pop(call_id, None)
        return answer

    def _weigh_doubtful(self, call_id: str, answer: NotPlaced) -> Answer:
        knows_us, self._knows_us = self._knows_us, False
        times = self._times.pop(call_id, 0) + 1
        if knows_us or times >= _OFTEN_ENOUGH:
            return Refused(REFUSED, answer.error, knows_us)
        self._times[call_id] = times
        if len(self._times) > _MOST_REMEMBERED:
            self._times.popitem(last=False)
        return answer
