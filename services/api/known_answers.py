"""Owns the answers that are kept as bytes: each of one version of a campaign, as many as fit."""

import hashlib
from collections import OrderedDict
from typing import NamedTuple

from projections.queries.views import CampaignVersion
from services.api.kept_response import kept_head

_OVERHEAD_BYTES = 1_024
"""What an entry takes beside its body."""


class Question(NamedTuple):
    """What is answered: the summary of an org's campaign, with counters or without."""

    org_id: str
    campaign_id: str
    counters: bool


class Answer(NamedTuple):
    """The body and its entity tag (RFC 9110, 8.8.3), without quotes, which follows from the body alone; `head` is `kept_head`'s."""

    version: CampaignVersion
    head: bytes
    body: bytes
    etag: str


class KnownAnswers:
    """The answers that were given last, up to `most_bytes`. One is only good for the version that it was made of."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._answers: OrderedDict[Question, Answer] = OrderedDict()

    def of(self, question: Question, version: CampaignVersion) -> Answer | None:
        answer = self._answers.get(question)
        if answer is None or answer.version != version:
            return None
        self._answers.move_to_end(question)
        return answer

    def keep(self, question: Question, version: CampaignVersion, body: bytes) -> Answer:
        """The answer, in place of an older one."""
        etag = hashlib.blake2b(body, digest_size=16).hexdigest()
        answer = Answer(version, kept_head(body, etag), body, etag)
        self._drop(self._answers.pop(question, None))
        self._answers[question] = answer
        self._bytes += len(body) + _OVERHEAD_BYTES
        while self._bytes > self._most_bytes:
            self._drop(self._answers.popitem(last=False)[1])
        return answer

    def _drop(self, answer: Answer | None) -> None:
        if answer is not None:
            self._bytes -= len(answer.body) + _OVERHEAD_BYTES
