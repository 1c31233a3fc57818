"""The layers: imports point left only, and each library stays in its place."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "arena_tui"
LEVELS = {
    "errors": 0, "broker_url": 1, "config": 1, "events": 1, "broker": 2, "producers": 3, "folds": 3,
    "store": 4, "games": 4, "consumers": 5, "services": 6, "tui": 7, "bench": 8, "cli": 9,
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
    "pyspiel": ("arena_tui/games/",),
}


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT.parent).as_posix()


def package_of(module: str) -> str | None:
    """`arena_tui.store.rows` -> `store`; None for the top itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LEVELS else None


def imports(path: Path) -> Iterator[str]:
    """Every module the file imports, wherever in it, for types or not."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)} imports relatively"
            yield str(node.module)
            if node.module == "arena_tui":
                yield from (f"arena_tui.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_point_left(path: Path) -> None:
    here = package_of(".".join(path.relative_to(ROOT.parent).with_suffix("").parts))
    if name_of(path) in LAZY:
        return
    assert here is not None, "a module outside all layers"

    for module in imports(path):
        there = package_of(module) if module.startswith("arena_tui.") else None
        if there is not None and there != here:
            assert LEVELS[there] <= LEVELS[here], module
            assert {here, there} not in APART, module


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_each_library_stays_in_its_place(path: Path) -> None:
    for module in imports(path):
        places = LIBRARIES.get(module.split(".")[0])
        assert places is None or name_of(path).startswith(places), module


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
        ("from arena_tui import connect, Run", {"duckdb", "textual", "rich", "pyspiel", "redis"}),
    ],
)
def test_an_import_pays_for_no_more_than_it_needs(statement: str, absent: set[str]) -> None:
    assert not loaded_by(statement) & absent


@pytest.mark.parametrize("package", [name for name, level in LEVELS.items() if level < 7])
def test_a_layer_loads_nothing_of_the_layers_right_of_it(package: str) -> None:
    names = [
        ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
        for path in modules()
        if name_of(path).startswith((f"arena_tui/{package}/", f"arena_tui/{package}."))
        and path.name != "__init__.py"
    ]
    if package == "games":
        pytest.importorskip("pyspiel")
    script = "".join(f"import {name}\n" for name in names)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{script}print(*sys.modules)"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip

    loaded = {package_of(name) for name in done.stdout.split() if name.startswith("arena_tui.")}

    assert all(LEVELS[each] <= LEVELS[package] for each in loaded if each)
