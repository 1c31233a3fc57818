"""Sizes, and what belongs to whom: what STYLE asks for and a program can see."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINES_MAX = 350
METHODS_MAX = 20

PRIVATE = re.compile(r"_[A-Za-z]\w*")
PUBLIC_ALL_THE_SAME = {"_exit", "_asdict", "_fields", "_make", "_replace"}
"""`os._exit`, and what named tuples offer."""

PATCHES = {"delattr", "getattr", "hasattr", "setattr"}
WAITING = ROOT / "tests" / "waiting.py"


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT).as_posix()}:{line}"


def nodes(path: Path) -> Iterator[tuple[int, ast.AST]]:
    """Everything in the file with its line, and in the scripts that it holds as text."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        line = getattr(node, "lineno", 1)
        yield line, node
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from ((line, each) for each in script(node.value))


def script(text: str) -> Iterator[ast.AST]:
    """What stands in a text that is a program; nothing of others."""
    if "import " in text:
        try:
            yield from ast.walk(ast.parse(text))
        except SyntaxError:
            return


def is_private(name: str) -> bool:
    return PRIVATE.fullmatch(name) is not None and name not in PUBLIC_ALL_THE_SAME


def private_names_of_others(node: ast.AST) -> Iterator[str]:
    """What the node touches that belongs to another object or module."""
    match node:
        case ast.Attribute(value=ast.Name(id="self" | "cls")):
            return
        case ast.Attribute(attr=name) if is_private(name):
            yield ast.unparse(node)
        case ast.ImportFrom(module=module, names=aliases):
            yield from (f"{module}.{each.name}" for each in aliases if is_private(each.name))
        case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called), args=arguments) if (
            called in PATCHES
        ):
            for each in arguments:
                match each:
                    case ast.Constant(value=str(name)) if is_private(name.rpartition(".")[2]):
                        yield name


def foreign_targets(path: Path) -> Iterator[tuple[int, str]]:
    """Attributes of other objects that a function assigns, unless it has just made the object by
    calling its class."""
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            assigned = [*ast.walk(function)]
            own = {"self", "cls"} | {name for each in assigned for name in made_by(each)}
            for node in assigned:
                match node:
                    case ast.Attribute(value=value, ctx=ast.Store()):
                        if not (isinstance(value, ast.Name) and value.id in own):
                            yield node.lineno, ast.unparse(node)


def made_by(node: ast.AST) -> Iterator[str]:
    """Names that the node assigns a new object to; classes are named with a capital."""
    match node:
        case ast.Assign(targets=targets, value=ast.Call(func=ast.Name(id=called))):
            if called.lstrip("_")[:1].isupper():
                yield from (each.id for each in targets if isinstance(each, ast.Name))


def listed(offences: Iterable[str]) -> str:
    return "\n".join(["", *offences])


def test_files_are_short() -> None:
    lengths = {path: len(path.read_bytes().splitlines()) for path in sources("arena_tui")}
    offences = [
        f"{where(path, LINES_MAX)}: {count} lines in all"
        for path, count in lengths.items()
        if count > LINES_MAX
    ]

    assert not offences, listed(offences)


def test_classes_have_few_methods() -> None:
    offences = []
    for path in sources("arena_tui"):
        for line, node in nodes(path):
            if isinstance(node, ast.ClassDef):
                kinds = ast.FunctionDef | ast.AsyncFunctionDef
                count = sum(isinstance(each, kinds) for each in node.body)
                if count > METHODS_MAX:
                    offences.append(f"{where(path, line)}: {node.name} has {count} methods")

    assert not offences, listed(offences)


def test_nobody_touches_what_is_private_to_another() -> None:
    offences = [
        f"{where(path, line)}: {name}"
        for path in [*sources("arena_tui"), *sources("tests")]
        for line, node in nodes(path)
        for name in private_names_of_others(node)
    ]

    assert not offences, listed(offences)


def test_nobody_assigns_the_attributes_of_another() -> None:
    """In the broker, where what is true is a matter of who may change it."""
    offences = [
        f"{where(path, line)}: {target} is assigned"
        for path in sources("arena_tui/broker")
        for line, target in foreign_targets(path)
    ]

    assert not offences, listed(offences)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("self.x = 1", []),
        ("other.x = 1", ["other.x"]),
        ("other.x += 1", ["other.x"]),
        ("a, other.x = 1, 2", ["other.x"]),
        ("self.other.x = 1", ["self.other.x"]),
        ("new = Thing(); new.x = 1", []),
        ("kept = self.new = Thing(); kept.x = 1", []),
        ("new = make(); new.x = 1", ["new.x"]),
    ],
)
def test_only_who_has_just_made_an_object_assigns_its_attributes(
    tmp_path: Path, body: str, found: list[str]
) -> None:
    path = tmp_path / "module.py"
    path.write_text(f"def function(self, other):\n    {body}\n")

    assert [target for _, target in foreign_targets(path)] == found


def test_tests_wait_in_one_place() -> None:
    """`sleep(0)` only lets others run; how long anything takes, nobody knows."""
    offences = []
    for path in sources("tests"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(attr="sleep"), args=[ast.Constant(value=0)]):
                    continue
                case ast.Call(func=ast.Attribute(attr="sleep") | ast.Name(id="sleep")):
                    if path != WAITING:
                        offences.append(f"{where(path, node.lineno)}: {ast.unparse(node)}")

    assert not offences, listed(offences)
