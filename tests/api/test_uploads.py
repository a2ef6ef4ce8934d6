"""Contacts at size over HTTP: added as CSV or JSON, created with a CSV beside, and downloaded with what became of them."""

import asyncio
import csv
import io
import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from events import commands
from services.api import contact_spool, uploads
from services.api.csv_contacts import Contact
from services.api.errors import BodyTimeoutError
from services.api.upload_places import UploadPlaces
from tests.api.service import Service, running_service

CSV = "number,name,city\n+14155550201,Ada,London\n+1 (415) 555-0202,Grace,\n"
BAD = "number,name\n+14155550201,Ada\n12,Short\n+14155550203,Grace\nnobody,X\n"
HEAD = {"name": "Spring", "assistantId": "a-1", "phoneNumberId": "p-1", "schedulePlan": {"earliestAt": "2030-01-02T09:00:00Z"}}
CSV_TYPE = {"Content-Type": "text/csv"}


@pytest.fixture(params=["/campaign", "/v2/campaign"])
def prefix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def add(service: Service, path: str, text: str | bytes, status: int = 201, **options: Any) -> Any:
    options["headers"] = CSV_TYPE | options.get("headers", {})
    return await service.answer("POST", path, data=text, status=status, **options)


def form(campaign: dict[str, Any] | None, text: str | None) -> aiohttp.FormData:
    data = aiohttp.FormData()
    if campaign is not None:
        data.add_field("campaign", orjson.dumps(campaign).decode(), content_type="application/json")
    if text is not None:
        data.add_field("customers", text, filename="customers.csv", content_type="text/csv")
    return data


async def test_a_csv_adds_its_contacts_behind_those_of_the_campaign(service: Service, prefix: str) -> None:
    campaign = await service.create(customers=[{"number": "+14155550100"}])
    path = f"{prefix}/{campaign['id']}"
    assert await add(service, f"{path}/contacts", CSV) == {"campaignId": campaign["id"], "contactsAdded": 2}
    whole = await service.answer("GET", f"/campaign/{campaign['id']}")
    assert whole["customers"] == [
        {"number": "+14155550100"},
        {"number": "+14155550201", "name": "Ada", "assistantOverrides": {"variableValues": {"city": "London"}}},
        {"number": "+14155550202", "name": "Grace"},
    ]
    assert whole["callsCounterScheduled"] == 3


async def test_contacts_are_added_as_json_too(service: Service, prefix: str) -> None:
    campaign = await service.create()
    path = f"{prefix}/{campaign['id']}/contacts"
    answer = await service.answer("POST", path, {"customers": [{"number": "+14155550201"}]}, status=201)
    assert answer == {"campaignId": campaign["id"], "contactsAdded": 1}
    refused = await service.answer("POST", path, {"customers": [{"number": "1"}], "x": 1}, status=400)
    assert len(refused["message"]) == 2


async def test_bad_lines_are_named_and_nothing_is_taken(service: Service) -> None:
    campaign = await service.create(customers=2 * [{"number": "+14155550100"}])
    answer = await add(service, f"/campaign/{campaign['id']}/contacts", BAD, status=400)
    assert answer["message"] == [
        "line 3: number must be at least 3 characters long",
        "line 5: number must be E.164: + and 2 to 15 digits, the first not 0, such as +14155551234",
    ]
    assert (await service.answer("GET", f"/campaign/{campaign['id']}"))["callsCounterScheduled"] == 2


async def test_the_good_lines_are_taken_where_the_caller_asks(service: Service) -> None:
    campaign = await service.create(customers=[{"number": "+14155550100"}])
    answer = await add(service, f"/campaign/{campaign['id']}/contacts?badLines=skip", BAD)
    assert (answer["contactsAdded"], answer["linesSkipped"], len(answer["errors"])) == (2, 2, 2)
    assert (await service.answer("GET", f"/campaign/{campaign['id']}"))["callsCounterScheduled"] == 3


async def test_a_csv_without_any_good_line_is_refused_even_so(service: Service) -> None:
    campaign = await service.create()
    path = f"/campaign/{campaign['id']}/contacts?badLines=skip"
    assert (await add(service, path, "number\n1\n", status=400))["message"] == ["line 2: number must be at least 3 characters long"]
    assert "at least one contact" in (await add(service, path, "number\n", status=400))["message"][0]
    assert (await add(service, f"{path}x", CSV, status=400))["message"] == ["badLines must be one of reject, skip"]


async def test_of_very_many_bad_lines_a_hundred_are_told(service: Service) -> None:
    campaign = await service.create()
    answer = await add(service, f"/campaign/{campaign['id']}/contacts", "number\n" + "1\n" * 5_000, status=400)
    assert len(answer["message"]) == 101
    assert answer["message"][-1] == "5000 lines can not be taken in all"


