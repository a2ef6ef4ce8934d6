"""A form of a campaign and its contacts, however it is broken: 201, or a 4xx in the one shape of errors, through the real server."""

import asyncio
import gzip
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.api.service import LATER, Service, running_service
from tests.fuzzing.anything import any_json, broken_bytes, changed, encoded

_BOUNDARY = b"b-1"
_HEAD = {"name": "Spring", "assistantId": "a-1", "phoneNumberId": "p-1", "schedulePlan": LATER}
_NESTED = b"--inner\r\n\r\nx\r\n--inner--\r\n"
_CSV = b"number,name\r\n+14155550201,Ada\r\n+14155550202,Grace\r\n"

_HEADERS = st.sampled_from(
    [
        b"Content-Transfer-Encoding: base64",
        b"Content-Transfer-Encoding: quoted-printable",
        b"Content-Transfer-Encoding: 8bit",
        b"Content-Transfer-Encoding: nobody-knows-this",
        b"Content-Encoding: gzip",
        b"Content-Encoding: deflate",
        b"Content-Encoding: br",
        b"Content-Encoding: nobody-knows-this",
        b"Content-Length: 3",
        b"Content-Length: 1000000",
        b"Content-Length: -1",
        b"Content-Length: many",
        b"Content-Type: application/json; charset=nobody-knows-this",
        b"Content-Type: text/csv; charset=utf-16",
        b"Content-Type: multipart/mixed; boundary=inner",
        b"Content-Type: multipart/mixed",
        b"Content-Type: multipart/form-data; boundary=b-1",
        b"Content-Type: application/x-www-form-urlencoded",
        b"Content-Type: \xff\xfe",
        b"Content-Disposition: form-data",
        b"Content-Disposition: form-data; name*=utf-8''customers",
        b"Content-Disposition: form-data; name*=nobody''%ff",
        b'Content-Disposition: attachment; filename="\xe9"; name="customers"',
        b"Content-Disposition: ;;;=",
        b"X-Long: " + b"x" * 9_000,
        b"no header at all",
        b": empty",
        b"",
    ]
) | st.binary(max_size=30)
_NAMES = st.sampled_from([b"campaign", b"customers", b"customers", b"campaign", b"_charset_", b"", b"other"])
_CONTENTS = (
    changed(st.just(_HEAD)).map(encoded)
    | broken_bytes(st.just(_CSV))
    | st.sampled_from(
        [encoded(_HEAD), _CSV, gzip.compress(_CSV), gzip.compress(encoded(_HEAD))[:-4], b"--inner\r\n\r\nx\r\n--inner--\r\n", b""]
    )
    | any_json.map(encoded)
    | st.binary(max_size=40)
)
_TYPES = st.sampled_from(
    [
        b"multipart/form-data; boundary=b-1",
        b"multipart/form-data; boundary=b-1",
        b"multipart/form-data; boundary=b-1",
        b'multipart/form-data; boundary="b-1"; charset=utf-16',
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b"multipart/form-data; boundary=b-2",
        b"multipart/form-data; boundary=" + b"b" * 100,
        b"multipart/form-data; boundary=\xe9",
    ]
)


class Form(NamedTuple):
    """A request's body, and what it says of it."""

    content_type: bytes
    body: bytes
    is_chunked: bool


@st.composite
def _parts(draw: st.DrawFn) -> bytes:
    lines = []
    for name, content in draw(st.lists(st.tuples(_NAMES, _CONTENTS), max_size=2)) or [(b"campaign", encoded(_HEAD)), (b"customers", _CSV)]:
        headers = [b'Content-Disposition: form-data; name="%s"' % name, *draw(st.lists(_HEADERS, max_size=2))]
        lines += [b"--" + _BOUNDARY, *headers, b"", content]
    return b"\r\n".join([*lines, b"--" + _BOUNDARY + b"--", b""])


_FORMS = st.builds(Form, _TYPES, _parts() | broken_bytes(_parts()) | st.binary(max_size=80), st.booleans())

_LONG_CHARSET = Form(
    b"multipart/form-data; boundary=b-1",
    b'--b-1\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\n' + b"x" * 40 + b"\r\n--b-1--\r\n",
    is_chunked=False,
)


async def _post(service: Service, form: Form) -> tuple[int, Any]:
    """By hand, since no client would send this."""
    server = service.client.server
    reader, writer = await asyncio.open_connection(server.host, server.port)
    try:
        size, body = b"Content-Length: %d" % len(form.body), form.body
        if form.is_chunked:
            size, body = b"Transfer-Encoding: chunked", b"%x\r\n%s\r\n" % (len(body), body) * bool(body) + b"0\r\n\r\n"
        key = b"Authorization: " + service.headers["Authorization"].encode()
        content_type = b"Content-Type: " + form.content_type
        head = (b"POST /campaign HTTP/1.1", b"Host: x", b"Connection: close", key, content_type, size)
        writer.write(b"\r\n".join((*head, b"", body)))
        async with asyncio.timeout(30):
            answer = await reader.read()
    finally:
        writer.close()
    head_said, _, content = answer.partition(b"\r\n\r\n")
    return int(head_said.split()[1]), json.loads(content)


@pytest.mark.filterwarnings("ignore::aiohttp.BadContentDispositionHeader", "ignore::aiohttp.BadContentDispositionParam")
def test_a_broken_form_is_refused_in_the_one_shape(tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        running = AsyncExitStack()
        service = runner.run(running.enter_async_context(running_service(tmp_path)))

        @settings(max_examples=150, deadline=None)
        @given(_FORMS)
        @example(_LONG_CHARSET)
        def is_taken_or_refused(form: Form) -> None:
            status, answer = runner.run(_post(service, form))
            if status != 201:
                assert 400 <= status < 500, (status, answer)
                assert answer.keys() == {"message", "error", "statusCode"}
                assert answer["statusCode"] == status
                assert answer["message"]

        try:
            is_taken_or_refused()
        finally:
            runner.run(running.aclose())
