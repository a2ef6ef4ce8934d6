"""Owns how an event of an older version is read: step by step, each upcaster turns one version's `data` into the next's."""

from collections.abc import Callable, Mapping
from typing import Any

Upcaster = tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]
"""The type that it makes, such as `CallEnded.v2`, and the function from the old `data` to the new."""

UPCASTERS: Mapping[str, Upcaster] = {}
"""By the old type, such as `CallEnded.v1`. A changed event adds its old type here and a frozen sample to the tests."""


def upcast(type_name: str, data: dict[str, Any], upcasters: Mapping[str, Upcaster]) -> tuple[str, dict[str, Any]]:
    """The newest type of the event and its `data` in that shape; as given where nothing older is known."""
    while type_name in upcasters:
        type_name, convert = upcasters[type_name]
        data = convert(data)
    return type_name, data
