"""Owns how the content of an HTTP answer is read: to its end, however many pieces it comes in, and no more than is bearable."""

import aiohttp


async def content_of(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """Nothing where there is more than `most_bytes`, since a part of it means nothing."""
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > most_bytes:
            return b""
        chunks.append(chunk)
    return b"".join(chunks)
