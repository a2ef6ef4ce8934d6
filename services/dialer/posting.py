"""Owns the one request that places a call: sent once, and what is surely known when no answer came."""

from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime

import aiohttp

from services.dialer.http_answers import content_of
from services.dialer.provider import Answer, NotPlaced, Unknown

_LARGEST_ANSWER_BYTES = 256 * 1024
_ABOUT_US = frozenset({401, 405})
_DOUBTFUL = frozenset({403, 404})


async def post_once(
    http: aiohttp.ClientSession,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp bounds the connecting and the whole apart
    read_answer: Callable[[int, bytes], Answer],
) -> Answer:
    """What the provider answered, by `read_answer` of its status and content unless the status alone says it.

    Redirects are not followed: what they lead to may place the call a second time.
    """
    try:
        async with http.post(url, data=body, headers=headers, timeout=timeout, allow_redirects=False) as response:
            content = await content_of(response, _LARGEST_ANSWER_BYTES)
            if response.status == 429:
                return NotPlaced("the provider answered 429", too_many=True, retry_after_seconds=_retry_after_seconds(response.headers))
            return read_answer(response.status, content)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
        return NotPlaced(f"the provider was not reached: {type(error).__name__}")
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return Unknown(f"no answer came: {type(error).__name__}")


def said_by_status(status: int) -> Answer | None:
    """What a status that neither takes nor refuses the call says of it; `None` where the call was refused.

    A 5xx may come from a proxy behind which the call was placed, whatever headers stand beside it: so it stays unknown.
    """
    if status in _DOUBTFUL:
        return NotPlaced(f"the provider answered {status}", doubtful=True)
    if status in _ABOUT_US or 300 <= status < 400:
        return NotPlaced(f"the provider answered {status}")
    if 400 <= status < 500 and status != 408:
        return None
    return Unknown(f"the provider answered {status}")


def _retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` (RFC 9110, 10.2.3); an instant is measured from the answer's own `Date`, since clocks differ."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, (parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("Date", ""))).total_seconds())
    except (ValueError, TypeError):
        return None
