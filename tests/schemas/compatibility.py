"""Owns what breaks between two versions of a schema: a command must still be taken, an event still be read, old log and new."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["command", "event"]
Schema = dict[str, Any]

_ANNOTATIONS = frozenset({"$schema", "$defs", "title", "description", "examples"})
_AT_LEAST = ("minimum", "minLength", "minItems")
_AT_MOST = ("maximum", "maxLength", "maxItems")
_EXACTLY = ("pattern", "format", "default")
_UNDERSTOOD = _ANNOTATIONS | {"$ref", "type", "properties", "required", "items", "additionalProperties", "anyOf", "enum", "const"}
_UNDERSTOOD |= {*_AT_LEAST, *_AT_MOST, *_EXACTLY}


def breaks(old: Schema, new: Schema, kind: Kind) -> list[str]:
    """One line for each break, each beginning with the path of the field.

    Commands: whatever was taken must still be taken, and mean the same. Events: the log keeps the old ones for ever, and
    consumers of the old schema read the new ones, so that only fields that may be absent can be added.
    """
    return list(_Comparison(kind, old, new).compare(old, new, ""))


@dataclass(frozen=True, slots=True)
class _Comparison:
    kind: Kind
    old_root: Schema
    new_root: Schema

    def compare(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        old, new = _resolved(old, self.old_root), _resolved(new, self.new_root)
        for name in sorted((old.keys() | new.keys()) - _UNDERSTOOD):
            yield f"{path or '.'} has the keyword {name}, which can not be compared"
        if "anyOf" in old or "anyOf" in new:
            yield from self._alternatives(old, new, path)
            return
        if old.get("type") != new.get("type"):
            yield f"{path or '.'} was {old.get('type', 'anything')} and is {new.get('type', 'anything')}"
            return
        yield from self._values(old, new, path)
        yield from self._bounds(old, new, path)
        if "items" in old or "items" in new:
            yield from self.compare(old.get("items", {}), new.get("items", {}), f"{path}[]")
        if old.get("type") == "object":
            yield from self._fields(old, new, path)

    def _alternatives(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        olds, news = old.get("anyOf", [old]), new.get("anyOf", [new])
        for alternative in olds:
            problems = [list(self.compare(alternative, other, path)) for other in news]
            if all(problems):
                yield from min(problems, key=len)
        if self.kind == "event":
            for alternative in news:
                if all(list(self.compare(other, alternative, path)) for other in olds):
                    yield f"{path or '.'} may be something that it never was"
        if old.get("default") != new.get("default"):
            yield f"{path or '.'} has another default"

    def _values(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        before, after = _allowed(old), _allowed(new)
        if after is not None and (before is None or not before <= after):
            yield f"{path or '.'} is narrowed to {sorted(after)}"
        if self.kind == "event" and before is not None and (after is None or not after <= before):
            yield f"{path or '.'} is widened beyond {sorted(before)}"

    def _bounds(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        for name in (*_AT_LEAST, *_AT_MOST):
            before, after = old.get(name), new.get(name)
            if before == after:
                continue
            tighter = before is None or (after is not None and (after > before if name in _AT_LEAST else after < before))
            if self.kind == "event" or tighter:
                yield f"{path or '.'} had {name} {before} and has {after}"
        for name in _EXACTLY:
            before, after = old.get(name), new.get(name)
            loosened = after is None and name != "default" and self.kind == "command"
            if before != after and not loosened:
                yield f"{path or '.'} had {name} {before} and has {after}"

    def _fields(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in sorted(before.keys() - after.keys()):
            yield f"{path}.{name} is removed"
        for name in sorted(before.keys() & after.keys()):
            yield from self.compare(before[name], after[name], f"{path}.{name}")
        needed, had = set(new.get("required", [])), set(old.get("required", []))
        yield from (f"{path}.{name} is newly required" for name in sorted(needed - had))
        if self.kind == "event":
            yield from (f"{path}.{name} is no longer always there" for name in sorted((had - needed) & after.keys()))
        others, other = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if isinstance(others, dict) and isinstance(other, dict):
            yield from self.compare(others, other, f"{path}.*")
        elif others != other and not (self.kind == "command" and other is True):
            yield f"{path or '.'} takes other fields differently"


def _resolved(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target | {name: value for name, value in schema.items() if name != "$ref"}
    return schema


def _allowed(schema: Schema) -> set[str] | None:
    """The values that are allowed, as text; None where any is."""
    if "const" in schema:
        return {repr(schema["const"])}
    return {repr(value) for value in schema["enum"]} if "enum" in schema else None
