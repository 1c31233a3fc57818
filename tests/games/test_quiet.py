from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, sys
from arena_tui.games.quiet import quiet_fds

print("before")
with quiet_fds(sys.argv[1], stdout={stdout}):
    os.write(2, b"native error\\n")
    os.write(1, b"native output\\n")
    print("python output")
    print("python error", file=sys.stderr)
    os.system("echo child error >&2")
os.write(2, b"error after\\n")
print("after")
"""


def run(log: Path, *, stdout: bool) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SCRIPT.format(stdout=stdout), str(log)]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def test_errors_go_to_the_file_and_come_back_afterwards(tmp_path: Path):
    log = tmp_path / "log"
    log.write_text("kept\n")

    done = run(log, stdout=False)

    assert done.stderr == "error after\n"
    assert sorted(done.stdout.split("\n")) == [
        "", "after", "before", "native output", "python output",
    ]  # fmt: skip
    assert log.read_text() == "kept\nnative error\npython error\nchild error\n"


def test_output_goes_there_too_when_asked(tmp_path: Path):
    log = tmp_path / "log"

    done = run(log, stdout=True)

    assert done.stdout == "before\nafter\n"
    assert done.stderr == "error after\n"
    assert "native output\n" in log.read_text()
    assert "python output\n" in log.read_text()
