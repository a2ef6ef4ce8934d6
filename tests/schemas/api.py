"""Owns how an answer of the API is held against a schema: the served document's, or the contract's."""

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

CONTRACT = json.loads((Path(__file__).parent / "contract/answers.json").read_text())
"""The answers' part of the contract's OpenAPI document, without its prose."""


def broken_by(answer: Any, component: str, document: dict[str, Any]) -> list[str]:
    """What in the answer is not as the document's component says, by path."""
    schema = {"$ref": f"#/components/schemas/{component}", "components": document["components"]}
    return _broken(answer, schema)


def broken_by_operation(answer: Any, document: dict[str, Any], method: str, path: str, status: int) -> list[str]:
    """The same for what an operation, by its path in the document, answers with this status."""
    responses = document["paths"][path][method.lower()]["responses"]
    if str(status) not in responses:
        return [f"{method} {path} does not tell of {status}"]
    schema = responses[str(status)]["content"]["application/json"]["schema"]
    return _broken(answer, schema | {"components": document["components"]})


def _broken(answer: Any, schema: dict[str, Any]) -> list[str]:
    validator = Draft202012Validator(schema)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(answer)]
