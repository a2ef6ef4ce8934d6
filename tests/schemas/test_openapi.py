"""The API's document tells of every route, and is served with a page to try it, without a key and without another host."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from services.api.generations import V1, V2, Generation
from services.api.openapi import openapi
from tests.api.service import Service

_CHECKED_IN = Path(__file__).parents[2] / "infra/schemas/openapi.json"


def operations() -> dict[tuple[str, str], Any]:
    return {(method.upper(), path): item for path, methods in openapi()["paths"].items() for method, item in methods.items()}


async def test_every_route_stands_in_the_document_and_no_other(service: Service) -> None:
    routes = set()
    for route in service.client.app.router.routes() if service.client.app else ():
        assert route.resource is not None
        if route.method != "HEAD":
            routes.add((route.method, route.resource.canonical))
    assert routes - {("GET", "/docs/{file}"), ("*", "/{unknown}")} == operations().keys()


async def test_the_document_is_served_without_a_key_as_it_is_checked_in(service: Service) -> None:
    response = await service.client.get("/openapi.json")
    assert response.status == 200
    assert await response.json() == openapi() == json.loads(_CHECKED_IN.read_text())


async def test_the_page_loads_its_parts_from_us_alone(service: Service) -> None:
    response = await service.client.get("/docs")
    page = await response.text()
    assert response.content_type == "text/html"
    parts = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(parts) == 3
    for part in parts:
        assert "//" not in part
        assert (await service.client.get(f"/{part}")).status == 200
    assert (await service.client.get("/docs/swagger-ui.js")).status == 404


def test_ids_of_operations_are_unique() -> None:
    ids = [operation["operationId"] for operation in operations().values()]
    assert len(ids) == len(set(ids))


def test_parameters_of_a_path_are_told() -> None:
    for (_, path), operation in operations().items():
        told = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"}
        assert told == set(re.findall(r"{(\w+)}", path)), path


def test_refusals_have_the_one_shape() -> None:
    for key, operation in operations().items():
        for status, response in operation["responses"].items():
            if int(status) >= 400 and key != ("GET", "/health/ready"):
                assert response["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Refusal"}


@pytest.mark.parametrize("name", ["CampaignDraft", "CampaignEdit"])
def test_v2_does_not_tell_of_what_it_refuses(name: str) -> None:
    schemas = openapi()["components"]["schemas"]
    left_out = schemas[name]["properties"].keys() - schemas[f"{name}V2"]["properties"].keys()
    assert left_out == schemas[name]["properties"].keys() & set(V2.refused_fields)
    assert schemas[f"{name}V2"]["additionalProperties"] is False


def test_the_contracts_parameters_are_told() -> None:
    bounds = {f"{field}{suffix}" for field in ("createdAt", "updatedAt") for suffix in ("Gt", "Lt", "Ge", "Le")}
    lists = bounds | {"id", "status", "page", "limit", "sortOrder", "sortBy"}
    for path, expected in {"/campaign": lists, "/v2/campaign": lists | {"includeCounters"}}.items():
        assert {parameter["name"] for parameter in operations()["GET", path]["parameters"]} == expected
    contacts = operations()["GET", "/v2/campaign/{id}/contacts"]["parameters"]
    assert {parameter["name"] for parameter in contacts} == {"id", "status", "limit", "sortBy", "page"}


@pytest.mark.parametrize("generation", [V1, V2])
def test_the_examples_are_taken_as_they_are(generation: Generation) -> None:
    collection, item = openapi()["paths"][generation.prefix], openapi()["paths"][f"{generation.prefix}/{{id}}"]
    assert generation.draft(collection["post"]["requestBody"]["content"]["application/json"]["example"]).customers
    assert generation.edit(item["patch"]["requestBody"]["content"]["application/json"]["example"]).name == "Summer"
