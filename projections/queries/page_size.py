"""Owns how large a page by its number may be, which its caller asks for by items, and how it is refused."""

from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

MAX_LIST_CHARACTERS = 64 * 1024 * 1024
SURELY_SMALL = 32
"""So many items are never too large: each came in one record or two, of a MiB at most."""


class PageTooLargeError(Exception):
    """The page holds more than `MAX_LIST_CHARACTERS`: a smaller one has to be asked for. Not retriable."""


async def check_page(connection: AsyncConnection, page: Select[Any], count: int, *texts: ColumnElement[Any]) -> None:
    """Raise `PageTooLargeError` where the texts of the page's rows, of which there are `count` at most, are more than is read at once."""
    if count <= SURELY_SMALL:
        return
    size = sum((func.coalesce(func.length(text), 0) for text in texts[1:]), start=func.length(texts[0]))
    sized = page.with_only_columns(size.label("size")).subquery()
    characters = (await connection.execute(select(func.sum(sized.c.size)))).scalar_one() or 0
    if characters > MAX_LIST_CHARACTERS:
        mib = 1024 * 1024
        raise PageTooLargeError(f"limit must be smaller: the page holds {characters // mib} MiB, and may hold {MAX_LIST_CHARACTERS // mib}")
