"""A chess engine as an agent: a subprocess that speaks UCI.

The protocol: https://www.shredderchess.com/chess-features/uci-universal-chess-interface.html.
Searches are limited by nodes, not by time, so that the same engine gives the same moves.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import threading
import time
from typing import Protocol, cast

from arena_tui.errors import ArenaError, UsageError
from arena_tui.games.protocol import AgentClosedError
from arena_tui.games.spiel import GameState, LoadedGame, load_pyspiel

_NODES = 20_000
_HANDSHAKE_TIMEOUT_S = 10.0
_MOVE_TIMEOUT_S = 120.0
_KILL_TIMEOUT_S = 1.0


class EngineError(ArenaError):
    """The engine exited, timed out, or answered with an illegal move."""

    exit_code = 3


class UciAgent:
    """Plays the engine's `bestmove` for `go nodes 20000`.

    Raises:
        UsageError: The game is not chess, or the program is missing or does not speak UCI.
    """

    def __init__(self, game: LoadedGame, path: str) -> None:
        if game.facts.name != "chess" or game.rules.get_parameters().get("chess960"):
            raise UsageError(
                f"uci does not apply to {game.text}: chess engines play chess: use mcts:200"
            )
        program = _find_program(path)
        self.spec = f"uci:{path}" if path else "uci"
        self.name = os.path.basename(program)
        self._closed = False
        self._engine = _Engine(program)
        try:
            self._engine.request("uci", "uciok", _HANDSHAKE_TIMEOUT_S)
            self._engine.send("ucinewgame")
            self._engine.request("isready", "readyok", _HANDSHAKE_TIMEOUT_S)
        except EngineError as error:
            self._engine.kill()
            raise UsageError(
                f"{program} does not speak UCI ({error}): give the path of a chess engine"
            ) from None

    def choose(self, state: GameState, player: int) -> int:
        try:
            self._engine.send(f"position fen {state}")
            answer = self._engine.request(f"go nodes {_NODES}", "bestmove", _MOVE_TIMEOUT_S)
        except EngineError:
            if self._closed:
                raise AgentClosedError(self.name) from None
            raise
        move = answer.split()[1] if len(answer.split()) > 1 else "nothing"
        try:
            return _actions_by_move(state)[move]
        except KeyError:
            raise EngineError(f"{self.name} answered {move}, which is not legal here") from None

    def close(self) -> None:
        self._closed = True
        self._engine.kill()


class ChessState(GameState, Protocol):
    """A position of chess."""

    def board(self) -> object: ...


class _Engine:
    """The engine's process and its line protocol."""

    def __init__(self, program: str) -> None:
        self._name = os.path.basename(program)
        try:
            self._process = subprocess.Popen(
                [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise UsageError(
                f"{program} cannot be started ({error.strerror}): give the path of a chess engine"
            ) from None
        self._buffer = b""
        self._request_lock = threading.Lock()

    def send(self, command: str) -> None:
        stdin = self._process.stdin
        try:
            if stdin is not None:
                stdin.write(command.encode() + b"\n")
                stdin.flush()
        except (OSError, ValueError):
            raise EngineError(f"{self._name} has ended") from None

    def request(self, command: str, answer: str, timeout_s: float) -> str:
        """Send the command; return the first line whose first word is `answer`."""
        deadline = time.monotonic() + timeout_s
        with self._request_lock:
            self.send(command)
            while True:
                line, newline, rest = self._buffer.partition(b"\n")
                if not newline:
                    self._buffer += self._read(deadline)
                    continue
                self._buffer = rest
                reply = line.decode("utf-8", "replace").strip()
                if reply.split(" ")[0] == answer:
                    return reply

    def kill(self) -> None:
        """Kill the process group; may be called from any thread, more than once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._request_lock.acquire(timeout=_KILL_TIMEOUT_S):
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            self._request_lock.release()

    def _read(self, deadline: float) -> bytes:
        stdout = self._process.stdout
        if stdout is None or stdout.closed:
            raise EngineError(f"{self._name} has ended")
        with selectors.DefaultSelector() as ready:
            ready.register(stdout, selectors.EVENT_READ)
            if not ready.select(max(0.0, deadline - time.monotonic())):
                raise EngineError(f"{self._name} does not answer")
        data = os.read(stdout.fileno(), 65536)
        if not data:
            raise EngineError(f"{self._name} has ended")
        return data


def _find_program(path: str) -> str:
    found = shutil.which(os.path.expanduser(path) if path else "stockfish")
    if found:
        return found
    if path:
        raise UsageError(f"no chess engine at {path}: give the path of a program that runs")
    raise UsageError("no stockfish on PATH: install it, or write uci:/path/to/engine")


def _actions_by_move(state: GameState) -> dict[str, int]:
    """Legal actions by their long algebraic notation, e.g. `e7e8q`."""
    pyspiel = load_pyspiel()
    board = cast("ChessState", state).board()
    return {
        pyspiel.chess.action_to_move(action, board).to_lan(): action
        for action in state.legal_actions()
    }
