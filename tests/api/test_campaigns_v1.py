"""V1 `/campaign` over HTTP (contract, "Requests", "Errors", "Campaign status")."""

import orjson
import pytest

from tests.api.service import LATER, Service, draft

UNKNOWN = "00000000-0000-4000-8000-000000000000"


async def test_a_created_campaign_is_answered_whole_with_201(service: Service) -> None:
    campaign = await service.create()
    calls = campaign.pop("calls")
    created_at = campaign.pop("createdAt")
    assert campaign.pop("updatedAt") == created_at == "2030-01-01T09:00:00.000Z"
    assert campaign == {
        "id": campaign["id"],
        "orgId": "org-1",
        "status": "scheduled",
        "name": "Spring",
        "assistantId": "a-1",
        "phoneNumberId": "p-1",
        "schedulePlan": {"earliestAt": "2030-01-02T09:00:00.000Z"},
        "maxConcurrency": 10,
        "callsCounterScheduled": 2,
        "callsCounterQueued": 0,
        "callsCounterInProgress": 0,
        "callsCounterEnded": 0,
        "callsCounterEndedVoicemail": 0,
        "customers": draft()["customers"],
    }
    assert list(calls.values()) == [
        {"id": id, "customer": c, "status": "scheduled"} for id, c in zip(calls, draft()["customers"], strict=True)
    ]


async def test_a_campaign_reads_the_same_after_it_was_created(service: Service) -> None:
    campaign = await service.create()
    assert await service.answer("GET", f"/campaign/{campaign['id']}") == campaign


async def test_calls_that_were_dispatched_show_in_the_counters_and_the_map(service: Service) -> None:
    campaign = await service.create(customers=3, schedulePlan=..., maxConcurrency=2)
    assert campaign["status"] == "in-progress"
    assert (campaign["callsCounterScheduled"], campaign["callsCounterQueued"]) == (1, 2)
    assert [call["status"] for call in campaign["calls"].values()] == ["queued", "queued", "scheduled"]


async def test_a_dial_plan_is_answered_as_it_was_given(service: Service) -> None:
    customers = draft(5)["customers"]
    plan = [
        {"phoneNumberId": "p-1", "customers": customers[:2]},
        {"phoneNumberId": "p-2", "customers": customers[2:4]},
        {"phoneNumberId": "p-2", "customers": customers[4:]},
    ]
    body = draft() | {"dialPlan": plan}
    del body["customers"], body["phoneNumberId"]
    campaign = await service.answer("POST", "/campaign", body, status=201)
    assert campaign["dialPlan"] == plan
    assert "customers" not in campaign
    assert len(campaign["calls"]) == 5


async def test_a_campaign_in_parts_is_answered_once_all_its_contacts_are_there(service: Service) -> None:
    campaign = await service.create(customers=9_000)
    assert len(service.log.appended) == 4
    assert len(campaign["calls"]) == len(campaign["customers"]) == campaign["callsCounterScheduled"] == 9_000
    assert campaign["customers"] == draft(9_000)["customers"]


async def test_nulls_count_as_absent_but_inside_variable_values(service: Service) -> None:
    overrides = {"firstMessage": None, "variableValues": {"plan": None}}
    customers = [{"number": "+14155550100", "name": None, "assistantOverrides": overrides}]
    campaign = await service.answer("POST", "/campaign", draft() | {"customers": customers, "workflowId": None}, status=201)
    assert campaign["customers"] == [{"number": "+14155550100", "assistantOverrides": {"variableValues": {"plan": None}}}]


async def test_each_broken_rule_is_one_message_with_its_path(service: Service) -> None:
    body = draft() | {"name": 1, "customers": [{"number": "123"}], "maxConcurrency": 501, "foo": True}
    answer = await service.answer("POST", "/campaign", body, status=400)
    assert answer == {
        "message": [
            "name must be a string",
            "maxConcurrency must be at most 500",
            "customers.0.number must be E.164: + and 2 to 15 digits, the first not 0, such as +14155551234",
            "property foo should not exist",
        ],
        "error": "Bad Request",
        "statusCode": 400,
    }
    assert service.log.appended == []