async def test_a_campaign_is_created_with_a_csv_beside_it(service: Service, prefix: str) -> None:
    answer = await service.answer("POST", prefix, data=form(HEAD, CSV), status=201)
    assert answer["calls"] == {}
    assert answer["callsCounterScheduled"] == 2
    assert "customers" not in answer
    whole = await service.answer("GET", f"/campaign/{answer['id']}")
    assert [customer["number"] for customer in whole["customers"]] == ["+14155550201", "+14155550202"]
    skipped = await service.answer("POST", f"{prefix}?badLines=skip", data=form(HEAD, BAD), status=201)
    assert (skipped["callsCounterScheduled"], skipped["linesSkipped"]) == (2, 2)


@pytest.mark.parametrize(
    ("campaign", "text", "message"),
    [
        (None, CSV, "campaign is required as a part of the form"),
        (HEAD, None, "customers is required as a part of the form"),
        (HEAD | {"customers": []}, CSV, "property customers should not exist"),
        (HEAD | {"phoneNumberId": None}, CSV, "phoneNumberId is required, unless dialPlan is given"),
        (HEAD, BAD, "line 3: number must be at least 3 characters long"),
    ],
)
async def test_a_broken_form_is_refused_and_nothing_appended(
    service: Service, campaign: dict[str, Any] | None, text: str | None, message: str
) -> None:
    answer = await service.answer("POST", "/v2/campaign", data=form(campaign, text), status=400)
    assert message in answer["message"]
    assert service.log.appended == []


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"no part"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=campaign\r\n\r\n{"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n{}\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\n--y--\r\n--x--\r\n"),
        ("multipart/form-data; boundary=" + "x" * 100, b"--x--"),
    ],
)
async def test_a_form_that_can_not_be_read_is_400(service: Service, content_type: str, body: bytes) -> None:
    await service.answer("POST", "/campaign", data=body, status=400, headers={"Content-Type": content_type})


async def test_a_form_with_another_part_is_refused(service: Service) -> None:
    data = form(HEAD, CSV)
    data.add_field("more", "x")
    assert "and no other" in (await service.answer("POST", "/campaign", data=data, status=400))["message"][0]


async def test_bad_lines_count_towards_those_of_an_upload(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_ROWS_PER_UPLOAD", 3)
    campaign = await service.create()
    answer = await add(service, f"/campaign/{campaign['id']}/contacts?badLines=skip", BAD, status=400)
    assert answer["message"] == ["at most 3 lines are read at once, blank ones among them"]


@pytest.mark.parametrize("is_given_up", [True, False])
async def test_nothing_reads_an_upload_any_more_once_it_is_over_in_vain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_given_up: bool
) -> None:
    loop, begun = asyncio.get_running_loop(), asyncio.Event()
    ended: list[str] = []

    def endless(text: io.TextIOWrapper, _: int) -> Iterator[Contact]:
        loop.call_soon_threadsafe(begun.set)
        try:
            while True:
                text.read(1)
                yield Contact(b"{}")
        finally:
            ended.append("the reading")

    async def chunks() -> AsyncIterator[bytes]:
        yield CSV.encode()

    async def upload(seconds: float) -> None:
        async with uploads.Uploads(tmp_path, 1_000, seconds, UploadPlaces(1, 1.0)).csv(chunks(), skip_bad_lines=False):
            pass

    monkeypatch.setattr(uploads, "read_contacts", endless)
    uploading = asyncio.create_task(upload(60.0 if is_given_up else 0.05))
    await begun.wait()
    if is_given_up:
        uploading.cancel()
    with pytest.raises(asyncio.CancelledError if is_given_up else BodyTimeoutError):
        await uploading
    assert ended == ["the reading"]


@pytest.mark.parametrize("prefix_of_other", ["/campaign", "/v2/campaign"])
async def test_contacts_and_results_of_another_org_or_of_no_campaign_are_not_found(service: Service, prefix_of_other: str) -> None:
    campaign = await service.create()
    other = await service.key_of("org-2")
    for campaign_id, headers in ((campaign["id"], other), ("5f3b1d1a-0000-4000-8000-000000000000", {}), ("x", {})):
        path = f"{prefix_of_other}/{campaign_id}"
        await add(service, f"{path}/contacts", CSV, status=404, headers=headers)
        await service.answer("GET", f"{path}/results", status=404, headers=headers)


async def test_a_campaign_that_is_over_takes_no_contacts(service: Service) -> None:
    campaign = await service.create()
    await service.answer("PATCH", f"/campaign/{campaign['id']}", {"status": "ended"})
    answer = await add(service, f"/campaign/{campaign['id']}/contacts", CSV, status=400)
    assert answer["message"] == ["contacts can only be added until the campaign is over, it is ended"]


async def test_an_upload_in_many_parts_arrives_whole_and_in_order(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact_spool, "MAX_CONTACTS_PER_COMMAND", 7)
    numbers = [f"+1415{number:07d}" for number in range(50)]
    text = "number\n" + "\n".join(numbers)
    created = await service.answer("POST", "/campaign", data=form(HEAD, text), status=201)
    await add(service, f"/campaign/{created['id']}/contacts", text)
    parts = [command for command in service.log.appended if isinstance(command.data, commands.AddContacts)]
    assert len(parts) == 16
    whole = await service.answer("GET", f"/campaign/{created['id']}")
    assert [customer["number"] for customer in whole["customers"]] == numbers * 2


