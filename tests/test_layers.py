"""The layers: imports point left only and never in a circle; each library stays in its place."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "arena_tui"
LEVELS = {
    "errors": 0, "settings": 1, "locked": 1, "broker_url": 1, "unix_socket": 1,
    "config": 1, "events": 1, "codec": 1, "broker": 2, "producers": 3, "folds": 3,
    "store": 4, "games": 4,
    "consumers": 5, "services": 6, "consumer": 7, "tui": 7, "bench": 8, "cli": 9,
}  # fmt: skip
"""Modules may import from lower levels, and from their own package."""

APART = [{"store", "games"}, {"producers", "folds"}, {"producers", "store"}, {"games", "folds"}]
"""Packages of one level that do not know each other."""

LAZY = {"arena_tui/__init__.py", "arena_tui/__main__.py"}
"""The way in: names what is to the right of it, and imports it when it is used."""

LIBRARIES = {
    "textual": ("arena_tui/tui/", "arena_tui/bench/"),
    "rich": ("arena_tui/tui/", "arena_tui/cli/", "arena_tui/bench/"),
    "redis": ("arena_tui/broker/redis/", "arena_tui/bench/"),
    "duckdb": ("arena_tui/store/", "arena_tui/bench/"),
    "nanoarrow": ("arena_tui/store/",),
    "genai_prices": ("arena_tui/services/prices.py",),
    "openskill": ("arena_tui/folds/openskills.py",),
    "pyspiel": ("arena_tui/games/",),
    "starlette": ("arena_tui/services/http/", "arena_tui/bench/"),
    "prometheus_client": ("arena_tui/services/metrics/",),
    "textual_serve": ("arena_tui/cli/web.py",),
    "aiohttp": ("arena_tui/cli/web.py",),
    "uvicorn": ("arena_tui/services/http/", "arena_tui/bench/"),
}


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT.parent).as_posix()


def module_of(path: Path) -> str:
    """`arena_tui/store/rows.py` -> `arena_tui.store.rows`; a package's is that of its folder."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_of(module: str) -> str | None:
    """`arena_tui.store.rows` -> `store`; None for the top itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LEVELS else None


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything the file imports, wherever in it, for types or not.

    A name imported from a module comes as `module.name`, which may itself be a module.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def imports_within() -> dict[str, set[str]]:
    """The modules that each module imports, among those of this package."""
    known = {module_of(path) for path in modules()}

    def nearest(name: str) -> str:
        return name if name in known else name.rpartition(".")[0]

    return {
        module_of(path): {nearest(name) for _, name in imports(path)} & known for path in modules()
    }


def cycles(graph: dict[str, set[str]]) -> Iterator[str]:
    """Circles of imports; without one import of each of them there is none."""
    graph = {module: set(imported) for module, imported in graph.items()}
    while True:
        try:
            return TopologicalSorter(graph).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1]  # each is imported by the one after it
            graph[circle[1]].remove(circle[0])
            yield " -> ".join(reversed(circle))


def may_import(package: str, other: str) -> bool:
    return LEVELS[other] <= LEVELS[package] and {package, other} not in APART


def listed(offences: Iterable[str]) -> str:
    return "\n".join(["", *sorted(offences)])


def test_imports_point_left() -> None:
    offences = []
    for path in modules():
        here = package_of(module_of(path))
        if name_of(path) in LAZY:
            continue
        if here is None:
            offences.append(f"{name_of(path)}: a module outside all layers")
            continue
        for line, module in imports(path):
            there = package_of(module) if module.startswith("arena_tui.") else None
            if module.startswith("."):
                offences.append(f"{name_of(path)}:{line}: imports relatively")
            elif there not in {None, here} and not may_import(here, there):
                offences.append(f"{name_of(path)}:{line}: {here} imports {module}")

    assert not offences, listed(offences)


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Not within a package, not for types alone, and not in a function either."""
    found = list(cycles(imports_within()))

    assert not found, listed(found)


def test_each_library_stays_in_its_place() -> None:
    offences = [
        f"{name_of(path)}:{line}: imports {module}"
        for path in modules()
        for line, module in imports(path)
        if not name_of(path).startswith(LIBRARIES.get(module.split(".")[0], ("",)))
    ]

    assert not offences, listed(offences)


def loaded_by(statement: str) -> set[str]:
    """The top-level names in `sys.modules` after the statement, in an interpreter of its own."""
    script = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return {module.split(".")[0] for module in done.stdout.split()}


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import arena_tui", {"msgspec", "duckdb", "textual", "rich", "asyncio"}),
        ("import arena_tui.cli", {"msgspec", "duckdb", "textual", "pyspiel", "asyncio"}),
        ("import arena_tui.producers.sink", {"duckdb", "textual", "rich", "pyspiel", "redis"}),
        ("import arena_tui.store.replay", {"textual", "rich", "pyspiel", "redis"}),
        ("import arena_tui.services.connect", {"duckdb", "textual", "rich", "pyspiel", "redis"}),
        ("import arena_tui.services.runtime", {"duckdb", "textual", "rich", "pyspiel", "redis"}),
        (
            "import arena_tui.services.session",
            {"duckdb", "textual", "rich", "pyspiel", "redis", "genai_prices", "pydantic"},
        ),
        ("import arena_tui.tui.app", {"duckdb", "nanoarrow", "pyspiel", "redis", "pydantic"}),
        ("import arena_tui.services.prices", {"genai_prices", "pydantic", "httpx2"}),
        ("import arena_tui.services.stored", {"textual", "genai_prices", "pydantic"}),
        ("from arena_tui import connect, Run", {"duckdb", "textual", "rich", "pyspiel", "redis"}),
    ],
)
def test_an_import_pays_for_no_more_than_it_needs(statement: str, absent: set[str]) -> None:
    assert not loaded_by(statement) & absent


@pytest.mark.parametrize("package", [name for name, level in LEVELS.items() if level < 7])
def test_a_layer_loads_nothing_of_the_layers_right_of_it(package: str) -> None:
    names = [each for each in map(module_of, modules()) if package_of(each) == package]
    if package == "games":
        pytest.importorskip("pyspiel")
    script = "".join(f"import {name}\n" for name in names)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{script}print(*sys.modules)"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip

    loaded = {package_of(name) for name in done.stdout.split() if name.startswith("arena_tui.")}

    assert all(LEVELS[each] <= LEVELS[package] for each in loaded if each)
