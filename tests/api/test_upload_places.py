"""Uploads wait for a place, not for another org: none has all places, and one that gets free goes to who has the fewest."""

import asyncio
from pathlib import Path

import pytest

from services.api.errors import UnavailableError
from services.api.upload_places import UploadPlaces
from tests.api.service import draft, running_service

_CSV, _CSV_TYPE = "number\n+14155550201\n", {"Content-Type": "text/csv"}


class Uploading:
    """Uploads by org that end when told; `under_way` names the orgs whose uploads have a place, in the order in which they got it."""

    def __init__(self, at_once: int) -> None:
        self.places = UploadPlaces(at_once, 60.0)
        self.under_way: list[str] = []
        self._ends: list[asyncio.Event] = []

    async def begin(self, *org_ids: str) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self._upload(org_id)) for org_id in org_ids]
        await self._settle()
        return tasks

    async def end(self, org_id: str) -> None:
        self._ends.pop(self.under_way.index(org_id)).set()
        self.under_way.remove(org_id)
        await self._settle()

    async def _upload(self, org_id: str) -> None:
        async with self.places.taken(org_id):
            end = asyncio.Event()
            self.under_way.append(org_id)
            self._ends.append(end)
            await end.wait()

    async def _settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


async def test_an_org_leaves_one_place_to_others_and_a_single_place_is_anyones() -> None:
    uploading = Uploading(3)
    await uploading.begin("a", "a", "a")
    assert uploading.under_way == ["a", "a"]
    await uploading.begin("b")
    assert uploading.under_way == ["a", "a", "b"]
    alone = Uploading(1)
    await alone.begin("a")
    assert alone.under_way == ["a"]


async def test_a_place_that_gets_free_goes_to_the_org_with_the_fewest_and_then_in_turn() -> None:
    uploading = Uploading(3)
    await uploading.begin("a", "a", "b", "a", "a", "c", "c", "d")
    assert uploading.under_way == ["a", "a", "b"]
    for ended, served in (("a", "c"), ("b", "d"), ("a", "a"), ("c", "c"), ("d", "a")):
        await uploading.end(ended)
        assert uploading.under_way[-1] == served


async def test_who_gave_up_waiting_is_passed_over() -> None:
    uploading = Uploading(2)
    *_, gone, _ = await uploading.begin("a", "b", "c", "d")
    gone.cancel()
    await uploading.end("a")
    assert uploading.under_way == ["b", "d"]


async def test_who_gave_up_just_when_a_place_was_given_gives_it_back() -> None:
    uploading = Uploading(1)
    async with uploading.places.taken("a"):
        (gone,) = await uploading.begin("b")
    gone.cancel()
    await uploading.begin("c")
    assert uploading.under_way == ["c"]


async def test_who_waits_too_long_is_refused_and_waits_no_more() -> None:
    places = UploadPlaces(1, 0.01)
    async with places.taken("a"):
        with pytest.raises(UnavailableError):
            async with places.taken("b"):
                pass
    async with places.taken("c"):
        pass


async def test_an_upload_without_a_place_is_503_unread_and_another_orgs_is_taken(tmp_path: Path) -> None:
    async with running_service(tmp_path, hold_seconds=0.3) as service:
        other = await service.key_of("org-2")
        path = f"/campaign/{(await service.create())['id']}/contacts"
        path_of_other = f"/campaign/{(await service.answer('POST', '/campaign', draft(), status=201, headers=other))['id']}/contacts"
        async with service.context.uploads.room("org-1"):
            async with await service.ask("POST", path, data=_CSV, headers=_CSV_TYPE) as refused:
                assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
                assert (await refused.json())["message"] == "other uploads are under way; nothing was accepted"
            await service.answer("POST", path_of_other, data=_CSV, status=201, headers=_CSV_TYPE | other)
        await service.answer("POST", path, data=_CSV, status=201, headers=_CSV_TYPE)
