"""Owns how overrides merge, those of a call over its campaign's, those of a copy over its source's."""

from collections.abc import Mapping
from typing import Any


def deep_merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Objects merge key by key at every depth, anything else above replaces what is below."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = deep_merged(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged
