"""Owns what every model on the wire has in common: camelCase names, strict types, unknown fields refused, null as absent."""

from itertools import chain
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

VARIABLE_VALUES = "variableValues"


def without_nulls(value: Any) -> Any:
    """`value` without the keys whose value is null, at every depth but inside `variableValues` (contract, "Requests")."""
    if isinstance(value, dict):
        if len(value) == 1 and value.get(VARIABLE_VALUES) is not None:
            # as almost every contact's overrides are: a campaign may have a million
            return value
        return {k: v if k == VARIABLE_VALUES else without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


MAX_DEPTH = 200
"""How deep a command's data may be nested: what is encoded again must stay under the encoder's own limit of 254."""


def is_deeper_than(value: Any, most: int) -> bool:
    """Whether objects and arrays are nested more than `most` deep; looks level by level, so that depth itself does no harm."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(most + 1):
        children = chain.from_iterable(item.values() if isinstance(item, dict) else item for item in level)
        level = [child for child in children if isinstance(child, (dict, list))]
        if not level:
            return False
    return True


MAX_PROPERTIES = 100
"""More than any model has; what is beyond is not looked at one by one, as each unknown property is an error of its own."""


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Wire(BaseModel):
    """Base of everything that crosses a border.

    Strict by default: no coercion between JSON types, unknown fields refused. A reader of facts passes
    `extra="ignore"` to the validation call, so that fields added by a later release are passed over.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, strict=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if None in value.values():
            value = {k: v for k, v in value.items() if v is not None}
        if len(value) > MAX_PROPERTIES and cls.model_config.get("extra") == "forbid":
            context = {"most": MAX_PROPERTIES, "given": len(value)}
            raise PydanticCustomError("too_many_properties", "must hold at most {most} properties, {given} were given", context)
        return value

    def to_wire(self) -> dict[str, Any]:
        """The JSON object: camelCase names, fields without a value left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


AnyWire = TypeVar("AnyWire", bound=Wire)
_set = object.__setattr__


def made(model: type[AnyWire], values: dict[str, Any], given: set[str]) -> AnyWire:
    """The model of values that are known to be valid, `given` among them: `model_construct` at a fifth of its cost.

    `values` holds every field by its Python name, in the model's order; the model keeps both arguments.
    """
    instance = model.__new__(model)
    _set(instance, "__dict__", values)
    _set(instance, "__pydantic_fields_set__", given)
    _set(instance, "__pydantic_extra__", None)
    _set(instance, "__pydantic_private__", None)
    return instance


WholeNumber = Annotated[int, BeforeValidator(_whole)]
Opaque = Annotated[dict[str, Any], BeforeValidator(without_nulls)]
NonEmpty = Annotated[str, StringConstraints(min_length=1, max_length=1_000, pattern=r"^[^\x00-\x1f]+$")]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]
EndedReason = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
Attempt = Annotated[WholeNumber, Field(ge=1, le=1_000_000)]
