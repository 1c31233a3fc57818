"""The page about notebooks, tried: its blocks run one after the other, as cells do."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tests.cli.test_commands import PLAY, arena, surroundings

PAGE = Path(__file__).parents[2] / "docs" / "NOTEBOOK.md"
FOREIGN = ("polars", "pandas")


def cells() -> list[str]:
    """The blocks, but for those that need what is not installed."""
    found = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(found) == 5
    missing = [each for each in FOREIGN if find_spec(each) is None]
    return [cell for cell in found if not any(f"import {each}\n" in cell for each in missing)]


def test_its_cells_run(tmp_path: Path) -> None:
    assert arena(tmp_path, *PLAY).returncode == 0

    done = subprocess.run(
        [sys.executable, "-c", "\n".join(cells())],
        capture_output=True, text=True, check=False, timeout=60, env=surroundings(tmp_path),
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert len(re.findall(r"^\S+ finished \{", done.stdout, re.MULTILINE)) == 4
    assert re.search(r"^\d+ \S+ \S", done.stdout, re.MULTILINE)