async def test_a_concurrency_above_the_orgs_limit_is_400_and_says_the_limit(service: Service) -> None:
    limit = service.log.world.policy.limit_of("org-1")
    answer = await service.create(maxConcurrency=limit + 1, status=400)
    assert answer["message"] == [f"maxConcurrency must be at most {limit}, the org's concurrency limit"]


async def test_more_than_ten_thousand_customers_are_400(service: Service) -> None:
    answer = await service.create(customers=10_001, status=400)
    assert answer["message"] == ["at most 10000 customers are taken at once, 10001 were given"]


async def test_duplicating_is_refused(service: Service) -> None:
    answer = await service.create(duplicateFromCampaignId=UNKNOWN, status=400)
    assert answer["message"] == ["property duplicateFromCampaignId should not exist"]


async def test_a_body_that_is_not_json_is_400_and_one_not_declared_so_415(service: Service) -> None:
    json = {"Content-Type": "application/json"}
    assert (await service.ask("POST", "/campaign", data=b"{", headers=json)).status == 400
    assert (await service.ask("POST", "/campaign", data=b"", headers=json)).status == 400
    assert (await service.ask("POST", "/campaign", data=b"[]", headers=json)).status == 400
    assert (await service.ask("POST", "/campaign", data=b"{}", headers={"Content-Type": "text/plain"})).status == 415


async def test_a_body_nested_too_deeply_is_400(service: Service) -> None:
    for depth in (200, 300, 900, 5_000):
        text = orjson.dumps(draft())[:-1] + b',"assistantOverrides":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
        response = await service.ask("POST", "/campaign", data=text, headers={"Content-Type": "application/json"})
        assert response.status == (201 if depth == 200 else 400), (depth, await response.text())


async def test_an_edit_changes_what_it_names(service: Service) -> None:
    campaign = await service.create()
    edited = await service.answer("PATCH", f"/campaign/{campaign['id']}", {"name": "Summer", "squadId": "s-1", "assistantId": None})
    assert (edited["name"], edited["squadId"]) == ("Summer", "s-1")
    assert "assistantId" not in edited
    assert await service.answer("GET", f"/campaign/{campaign['id']}") == edited


async def test_an_empty_edit_changes_nothing(service: Service) -> None:
    campaign = await service.create()
    assert await service.answer("PATCH", f"/campaign/{campaign['id']}", {}) == campaign


async def test_a_new_dial_plan_takes_the_customers_place(service: Service) -> None:
    campaign = await service.create()
    plan = [{"phoneNumberId": "p-9", "customers": [{"number": "+14155559999"}]}]
    edited = await service.answer("PATCH", f"/campaign/{campaign['id']}", {"dialPlan": plan})
    assert edited["dialPlan"] == plan
    assert [call["customer"] for call in edited["calls"].values()] == plan[0]["customers"]
    assert edited["callsCounterScheduled"] == 1


@pytest.mark.parametrize("status", ["ended", "cancelled"])
async def test_stopping_ends_the_campaign_at_once_and_again_changes_nothing(service: Service, status: str) -> None:
    campaign = await service.create()
    stopped = await service.answer("PATCH", f"/campaign/{campaign['id']}", {"status": status})
    assert (stopped["status"], stopped["endedReason"]) == ("ended", "campaign.scheduled.ended-by-user")
    assert stopped["callsCounterEnded"] == 2
    assert await service.answer("PATCH", f"/campaign/{campaign['id']}", {"status": status}) == stopped


async def test_a_name_and_a_stop_in_one_edit_both_show(service: Service) -> None:
    campaign = await service.create()
    stopped = await service.answer("PATCH", f"/campaign/{campaign['id']}", {"status": "ended", "name": "Over"})
    assert (stopped["status"], stopped["name"]) == ("ended", "Over")


