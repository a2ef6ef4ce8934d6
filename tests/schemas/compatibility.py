"""Owns what breaks between two versions of a schema: what was taken must be taken still, what was read must be readable still."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["command", "event", "answer"]
Schema = dict[str, Any]

_ANNOTATIONS = frozenset({"$schema", "$defs", "title", "description", "examples"})
_AT_LEAST = ("minimum", "minLength", "minItems")
_AT_MOST = ("maximum", "maxLength", "maxItems")
_FORMS = ("pattern", "format")
_UNDERSTOOD = _ANNOTATIONS | {"$ref", "type", "properties", "required", "items", "additionalProperties", "anyOf", "enum", "const"}
_UNDERSTOOD |= {*_AT_LEAST, *_AT_MOST, *_FORMS, "default"}


def breaks(old: Schema, new: Schema, kind: Kind, roots: tuple[Schema, Schema] | None = None) -> list[str]:
    """One line for each break, each beginning with the path of the field. References are looked up in `roots`, the old and the new.

    A command that was taken must still be taken, and mean the same. An answer must be readable by who knows the old
    schema. An event must be both, since the log keeps the old ones for ever: only fields that may be absent can be added.
    """
    old_root, new_root = roots or (old, new)
    return list(_Comparison(kind != "answer", kind != "command", old_root, new_root).compare(old, new, ""))


@dataclass(frozen=True, slots=True)
class _Comparison:
    """`takes_old`: whoever goes by the new schema gets what was made by the old one; `gives_new`: the other way round."""

    takes_old: bool
    gives_new: bool
    old_root: Schema
    new_root: Schema

    def compare(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        old, new = _resolved(old, self.old_root), _resolved(new, self.new_root)
        for name in sorted((old.keys() | new.keys()) - _UNDERSTOOD):
            yield f"{path or '.'} has the keyword {name}, which can not be compared"
        if old.get("default") != new.get("default"):
            yield f"{path or '.'} has another default"
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
        found = [[list(self.compare(before, after, path)) for after in news] for before in olds]
        if self.takes_old:
            yield from (min(problems, key=len)[0] for problems in found if all(problems))
        if self.gives_new:
            for problems in zip(*found, strict=True):
                if all(problems):
                    yield f"{path or '.'} may be something that it never was: {min(problems, key=len)[0]}"

    def _values(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        before, after = _allowed(old), _allowed(new)
        if self.takes_old and after is not None and (before is None or not before <= after):
            yield f"{path or '.'} is narrowed to {sorted(after)}"
        if self.gives_new and before is not None and (after is None or not after <= before):
            yield f"{path or '.'} is widened beyond {sorted(before)}"

    def _bounds(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        for name in (*_AT_LEAST, *_AT_MOST, *_FORMS):
            before, after = old.get(name), new.get(name)
            if before == after:
                continue
            is_tighter = before is None or (after is not None and _is_tighter(name, before, after))
            is_looser = after is None or (before is not None and (name in _FORMS or not is_tighter))
            if (self.takes_old and is_tighter) or (self.gives_new and is_looser):
                yield f"{path or '.'} had {name} {before} and has {after}"

    def _fields(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in sorted(before.keys() - after.keys()):
            yield f"{path}.{name} is removed"
        for name in sorted(before.keys() & after.keys()):
            yield from self.compare(before[name], after[name], f"{path}.{name}")
        needed, had = set(new.get("required", [])), set(old.get("required", []))
        if self.takes_old:
            yield from (f"{path}.{name} is newly required" for name in sorted(needed - had))
        if self.gives_new:
            yield from (f"{path}.{name} is no longer always there" for name in sorted((had - needed) & after.keys()))
        others, other = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if isinstance(others, dict) and isinstance(other, dict):
            yield from self.compare(others, other, f"{path}.*")
        elif others != other and not (other is True and not self.gives_new) and not (others is True and not self.takes_old):
            yield f"{path or '.'} takes other fields differently"


def _is_tighter(name: str, before: Any, after: Any) -> bool:
    if name in _FORMS:
        return True
    return bool(after > before if name in _AT_LEAST else after < before)


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
