"""The shape of the code, held on every module, and on planted modules that break each rule."""

import ast
from pathlib import Path

import pytest

from events.topics import ALL
from tests.architecture.rules import OURS, Module, impurities, is_pure, strings, work_on_import, wrong_directions

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def modules() -> list[Module]:
    paths = (path for package in OURS for path in sorted((ROOT / package).rglob("*.py")))
    return [_module(path) for path in paths]


def _module(path: Path) -> Module:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return Module(".".join(parts[:-1] if parts[-1] == "__init__" else parts), ast.parse(path.read_text(), str(path)))


def planted(name: str, source: str) -> Module:
    return Module(name, ast.parse(source))


def test_imports_point_down_and_services_do_not_know_each_other(modules: list[Module]) -> None:
    assert [problem for module in modules for problem in wrong_directions(module)] == []


def test_events_folds_and_deciders_are_pure(modules: list[Module]) -> None:
    pure = [module for module in modules if is_pure(module.name)]
    assert len(pure) > 20
    assert [problem for module in pure for problem in impurities(module)] == []


def test_nothing_happens_on_import(modules: list[Module]) -> None:
    ours = [module for module in modules if module.root != "tests"]
    assert [problem for module in ours for problem in work_on_import(module)] == []


def test_every_module_says_in_its_first_sentence_what_it_owns(modules: list[Module]) -> None:
    assert [module.name for module in modules if not (ast.get_docstring(module.tree) or "").strip()] == []


def test_a_topic_is_named_in_one_place_only(modules: list[Module]) -> None:
    names = {topic.name for topic in ALL}
    elsewhere = [module for module in modules if module.root != "tests" and module.name != "events.topics"]
    assert [f"{module.name}:{line} names {text}" for module in elsewhere for line, text in strings(module) if text in names] == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("events.calls", "from projections.errors import FoldError"),
        ("projections.errors", "import services.runtime.clock"),
        ("services.api.app", "from services.engine.decider import decide"),
        ("services.api.app", "from services import engine"),
        ("services.runtime.kafka", "from services.api import app"),
        ("services.api.app", "from infra.stack import plan"),
        ("services.api.app", "from . import routes"),
        ("infra.stack.plan", "from services.api.keys import create"),
        ("services.api.app", "def later():\n    import tests.support.clock"),
    ],
)
def test_an_import_up_or_sideways_is_found(name: str, source: str) -> None:
    assert list(wrong_directions(planted(name, source)))


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("services.api.app", "from services.runtime.clock import Clock"),
        ("services.api.app", "from services.api import routes"),
        ("services.api.app", "from projections.store.port import ProjectionStore"),
        ("infra.stack.plan", "from services.runtime.settings import Settings"),
    ],
)
def test_an_import_down_or_within_is_fine(name: str, source: str) -> None:
    assert not list(wrong_directions(planted(name, source)))


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "import os.path",
        "from asyncio import sleep",
        "from uuid import uuid4",
        "from datetime import datetime\n\ndef f():\n    return datetime.now()",
        "import uuid\n\ndef f():\n    return uuid.uuid4()",
        "def f():\n    return open('x')",
        "from projections.store.tables import calls",
        "from services.runtime.clock import SystemClock",
        "from sqlalchemy import select",
    ],
)
def test_an_impurity_in_the_core_is_found(source: str) -> None:
    assert list(impurities(planted("services.engine.decider.decide", source)))


@pytest.mark.parametrize(
    "source",
    [
        "print('hello')",
        "for name in (1, 2):\n    pass",
        "app = web.Application()",
        "import os\nHOME = os.environ['HOME']",
        "main()",
        "try:\n    import uvloop\nexcept ImportError:\n    uvloop = None",
    ],
)
def test_work_on_import_is_found(source: str) -> None:
    assert list(work_on_import(planted("services.api.app", source)))