async def test_an_edit_that_the_state_forbids_is_400(service: Service) -> None:
    campaign = await service.create(schedulePlan=...)
    answer = await service.answer("PATCH", f"/campaign/{campaign['id']}", {"assistantId": "a-2", "schedulePlan": LATER}, status=400)
    assert answer["message"] == [
        "assistantId can only be changed while the campaign is scheduled, it is in-progress",
        "schedulePlan can only be changed while the campaign is scheduled, it is in-progress",
    ]


async def test_a_deleted_campaign_is_answered_as_ended_and_gone_from_then_on(service: Service) -> None:
    campaign = await service.create()
    path = f"/campaign/{campaign['id']}"
    deleted = await service.answer("DELETE", path)
    assert (deleted["id"], deleted["status"]) == (campaign["id"], "ended")
    call_id = next(iter(campaign["calls"]))
    for method, gone in [
        ("GET", path),
        ("PATCH", path),
        ("DELETE", path),
        ("GET", f"/v2{path}"),
        ("PATCH", f"/v2{path}"),
        ("DELETE", f"/v2{path}"),
        ("GET", f"/v2{path}/contacts"),
        ("GET", f"/call?campaignId={campaign['id']}"),
        ("GET", f"/call/{call_id}"),
    ]:
        await service.answer(method, gone, {} if method == "PATCH" else None, status=404)
    for query in ("", f"?id={campaign['id']}", "?status=ended", "?status=archived"):
        assert (await service.answer("GET", f"/campaign{query}"))["results"] == []


@pytest.mark.parametrize("campaign_id", ["x", UNKNOWN, "%FF", "%00", UNKNOWN.upper() + "A"])
async def test_an_unknown_or_malformed_id_is_404(service: Service, campaign_id: str) -> None:
    for generation in ("/campaign", "/v2/campaign"):
        for method in ("GET", "PATCH", "DELETE"):
            body: dict[str, object] | None = {} if method == "PATCH" else None
            answer = await service.answer(method, f"{generation}/{campaign_id}", body, status=404)
            assert (answer["error"], answer["statusCode"]) == ("Not Found", 404)


async def test_another_orgs_campaign_is_404_on_every_route(service: Service) -> None:
    campaign = await service.create()
    call_id = next(iter(campaign["calls"]))
    other = await service.key_of("org-2")
    for method, path in [
        *((method, f"{prefix}/{campaign['id']}") for prefix in ("/campaign", "/v2/campaign") for method in ("GET", "PATCH", "DELETE")),
        ("GET", f"/v2/campaign/{campaign['id']}/contacts"),
        ("GET", f"/call?campaignId={campaign['id']}"),
        ("GET", f"/call/{call_id}"),
    ]:
        await service.answer(method, path, {"name": "Mine"} if method == "PATCH" else None, status=404, headers=other)
    assert (await service.answer("GET", f"/campaign?id={campaign['id']}", headers=other))["results"] == []
    assert await service.answer("GET", f"/campaign/{campaign['id']}") == campaign


async def test_requests_without_a_valid_key_are_401(service: Service) -> None:
    for authorization in ("", "Bearer", "Bearer nonsense", "Basic abc", "Bearer \udcff"):
        response = await service.client.get("/campaign", headers={"Authorization": authorization})
        assert response.status == 401
        assert (await response.json())["error"] == "Unauthorized"


async def test_unknown_routes_and_methods_are_answered_in_the_one_shape(service: Service) -> None:
    assert await service.answer("GET", "/nothing", status=404) == {
        "message": "Cannot GET /nothing",
        "error": "Not Found",
        "statusCode": 404,
    }
    response = await service.ask("PUT", "/campaign")
    assert (response.status, response.headers["Allow"]) == (405, "GET,POST")
    assert (await response.json())["statusCode"] == 405


async def test_every_answer_names_its_request(service: Service) -> None:
    ids = [(await service.ask("GET", path)).headers["X-Request-Id"] for path in ("/campaign", "/nothing", "/campaign/x")]
    assert len(set(ids)) == 3
