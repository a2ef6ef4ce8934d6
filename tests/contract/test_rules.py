"""Every line of the contract is held by tests that name it; a rule without a test, or a test that is gone, is found here."""

import ast
from pathlib import Path

from tests.contract.rules import RULES

CONTRACT = (Path(__file__).parent / "campaign-api.md").read_text()


def names_of_tests() -> set[str]:
    found = set()
    for path in Path("tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found.add(node.name.removeprefix("test_"))
    return found


def test_the_rules_stand_in_the_order_of_the_contract_and_cover_it_to_its_end() -> None:
    words, start = " ".join(CONTRACT.split()), 0
    for begins_with, _ in RULES:
        at = words.find(begins_with, start)
        assert at >= start, f"the contract does not say, or not in this order: {begins_with}"
        start = at + len(begins_with)


def test_every_item_of_the_contract_begins_a_rule() -> None:
    items = [line for line in CONTRACT.splitlines() if line.startswith(("- ", "| ")) and not line.startswith("| |")]
    begun = [begins_with for begins_with, _ in RULES]
    assert [item for item in items if not any(item.startswith(words) for words in begun)] == []


def test_every_rule_names_tests_that_exist() -> None:
    known = names_of_tests()
    assert all(tests for _, tests in RULES)
    assert [name for _, tests in RULES for name in tests if name not in known] == []
