"""What another user of this machine sees; needs root, to become that user."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

OTHER_USER = """
import os, sys
from arena_tui.cli import doctor, doctor_store, events, main, runs, show, verify
from arena_tui.store import database
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sys.exit(main())
"""
"""Imports come first: Python itself may be out of that user's reach."""


@pytest.fixture
def by_another_user(tmp_path: Path) -> Path:
    """A folder that another user can reach."""
    if os.geteuid() != 0:
        pytest.skip("needs root to be another user")
    for each in (tmp_path, *tmp_path.parents):
        if not each.stat().st_mode & stat.S_IXOTH:
            each.chmod(0o755)
    return tmp_path


def as_other_user(*words: str, script: str = OTHER_USER) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HOME": "/nonexistent", "ARENA_CONFIG": "/nonexistent/config"}
    return subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, check=False,
        timeout=60, env=environment, cwd="/",
    )  # fmt: skip
