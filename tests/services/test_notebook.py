"""A notebook: cells that share a connection, in a kernel whose loop is running all the time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.forking import published, stored

nbformat = pytest.importorskip("nbformat", reason="needs nbclient: pip install nbclient ipykernel")
nbclient = pytest.importorskip("nbclient", reason="needs nbclient: pip install nbclient ipykernel")
pytest.importorskip("ipykernel", reason="needs ipykernel: pip install nbclient ipykernel")

CELLS = [
    "import arena_tui\narena = arena_tui.connect()\nrun = arena.run('g', run_id='shared')",
    "run.turn(1)\nrun.action('e4')",
    "with arena_tui.connect() as other, other.run('g', run_id='plain') as plain:\n"
    "    plain.action('e4')",
    "async with arena_tui.connect() as other, other.run('g', run_id='async') as awaited:\n"
    "    await awaited.room()\n"
    "    awaited.action('e4')",
    "run.end()\narena.close()",
    "arena = arena_tui.connect()\nrun = arena.run('g', run_id='forgotten')\nrun.action('e4')",
]


@pytest.mark.parametrize("shared", [True, False], ids=["redis", "in process"])
def test_cells_record_everything_and_say_nothing(
    shared: bool, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "arena.duckdb"
    monkeypatch.setenv("ARENA_BROKER", redis_url if shared else "memory:")
    monkeypatch.setenv("ARENA_DB", str(path))
    monkeypatch.setenv("ARENA_CONFIG", str(tmp_path / "config.toml"))
    quiet = "import logging\nlogging.getLogger('arena_tui').setLevel(logging.ERROR)"
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in [quiet, *CELLS]]

    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()

    assert [cell.outputs for cell in notebook.cells] == [[]] * (len(CELLS) + 1)
    expected = {"async": 3, "forgotten": 3, "plain": 3, "shared": 4}
    if shared:
        counts = {run: kinds.total() for run, kinds in published(redis_url).items()}
    else:
        counts = {run: events for run, (events, _) in stored(path).items()}
    assert counts == expected