async def test_the_same_key_adds_once_and_another_body_under_it_is_refused(service: Service) -> None:
    campaign = await service.create(customers=[{"number": "+14155550100"}])
    path, key = f"/campaign/{campaign['id']}/contacts", {"Idempotency-Key": "k-1"}
    first = await add(service, path, CSV, headers=key)
    assert await add(service, path, CSV, headers=key) == first
    await add(service, path, CSV + "+14155550299,,\n", status=400, headers=key)
    assert (await service.answer("GET", f"/campaign/{campaign['id']}"))["callsCounterScheduled"] == 3


async def test_only_csv_in_utf_8_and_json_are_taken(service: Service) -> None:
    campaign = await service.create()
    path = f"/campaign/{campaign['id']}/contacts"
    await add(service, path, CSV, status=415, headers={"Content-Type": "text/plain"})
    await add(service, path, CSV, status=415, headers={"Content-Type": "text/csv; charset=latin-1"})


async def test_an_upload_that_is_too_large_is_refused(tmp_path: Path) -> None:
    async with running_service(tmp_path, max_upload_bytes=100) as service:
        campaign = await service.create()
        await add(service, f"/campaign/{campaign['id']}/contacts", "number\n" + "+14155550101\n" * 10, status=413)
        assert list((tmp_path / "uploads").iterdir()) == []


async def test_results_come_as_csv_that_a_spreadsheet_takes_for_text(service: Service, prefix: str) -> None:
    customers = [
        {"number": "+14155550100", "name": "=1+1", "externalId": "x-1", "assistantOverrides": {"variableValues": {"city": "Zürich"}}},
        {"number": "+14155550101"},
    ]
    campaign = await service.create(customers=customers)
    response = await service.ask("GET", f"{prefix}/{campaign['id']}/results")
    assert (response.status, response.content_type, response.charset) == (200, "text/csv", "utf-8")
    rows = list(csv.DictReader(io.StringIO(await response.text(), newline="")))
    assert [row["number"] for row in rows] == ["+14155550100", "+14155550101"]
    assert rows[0]["name"] == "'=1+1"
    assert (rows[0]["externalId"], rows[0]["variables"]) == ("x-1", '{"city":"Zürich"}')
    assert (rows[1]["status"], rows[1]["callStatus"], rows[1]["endedReason"]) == ("contact.pending", "scheduled", "")


@pytest.mark.parametrize("text", ['=HYPERLINK("http://x.example","a")', "+1+1", "-1+1", "@SUM(A1)", "\t=1+1", "\r=1+1", "\n=1+1"])
async def test_a_sip_uri_that_reads_as_a_formula_is_set_off_too(service: Service, text: str) -> None:
    campaign = await service.create(customers=[{"sipUri": text}, {"number": "+cafe", "numberE164CheckEnabled": False}])
    response = await service.ask("GET", f"/campaign/{campaign['id']}/results")
    rows = list(csv.DictReader(io.StringIO(await response.text(), newline="")))
    assert [row["number"] for row in rows] == [f"'{text}", "'+cafe"]


async def test_results_come_as_a_json_object_per_line(service: Service, prefix: str) -> None:
    campaign = await service.create(customers=2_500)
    response = await service.ask("GET", f"{prefix}/{campaign['id']}/results?format=ndjson")
    assert response.content_type == "application/x-ndjson"
    lines = [orjson.loads(line) for line in (await response.read()).splitlines()]
    assert len(lines) == 2_500
    assert lines[0] == {
        "id": next(iter(campaign["calls"])),
        "number": "+14155550000",
        "name": "Customer 0",
        "status": "contact.pending",
        "customer": {"number": "+14155550000", "name": "Customer 0"},
        "callStatus": "scheduled",
    }
    assert (await service.answer("GET", f"{prefix}/{campaign['id']}/results?format=x", status=400))["message"]


@pytest.mark.parametrize(("customers", "disk"), [(1, None), (60_000, 500_000), (2, 10)])
async def test_an_upload_that_the_disk_does_not_take_is_503_and_nothing_is_appended(
    tmp_path: Path, customers: int, disk: int | None
) -> None:
    async with running_service(tmp_path) as service:
        campaign = await service.create()
        before = len(service.log.appended)
        uploads = service.context.uploads
        uploads.directory = Path("/dev/null/uploads") if disk is None else tmp_path / "small"
        if disk is not None:
            uploads.directory.mkdir()
            resource.setrlimit(resource.RLIMIT_FSIZE, (disk, resource.RLIM_INFINITY))
        try:
            answer = await add(service, f"/campaign/{campaign['id']}/contacts", "number\n" + "+14155550101\n" * customers, status=503)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert answer["message"] == "the upload can not be stored now; nothing was accepted"
        assert len(service.log.appended) == before
