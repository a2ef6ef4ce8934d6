"""A summary that the client holds already is not sent again (RFC 9110, 13.1.2)."""

from tests.api.service import Service


async def test_an_unchanged_summary_is_304_without_a_body_and_a_changed_one_is_sent(service: Service) -> None:
    campaign = await service.create(path="/v2/campaign")
    path = f"/v2/campaign/{campaign['id']}"
    first = await service.ask("GET", path)
    known = {"If-None-Match": first.headers["ETag"]}
    again = await service.ask("GET", path, headers=known)
    assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    await service.answer("PATCH", path, {"name": "Autumn"})
    changed = await service.ask("GET", path, headers=known)
    assert (changed.status, (await changed.json())["name"]) == (200, "Autumn")
    assert changed.headers["ETag"] != first.headers["ETag"]


async def test_the_summary_with_counters_is_another_answer_and_others_match_nothing(service: Service) -> None:
    campaign = await service.create(path="/v2/campaign")
    path = f"/v2/campaign/{campaign['id']}"
    etag = (await service.ask("GET", path)).headers["ETag"]
    assert (await service.ask("GET", f"{path}?includeCounters=true", headers={"If-None-Match": etag})).status == 200
    assert (await service.ask("GET", path, headers={"If-None-Match": f'"x", {etag}'})).status == 304
    assert (await service.ask("GET", path, headers={"If-None-Match": '"x"'})).status == 200
    assert (await service.ask("GET", path, headers={"If-None-Match": "*"})).status == 304
