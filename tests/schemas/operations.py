"""Owns what breaks a client between two versions of the OpenAPI document: operations, their parameters, bodies and answers."""

from collections.abc import Iterator
from typing import Any

from tests.schemas.compatibility import breaks

Document = dict[str, Any]


def broken_operations(old: Document, new: Document) -> list[str]:
    """One line for each break, each beginning with the operation."""
    return list(_broken(old, new))


def _broken(old: Document, new: Document) -> Iterator[str]:
    for path, operations in old["paths"].items():
        for method, operation in operations.items():
            name, later = f"{method.upper()} {path}", new["paths"].get(path, {}).get(method)
            if later is None:
                yield f"{name} is gone"
                continue
            yield from (f"{name} {problem}" for problem in _operation(operation, later, (old, new)))


def _operation(old: Any, new: Any, roots: tuple[Document, Document]) -> Iterator[str]:
    before, after = _parameters(old), _parameters(new)
    yield from (f"parameter {name} is gone" for name in before.keys() - after.keys())
    for name, parameter in after.items():
        if parameter["required"] and not before.get(name, {"required": False})["required"]:
            yield f"parameter {name} is newly required"
    for name in before.keys() & after.keys():
        yield from (f"parameter {name} {line}" for line in breaks(before[name]["schema"], after[name]["schema"], "command", roots))
    yield from _contents(old.get("requestBody", {}), new.get("requestBody", {}), "command", "request", roots)
    for status, response in old["responses"].items():
        if int(status) < 400 and status not in new["responses"]:
            yield f"no longer answers {status}"
        yield from _contents(response, new["responses"].get(status, response), "answer", status, roots)


def _parameters(operation: Any) -> dict[str, Any]:
    return {f"{parameter['in']} {parameter['name']}": parameter for parameter in operation.get("parameters", [])}


def _contents(old: Any, new: Any, kind: Any, where: str, roots: tuple[Document, Document]) -> Iterator[str]:
    for content_type, content in old.get("content", {}).items():
        later = new.get("content", {}).get(content_type)
        if later is None:
            yield f"{where}: {content_type} is gone"
        else:
            yield from (f"{where}: {line}" for line in breaks(content["schema"], later["schema"], kind, roots))
