"""A summary is answered from kept bytes only while they are of the campaign as it is (README, "What we promise, and how we know")."""

from pathlib import Path

import pytest

from projections.queries.read_model import ReadModelAwayError
from projections.queries.views import CampaignVersion
from services.api.known_answers import KnownAnswers, Question
from tests.api.service import Service, running_service

V1 = CampaignVersion(None, 1)


async def test_every_read_after_a_write_shows_it(service_on: Service) -> None:
    campaign = await service_on.create(path="/v2/campaign")
    path = f"/v2/campaign/{campaign['id']}"
    for name in ("Summer", "Autumn", "Winter"):
        await service_on.answer("PATCH", path, {"name": name})
        for _ in range(2):
            assert (await service_on.answer("GET", path))["name"] == name
            assert (await service_on.answer("GET", f"{path}?includeCounters=true"))["contactCounters"]["pending"] == 2
    await service_on.answer("DELETE", path)
    assert (await service_on.answer("GET", path))["status"] == "archived"
    await service_on.answer("DELETE", f"/campaign/{campaign['id']}")
    await service_on.answer("GET", path, status=404)


async def test_an_unchanged_summary_is_read_once(service_on: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = await service_on.create(path="/v2/campaign")
    first = await service_on.answer("GET", f"/v2/campaign/{campaign['id']}")

    async def away(*_: object, **__: object) -> None:
        raise ReadModelAwayError("away")

    monkeypatch.setattr(type(service_on.context.read_model), "campaign", away)
    assert await service_on.answer("GET", f"/v2/campaign/{campaign['id']}") == first
    await service_on.answer("GET", f"/v2/campaign/{campaign['id']}?includeCounters=true", status=503)


async def test_what_one_org_was_answered_is_not_anothers(service_on: Service) -> None:
    campaign = await service_on.create(path="/v2/campaign")
    await service_on.answer("GET", f"/v2/campaign/{campaign['id']}")
    await service_on.answer("GET", f"/v2/campaign/{campaign['id']}", status=404, headers=await service_on.key_of("org-2"))


async def test_without_room_every_summary_is_read_anew(tmp_path: Path) -> None:
    async with running_service(tmp_path, answer_cache_bytes=0) as service:
        campaign = await service.create(path="/v2/campaign")
        summaries = [await service.answer("GET", f"/v2/campaign/{campaign['id']}") for _ in range(2)]
        assert summaries[0] == summaries[1]


def test_an_answer_is_of_its_version_only() -> None:
    answers, question = KnownAnswers(10_000), Question("org-1", "c-1", False)
    kept = answers.keep(question, V1, b"{}")
    assert answers.of(question, V1) == kept
    assert answers.of(question, CampaignVersion(None, 2)) is None
    assert answers.of(question, CampaignVersion("1", 1)) is None
    assert answers.of(question._replace(counters=True), V1) is None
    assert answers.keep(question._replace(counters=True), V1, b"{}").etag == kept.etag
    assert answers.keep(question, CampaignVersion("1", 1), b"{ }").etag != kept.etag
    assert answers.of(question, V1) is None


def test_what_was_asked_for_the_longest_ago_makes_room() -> None:
    answers, questions = KnownAnswers(6_000), [Question("org-1", f"c-{number}", False) for number in range(4)]
    for question in questions[:2]:
        answers.keep(question, V1, bytes(1_500))
    assert answers.of(questions[0], V1)
    answers.keep(questions[2], V1, bytes(1_500))
    assert [answers.of(question, V1) is not None for question in questions[:3]] == [True, False, True]
    answers.keep(questions[3], V1, bytes(6_000))
    assert not any(answers.of(question, V1) for question in questions)
