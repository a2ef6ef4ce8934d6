"""What `/metrics` says of requests, and what is answered where no route is."""

from prometheus_client import CollectorRegistry, generate_latest

from services.api.metrics import ApiMetrics
from tests.api.service import Service


def test_requests_are_counted_by_status_and_timed_by_route() -> None:
    registry = CollectorRegistry()
    metrics = ApiMetrics(registry)
    for status, seconds in ((200, 0.001), (200, 0.3), (404, 0.0005), (200, 100.0)):
        metrics.answered("GET", "/campaign/{id}", status, seconds)
    text = generate_latest(registry).decode()
    labels = 'method="GET",route="/campaign/{id}"'
    for line in (
        f'ringfold_api_requests_total{{{labels},status="200"}} 3.0',
        f'ringfold_api_requests_total{{{labels},status="404"}} 1.0',
        f'ringfold_api_request_seconds_bucket{{le="0.001",{labels}}} 2.0',
        f'ringfold_api_request_seconds_bucket{{le="0.5",{labels}}} 3.0',
        f'ringfold_api_request_seconds_bucket{{le="60.0",{labels}}} 3.0',
        f'ringfold_api_request_seconds_bucket{{le="+Inf",{labels}}} 4.0',
        f"ringfold_api_request_seconds_count{{{labels}}} 4.0",
        f"ringfold_api_request_seconds_sum{{{labels}}} 100.3015",
    ):
        assert line in text.splitlines(), text


async def test_a_route_is_named_without_the_ids_in_it_and_what_no_route_takes_is_counted_as_one(service: Service) -> None:
    campaign = await service.create(path="/v2/campaign")
    await service.answer("GET", f"/v2/campaign/{campaign['id']}")
    await service.answer("GET", "/no/such/route", status=404)
    await service.answer("PUT", f"/v2/campaign/{campaign['id']}", status=405)
    text = generate_latest(service.registry).decode()
    assert 'ringfold_api_requests_total{method="GET",route="/v2/campaign/{id}",status="200"} 1.0' in text
    assert 'ringfold_api_requests_total{method="GET",route="unknown",status="404"} 1.0' in text
    assert 'ringfold_api_requests_total{method="PUT",route="unknown",status="405"} 1.0' in text


async def test_a_path_that_takes_other_methods_says_which(service: Service) -> None:
    campaign = await service.create(path="/v2/campaign")
    response = await service.ask("PUT", f"/v2/campaign/{campaign['id']}")
    assert (response.status, response.headers["Allow"]) == (405, "DELETE,GET,PATCH")


async def test_a_summary_is_answered_whole_to_whoever_does_not_keep_the_connection(service: Service) -> None:
    campaign = await service.create(path="/v2/campaign")
    path = f"/v2/campaign/{campaign['id']}"
    kept, closed = await service.ask("GET", path), await service.ask("GET", path, headers={"Connection": "close"})
    assert await kept.read() == await closed.read()
    names = {"Content-Type", "ETag", "Content-Length", "Server", "Date", "X-Request-Id"}
    assert {name: kept.headers[name] for name in names - {"Date", "X-Request-Id"}} == {
        name: closed.headers[name] for name in names - {"Date", "X-Request-Id"}
    }
    assert all(name in kept.headers and name in closed.headers for name in names)
    assert (kept.headers.get("Connection"), closed.headers["Connection"]) == (None, "close")
    assert kept.headers["X-Request-Id"] != closed.headers["X-Request-Id"]
