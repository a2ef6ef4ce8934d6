"""Owns how a page of a list is answered: item by item, in a thread where it is large, and a few pages at once."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson
from aiohttp import web

T = TypeVar("T")

_AT_ONCE = 4
_LARGE_CHARACTERS = 1024 * 1024


class PageRoom(asyncio.Semaphore):
    """Is entered to read a page, which may be large, and left when the answer is made, not when it is sent; beyond so many others wait."""

    def __init__(self) -> None:
        super().__init__(_AT_ONCE)


async def page_response(
    items: Sequence[T], characters: Callable[[T], int], answer: Callable[[T], Any], whole: Callable[[list[orjson.Fragment]], Any]
) -> web.Response:
    """The answers to all items within the `whole`; no two of them are held as objects, which take ten times the room of their JSON."""

    def made() -> bytes:
        return orjson.dumps(whole([orjson.Fragment(orjson.dumps(answer(item))) for item in items]))

    is_large = sum(map(characters, items)) > _LARGE_CHARACTERS
    return web.Response(body=await asyncio.to_thread(made) if is_large else made(), content_type="application/json")
