"""Packages with consumers, as an installer leaves them: a module with its entry points."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from arena_tui.consumers.entry_points import GROUP

Declare: TypeAlias = Callable[..., str]

WITNESS = """
from arena_tui.consumer import SimpleConsumer

GOT = []

class Factory(SimpleConsumer):
    name = "witness"

    async def process(self, batch):
        GOT.extend((each.run_id, each.first_seq, each.last_seq) for each in batch)
"""
"""A consumer that notes in `GOT` what it was handed, all in one process."""


def put_package(folder: Path, consumer: str, source: str, package: str = "") -> str:
    """Write a package whose `Factory` is the entry point of that name; returns its module's."""
    package = package or consumer
    module = f"{package.replace('-', '_')}_{folder.name.replace('-', '_')}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(source)
    data = folder / f"{module}-1.5.dist-info"
    data.mkdir(exist_ok=True)
    (data / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.5\n")
    (data / "entry_points.txt").write_text(f"[{GROUP}]\n{consumer} = {module}:Factory\n")
    return module


@pytest.fixture
def declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Declare]:
    """Puts a package where this process finds it, and consumers' folders into the test's own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    folder = tmp_path / f"site-{tmp_path.name}"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    modules: list[str] = []

    def put(consumer: str, source: str, package: str = "") -> str:
        modules.append(put_package(folder, consumer, source, package))
        return modules[-1]

    yield put
    for module in modules:
        sys.modules.pop(module, None)
