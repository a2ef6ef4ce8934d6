"""Owns the rules on the shape of a module, as functions from its name and syntax tree to what breaks them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

OURS = ("events", "projections", "services", "infra", "tests")
MAY_IMPORT = {
    "events": {"events"},
    "projections": {"projections", "events"},
    "services": {"services", "projections", "events"},
    "infra": {"infra", "services", "events"},
    "tests": set(OURS),
}
READ_OR_WRITE_THE_DATABASE = ("projections.store", "projections.queries")
# fmt: off
IMPURE_MODULES = frozenset({
    "aiofiles", "aiohttp", "aiokafka", "aiosqlite", "asyncio", "asyncpg", "concurrent", "faust", "glob", "httpx", "http",
    "io", "logging", "mode", "multiprocessing", "os", "pathlib", "random", "requests", "secrets", "select", "shutil",
    "signal", "socket", "sqlalchemy", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib",
})
# fmt: on
IMPURE_NAMES = frozenset({"open", "input", "print", "eval", "exec", "getenv", "uuid1", "uuid4", "urandom"})
CLOCK_READS = frozenset({"now", "utcnow", "today"})
NOT_ON_IMPORT = frozenset({"open", "print", "getenv", "run", "connect", "create_async_engine", "create_engine", "Application", "App"})


@dataclass(frozen=True, slots=True)
class Module:
    """A module by its dotted name; a package's `__init__` has the package's name."""

    name: str
    tree: ast.Module

    @property
    def root(self) -> str:
        return self.name.partition(".")[0]

    def imports(self) -> Iterator[tuple[str, str | None]]:
        """Each imported module's dotted name, and for a `from` import the name taken out of it."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, None) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((node.module or "", alias.name) for alias in node.names)


def is_pure(name: str) -> bool:
    """Whether the module belongs to the core that knows no I/O, clock, randomness or environment."""
    if is_in(name, "projections"):
        return not any(is_in(name, package) for package in READ_OR_WRITE_THE_DATABASE)
    return is_in(name, "events") or is_in(name, "services.engine.decider")


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def wrong_directions(module: Module) -> Iterator[str]:
    """Imports that point up or sideways; a relative import hides where it points, so it is wrong too."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield f"{module.name}:{node.lineno} imports relatively"
    for imported, taken in module.imports():
        root = imported.partition(".")[0]
        if root not in OURS:
            continue
        if root not in MAY_IMPORT[module.root]:
            yield f"{module.name} imports {imported}"
        target = imported if taken is None or imported.count(".") else f"{imported}.{taken}"
        if root == "services" and module.root in ("services", "infra") and not _is_own_or_shared(module.name, target):
            yield f"{module.name} imports {target}, which is another service's"


def _is_own_or_shared(name: str, target: str) -> bool:
    own = ".".join(name.split(".")[:2])
    return is_in(target, "services.runtime") or (is_in(own, "services") and own != "services" and is_in(target, own))


def impurities(module: Module) -> Iterator[str]:
    """What a pure module imports or calls that reads or changes the world."""
    for imported, taken in module.imports():
        root = imported.partition(".")[0]
        if root in IMPURE_MODULES or taken in IMPURE_NAMES:
            yield f"{module.name} imports {imported}{f'.{taken}' if taken else ''}"
        if root in OURS and not is_pure(imported) and imported not in ("services", "services.engine"):
            yield f"{module.name} imports {imported}, which is not pure"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and _called(node) in IMPURE_NAMES | CLOCK_READS:
            yield f"{module.name}:{node.lineno} calls {_called(node)}"


def work_on_import(module: Module) -> Iterator[str]:
    """Statements at module level that do more than define."""
    for node in module.tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            calls = (call for call in ast.walk(node) if isinstance(call, ast.Call))
            yield from (f"{module.name}:{node.lineno} calls {_called(call)} on import" for call in calls if _called(call) in NOT_ON_IMPORT)
            if any(isinstance(part, ast.Attribute) and part.attr == "environ" for part in ast.walk(node)):
                yield f"{module.name}:{node.lineno} reads the environment on import"
        elif not _only_defines(node):
            yield f"{module.name}:{node.lineno} does something on import: {ast.unparse(node).splitlines()[0]}"


def _only_defines(node: ast.stmt) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return isinstance(node, ast.If) and ("__name__" in ast.unparse(node.test) or "TYPE_CHECKING" in ast.unparse(node.test))


def _called(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def strings(module: Module) -> Iterator[tuple[int, str]]:
    """Every string of the module but docstrings, with its line."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
