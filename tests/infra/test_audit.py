"""What an audit of the dependencies says, and when it fails."""

import json
from typing import Any

import pytest

from infra.audit import verdict


def _output(*dependencies: dict[str, Any]) -> str:
    return json.dumps({"dependencies": list(dependencies), "fixes": []})


_SOUND = {"name": "aiohttp", "version": "3.14.0", "vulns": []}
_SKIPPED = {"name": "yarl", "skip_reason": "not found"}


def _vulnerable(*fixed_in: str) -> dict[str, Any]:
    return {"name": "yarl", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": list(fixed_in), "aliases": []}]}


@pytest.mark.parametrize("output", ["", "no JSON", "[]", _output(_SKIPPED)])
def test_where_no_source_answers_it_says_so_and_passes(output: str) -> None:
    assert verdict(output) == (0, ["no advisory source answers here: nothing was audited"])


def test_a_known_vulnerability_with_a_fix_fails_it() -> None:
    code, lines = verdict(_output(_SOUND, _vulnerable("1.1", "2.0")))
    assert code == 1
    assert lines == ["yarl 1.0: PYSEC-1, fixed in 1.1, 2.0", "2 of 2 dependencies audited, 1 known vulnerabilities"]


def test_one_without_a_fix_is_told_and_does_not() -> None:
    assert verdict(_output(_SOUND, _vulnerable())) == (
        0,
        ["yarl 1.0: PYSEC-1, fixed in no version yet", "2 of 2 dependencies audited, 1 known vulnerabilities"],
    )


def test_what_could_not_be_asked_about_is_counted() -> None:
    assert verdict(_output(_SOUND, _SKIPPED)) == (0, ["1 of 2 dependencies audited, 0 known vulnerabilities"])
