"""How the tests run: in how many processes, for how long at most, and how a signal ends them."""

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.accounts import FULL

_STDERR = pytest.StashKey[int]()
_FAULTS = Path(__file__).parent / "faults"
_FULL_LENGTH_S = 1_800
_STUCK_FACTOR = 2
_SWITCHED_OFF = [signal.SIGINT, signal.SIGHUP]
"""What a script's `&` and nohup make their commands ignore."""


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_STDERR] = os.dup(2)  # during a test, 2 is a file that is lost with the process
    # SIGTERM (timeout, a CI's cancel) ends tests as Ctrl-C does, so that no server outlives them.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Else each of a thousand programs that the tests start compiles the package anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two a core, since most tests wait for a process or a server; none where one would do.

    Files and tests named by hand run in pytest's own process, where `-s` prints and `--pdb` stops.
    New snapshots come from one process, and a server that was named serves one process only, since
    each test empties its database.
    """
    if config.getoption("update_snapshots") or os.environ.get("ARENA_TEST_REDIS_URL"):
        return 0
    if all(".py" in argument for argument in config.args):
        return 0
    return 2 * (os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """At full length, leave the fault tests the time they take."""
    for item in items:
        if FULL and item.path.is_relative_to(_FAULTS):
            item.add_marker(pytest.mark.timeout(_FULL_LENGTH_S))


@pytest.fixture(scope="session", autouse=True)
def _signals_reach_children() -> Iterator[None]:
    """Let children start with signals switched on, also where they are off for the tests.

    A child inherits that a signal is ignored, and our commands respect it; a handler, even one
    that does nothing, is not inherited.
    """
    ignored = [each for each in _SWITCHED_OFF if signal.getsignal(each) is signal.SIG_IGN]
    for each in ignored:
        signal.signal(each, lambda *_: None)
    yield
    for each in ignored:
        signal.signal(each, signal.SIG_IGN)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _end_when_stuck(item)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    _end_when_stuck(item)


def pytest_runtest_logfinish() -> None:
    faulthandler.cancel_dump_traceback_later()


def _end_when_stuck(item: pytest.Item) -> None:
    """End the process when the test's timeout has passed again, and it is still there.

    pytest-timeout raises in the main thread, once: whatever runs there just then may catch it,
    native code does not see it, and after a failure it no longer watches.
    """
    own, asked = item.get_closest_marker("timeout"), item.config.getoption("timeout")
    usual = item.config.getini("timeout") if asked is None else asked
    if timeout_s := float(own.args[0] if own else usual):
        faulthandler.dump_traceback_later(
            timeout_s * _STUCK_FACTOR, exit=True, file=item.config.stash[_STDERR]
        )
