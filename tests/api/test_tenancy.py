"""Two orgs that try each other's ids: whatever is asked with another org's id is 404, and nothing of it shows (contract, "Requests")."""

from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.service import Service, running_service

CUSTOMERS = {"customers": [{"number": "+14155550101"}]}
BODIES: dict[str, list[Any]] = {
    "PATCH": [{"name": "Mine now"}, {"status": "ended"}, {"status": "cancelled"}, {}],
    "POST": [CUSTOMERS],
    "GET": [None],
    "DELETE": [None],
}
QUERIES = ("", "?includeCounters=true", "?page=1&limit=1", "?format=ndjson", "?status=contact.pending", "?badLines=skip")
SECRET = "Only org-1 knows this name"


def keyed_routes(app: web.Application) -> list[tuple[str, str]]:
    """Method and path of every route that names something by its id and asks for a key; a new one can not be forgotten."""
    routes = [(route.method, route.resource.canonical) for route in app.router.routes() if route.resource is not None]
    return sorted((method, path) for method, path in routes if "{id}" in path)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(tmp_path) as running:
        yield running


async def _ids(service: Service) -> list[str]:
    first = await service.create(name=SECRET)
    second = await service.create(path="/v2/campaign", name=SECRET, customers=1)
    return [first["id"], second["id"], *first["calls"], first["id"].upper(), first["orgId"], f"{first['id']}%00"]


async def test_the_routes_by_id_are_those_that_are_tried(service: Service) -> None:
    app = service.client.app
    assert app is not None
    paths = {path for _, path in keyed_routes(app)}
    assert paths >= {"/campaign/{id}", "/v2/campaign/{id}", "/v2/campaign/{id}/contacts", "/campaign/{id}/results", "/call/{id}"}


async def test_any_request_with_another_orgs_id_is_404_and_changes_nothing(service: Service) -> None:
    app = service.client.app
    assert app is not None
    ids, other = await _ids(service), await service.key_of("org-2")
    before = [await (await service.ask("GET", f"/campaign/{id}")).read() for id in ids[:2]]
    for method, path in keyed_routes(app):
        for id in ids:
            for body in BODIES[method]:
                for query in QUERIES:
                    response = await service.ask(method, path.replace("{id}", id) + query, body, headers=other)
                    text = await response.text()
                    assert response.status == 404, (method, path, query, text)
                    assert SECRET not in text
    assert [await (await service.ask("GET", f"/campaign/{id}")).read() for id in ids[:2]] == before


async def test_what_names_a_campaign_elsewhere_finds_only_ones_own(service: Service) -> None:
    ids, other = await _ids(service), await service.key_of("org-2")
    for id in ids[:2]:
        assert (await service.ask("GET", f"/call?campaignId={id}", headers=other)).status == 404
        copy = {"name": "Copy", "duplicateFromCampaignId": id}
        assert (await service.ask("POST", "/v2/campaign", copy, headers=other)).status == 404
        for prefix in ("/campaign", "/v2/campaign"):
            assert (await service.answer("GET", f"{prefix}?id={id}", headers=other))["results"] == []


async def test_the_same_idempotency_key_of_two_orgs_is_two_requests(service: Service) -> None:
    key, other = {"Idempotency-Key": "k-1"}, await service.key_of("org-2")
    mine = await service.answer("POST", "/campaign", {**_spec(), "name": SECRET}, status=201, headers=key)
    theirs = await service.answer("POST", "/campaign", {**_spec(), "name": "Theirs"}, status=201, headers=other | key)
    assert (mine["id"] != theirs["id"], theirs["name"], theirs["orgId"]) == (True, "Theirs", "org-2")


def _spec() -> dict[str, Any]:
    return {"name": "x", "assistantId": "a-1", "phoneNumberId": "p-1", **CUSTOMERS}


async def test_no_list_shows_another_orgs_campaigns(service: Service) -> None:
    await _ids(service)
    other = await service.key_of("org-2")
    statuses = ["", "scheduled", "in-progress", "ended", "cancelled", "archived"]
    for prefix, status, order in product(("/campaign", "/v2/campaign"), statuses, ("createdAt", "duration", "cost")):
        query = f"?status={status}&sortBy={order}&includeCounters=true&createdAtGe=2000-01-01T00:00:00Z"
        page = await service.answer("GET", prefix + query, headers=other)
        assert (page["results"], page["metadata"]["totalItems"]) == ([], 0)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
async def test_chains_of_requests_by_two_orgs_never_show_one_what_is_the_others(service: Service, data: st.DataObject) -> None:
    """Each org knows the other's ids, and uses them everywhere an id can stand."""
    app = service.client.app
    assert app is not None
    routes = keyed_routes(app)
    keys = {"org-1": service.headers, "org-2": await service.key_of("org-2")}
    own: dict[str, list[str]] = {}
    for org, headers in keys.items():
        campaign = await service.answer("POST", "/campaign", {**_spec(), "name": f"secret of {org}"}, status=201, headers=headers)
        own[org] = [campaign["id"], *campaign["calls"]]
    for _ in range(data.draw(st.integers(1, 8))):
        org, whose = data.draw(st.sampled_from(sorted(own))), data.draw(st.sampled_from(sorted(own)))
        method, path = data.draw(st.sampled_from(routes))
        id, body = data.draw(st.sampled_from(own[whose])), data.draw(st.sampled_from(BODIES[method]))
        query = data.draw(st.sampled_from(QUERIES))
        response = await service.ask(method, path.replace("{id}", id) + query, body, headers=keys[org])
        text = await response.text()
        assert f"secret of {'org-2' if org == 'org-1' else 'org-1'}" not in text
        if whose != org:
            assert response.status == 404, (method, path, text)
