"""The scripts of one dashboard: starts them again, ends them, and says how they are."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Set as AbstractSet
from typing import Final

from msgspec import Struct

from arena_tui.broker.warnings import Warnings
from arena_tui.config import Config
from arena_tui.errors import UsageError
from arena_tui.services.scripts.output import Crash, Output
from arena_tui.services.scripts.process import ScriptProcess, ScriptState
from arena_tui.services.scripts.spec import ScriptSpec

_SHOWN: Final = 80
"""The last lines of a pane: as many as a tall screen has."""


class ScriptPane(Struct, frozen=True, kw_only=True):
    """A snapshot of one script, ready to render. Its texts are as the script wrote them.

    Attributes:
        number: Order of appearance; keeps the pane in its place.
        seconds: How long it has run.
        ending: `exited 1`, `killed by SIGSEGV`; None while it runs.
        crash: The exception it has failed with, if it printed one.
        lines: The last ones it printed; `count`: how many there were.
        has_run: Whether a run of another process has begun since it was started; its own, as far as
            is known.
    """

    number: int
    name: str
    state: ScriptState
    seconds: int
    ending: str | None
    crash: Crash | None
    lines: tuple[str, ...]
    count: int
    has_run: bool

    @property
    def key(self) -> str:
        """Names it among the runs, whose ids have no blanks."""
        return f"script {self.number}"


class _Script:
    """One script, which may be started again."""

    def __init__(self, number: int, spec: ScriptSpec, process: ScriptProcess) -> None:
        self.number = number
        self.spec = spec
        self.process = process
        self._before: AbstractSet[str] | None = None
        self._has_run = False
        self._known: tuple[object, ScriptPane] | None = None

    def begin_again(self, process: ScriptProcess) -> None:
        self.process, self._before, self._has_run = process, None, False

    def pane(self, foreign: AbstractSet[str]) -> ScriptPane:
        """How it is now; the same object as before while that is the same."""
        if self._before is None:
            self._before = foreign
        self._has_run = self._has_run or not foreign <= self._before
        process = self.process
        state, seconds = process.state, int(process.seconds)
        key = (process, process.output.version, state, seconds, self._has_run)
        if self._known is None or self._known[0] != key:
            self._known = key, ScriptPane(
                number=self.number, name=self.spec.name, state=state, seconds=seconds,
                ending=process.ending, crash=process.crash, has_run=self._has_run,
                lines=process.output.newest(_SHOWN), count=process.output.count,
            )  # fmt: skip
        return self._known[1]


class Scripts:
    """See the module. All of it on one event loop.

    Args:
        config: Of the dashboard, whose broker and store the scripts find in their environment.
    """

    def __init__(self, config: Config, warnings: Warnings) -> None:
        self._config = config
        self._warnings = warnings
        self._scripts: dict[int, _Script] = {}
        self._started = 0

    @property
    def running(self) -> int:
        """How many run."""
        return sum(each.process.state == "running" for each in self._scripts.values())

    async def start(self, spec: ScriptSpec) -> None:
        """Start it in a process of its own.

        Raises:
            UsageError: It cannot be started, or could not reach this dashboard.
        """
        process = await self._process(spec)
        self._started += 1
        self._scripts[self._started] = _Script(self._started, spec, process)

    async def start_again(self, number: int) -> None:
        """Start one again that has ended.

        Raises:
            UsageError: It still runs, is shown no longer, or cannot be started.
        """
        script = self._scripts.get(number)
        if script is None:
            raise UsageError("the script is gone: start it with n")
        if script.process.state == "running":
            raise UsageError(f"{script.spec.name} is still running")
        script.begin_again(await self._process(script.spec))

    def panes(self, foreign: AbstractSet[str] = frozenset()) -> tuple[ScriptPane, ...]:
        """A snapshot of each; `foreign` are the runs in sight that no game of this process is."""
        return tuple(each.pane(foreign) for each in self._scripts.values())

    def output(self, number: int) -> Output | None:
        """What one prints; None if it is shown no longer. Of one that was started again, only
        what it has printed since."""
        script = self._scripts.get(number)
        return None if script is None else script.process.output

    def clear(self) -> None:
        """Show those no longer that have ended."""
        self._scripts = {
            number: each for number, each in self._scripts.items()
            if each.process.state == "running"
        }  # fmt: skip

    async def aclose(self, within_s: float) -> None:
        """Ask those that run to end, and kill after that time what is left of them."""
        processes = [each.process for each in self._scripts.values()]
        await asyncio.to_thread(_end, [each for each in processes if each.state == "running"],
                                time.monotonic() + within_s)  # fmt: skip

    async def _process(self, spec: ScriptSpec) -> ScriptProcess:
        def failed(process: ScriptProcess) -> None:
            why = process.crash.exception if process.crash else process.ending
            self._warnings.add("script_failed", script=spec.name, why=why)

        environment = environment_of(self._config)
        return await asyncio.to_thread(ScriptProcess, spec, environment, failed)


def environment_of(config: Config) -> dict[str, str]:
    """The environment in which `connect()` finds the broker and the store of this process.

    Raises:
        UsageError: Both are in the memory of this process.
    """
    environment = {**os.environ, "ARENA_BROKER": config.broker.unmasked()}
    if config.db is not None and config.db != ":memory:":
        environment["ARENA_DB"] = os.path.realpath(config.db)
    elif config.broker.kind == "memory":
        raise UsageError(
            "a script runs in a process of its own, which reaches this one beside its store: give "
            "a file with --db, or a server with --broker"
        )
    return environment


def _end(processes: list[ScriptProcess], until: float) -> None:
    for each in processes:
        each.ask_to_end()
    for each in processes:
        each.end(until)
