"""What proves who somebody is, is compared in constant time only: no `==` on a signature, a MAC, a token or a secret in the services."""

import ast
import re
from pathlib import Path

import pytest

_PROOFS = re.compile(r"(^|_|\.)(signature|signatures|hmac|mac|token|auth_token|secret|password|expected_signature)$")
_SERVICES = Path(__file__).parents[2] / "services"


def naive_comparisons(tree: ast.AST) -> list[int]:
    """The lines on which something named as a proof is compared by its content."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(isinstance(operator, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for operator in node.ops):
            sides = [node.left, *node.comparators]
            proofs = [side for side in sides if isinstance(side, ast.Name | ast.Attribute) and _PROOFS.search(ast.unparse(side))]
            found += [node.lineno] if proofs else []
    return found


def test_no_proof_is_compared_by_equality_in_any_service() -> None:
    paths = sorted(_SERVICES.rglob("*.py"))
    assert len(paths) > 50
    assert {str(path): lines for path in paths if (lines := naive_comparisons(ast.parse(path.read_text())))} == {}


@pytest.mark.parametrize("source", ["mac == right", "given.signature != right", "right == self._auth_token", "token in tokens"])
def test_a_naive_comparison_is_found(source: str) -> None:
    assert naive_comparisons(ast.parse(source)) == [1]


def test_every_callback_route_is_verified_by_a_comparison_in_constant_time() -> None:
    for name in ("runtime/callback_urls.py", "api/twilio_reports.py"):
        calls = [node for node in ast.walk(ast.parse((_SERVICES / name).read_text())) if isinstance(node, ast.Call)]
        assert any(ast.unparse(call.func) == "hmac.compare_digest" for call in calls), name
