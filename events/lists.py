"""Owns how a list is judged: block by block, and no further once more of it is wrong than is ever told.

pydantic gathers an error for every broken rule of every item before it says anything, and each takes some hundred bytes, where a wrong item
may take three: a body of a few megabytes would take gigabytes.
"""

from typing import Any

from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from events.validation import MAX_MESSAGES


def in_blocks(of: int) -> WrapValidator:
    """The annotation of a list whose items are judged so many at once; few for items that may have many errors each."""

    def judged(given: Any, judge: ValidatorFunctionWrapHandler) -> Any:
        if not isinstance(given, list) or len(given) <= of:
            return judge(given)
        taken: list[Any] = []
        errors = 0
        for start in range(0, len(given), of):
            try:
                taken += judge(given[start : start + of])
            except ValidationError as error:
                errors += error.error_count()
                if errors > MAX_MESSAGES:
                    # once more from the list's beginning, so that each error has its item's place
                    return judge(given[: start + of])
        return judge(given) if errors else taken

    return WrapValidator(judged)
