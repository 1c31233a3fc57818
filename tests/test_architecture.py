"""docs/ARCHITECTURE.md names files, classes and functions that exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")

TOKENS = re.findall(r"`([^`\n]+)`", TEXT)
FILE = re.compile(r"[\w/]+\.(?:py|lua)")
NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")

FILES = sorted({token for token in TOKENS if FILE.fullmatch(token)})
NAMED = sorted(
    pair
    for pair in set(re.findall(rf"`({FILE.pattern})`\s`({NAME.pattern})`", TEXT))
    if not FILE.fullmatch(pair[1])
)
"""A file and what it is said to have: `broker/ring.py` `RunLog.append`."""


def paths(name: str) -> list[Path]:
    """The files of that name: in full, or where that is none, without the folders before it."""
    for whole in (ROOT / "arena_tui" / name, ROOT / name):
        if whole.exists():
            return [whole]
    parts = Path(name).parts
    return [
        path
        for path in (ROOT / "arena_tui").rglob(f"*{Path(name).suffix}")
        if path.parts[-len(parts) :] == parts
    ]


def names_in(path: Path) -> Iterator[str]:
    """Functions and classes of a module, methods and attributes as `Class.name`."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=owner, body=body):
                yield owner
                for each in body:
                    match each:
                        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                            yield f"{owner}.{name}"
                        case ast.AnnAssign(target=ast.Name(id=name)):
                            yield f"{owner}.{name}"


def test_it_names_files_and_what_they_have() -> None:
    assert len(FILES) > 25
    assert len(NAMED) > 20


@pytest.mark.parametrize("name", FILES)
def test_the_file_exists_and_is_the_only_one_of_that_name(name: str) -> None:
    assert len(paths(name)) == 1


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_the_file_has_what_is_named(file: str, name: str) -> None:
    (path,) = paths(file)

    assert name in set(names_in(path))
