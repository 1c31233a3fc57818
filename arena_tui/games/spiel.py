"""A typed subset of pyspiel, and the loading of games that are safe to play.

Imports pyspiel on first use, never at import time. Knows nothing of runs or agents. pyspiel's C++
code trusts its caller: wrong parameters or an illegal action can crash the process, so a game with
parameters is first tried in a subprocess, and actions are checked to be legal before they apply.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import random
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Literal, Protocol

import msgspec

from arena_tui.errors import MissingExtraError, UsageError

CHANCE_PLAYER = -1
"""The player id pyspiel gives to chance."""

_PROBE_TIMEOUT_S = 15.0
_STATE_MAX_CHARS = 64_000
_PLAYER_PARAMETERS = ("players", "numPlayers", "num_players")
_KNOWN_SAFE = frozenset(
    {"go(board_size=9)", "hex(board_size=7)", "y(board_size=7)", "havannah(board_size=4)"}
)


class GameState(Protocol):
    """A position of a game, as pyspiel's `State`."""

    def get_game(self) -> SpielGame: ...
    def is_terminal(self) -> bool: ...
    def is_chance_node(self) -> bool: ...
    def is_simultaneous_node(self) -> bool: ...
    def current_player(self) -> int: ...
    def legal_actions(self, player: int = ...) -> list[int]: ...
    def action_to_string(self, player: int, action: int) -> str: ...
    def chance_outcomes(self) -> list[tuple[int, float]]: ...
    def apply_action(self, action: int) -> None: ...
    def apply_action_with_legality_check(self, action: int) -> None: ...
    def apply_actions_with_legality_checks(self, actions: Sequence[int]) -> None: ...
    def resample_from_infostate(self, player: int, draw: Callable[[], float]) -> GameState: ...
    def child(self, action: int) -> GameState: ...
    def clone(self) -> GameState: ...
    def rewards(self) -> list[float]: ...
    def returns(self) -> list[float]: ...


class GameKind(Protocol):
    """What pyspiel declares about a game, as its `GameType`."""

    short_name: str
    dynamics: object
    chance_mode: object
    information: object
    utility: object
    reward_model: object
    default_loadable: bool
    action_structs_only: bool
    parameter_specification: Mapping[str, object]


class SpielGame(Protocol):
    """The rules of a game, as pyspiel's `Game`."""

    def get_type(self) -> GameKind: ...
    def new_initial_state(self) -> GameState: ...
    def num_players(self) -> int: ...
    def get_parameters(self) -> dict[str, object]: ...
    def min_utility(self) -> float: ...
    def max_utility(self) -> float: ...


class GameFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The properties of a game that matter to agents."""

    name: str
    players: int
    order: Literal["sequential", "simultaneous"]
    perfect_information: bool
    deterministic: bool
    zero_sum: bool
    terminal_rewards: bool


class LoadedGame(msgspec.Struct, frozen=True, kw_only=True):
    """A game ready to play: `text` as the user wrote it, its rules, and its properties."""

    text: str
    rules: SpielGame
    facts: GameFacts


def load_pyspiel() -> ModuleType:
    """Import pyspiel.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module("pyspiel")
    except ImportError as error:
        raise MissingExtraError(
            'games need open_spiel: pip install "arena-tui[games]"; `synth` plays without it'
        ) from error


def load_game(text: str, seats: int = 0, seed: int = 0) -> LoadedGame:
    """Load the game named by a text such as `hex(board_size=7)`; it is safe to play.

    Args:
        text: Name and, in brackets, pyspiel's parameters.
        seats: Number of players wanted; 0 and 1 leave it to the game.
        seed: For the few games that sample chance outcomes themselves.

    Raises:
        UsageError: The game is unknown or cannot be played this way; the message says why.
        MissingExtraError: open_spiel is not installed.
    """
    pyspiel = load_pyspiel()
    name = text.partition("(")[0].strip()
    kinds: dict[str, GameKind] = {kind.short_name: kind for kind in pyspiel.registered_games()}
    if name not in kinds:
        raise UsageError(_unknown_game(name, kinds))
    if refusal := _refusal(kinds[name], "(" in text):
        raise UsageError(f"{name} cannot be played: {refusal}")
    full = text
    rules = _load(text)
    if seats > 1 and seats != rules.num_players():
        full = _with_parameter(text, _player_parameter(text, rules, seats), seats)
        rules = _load(full)
    if "rng_seed" in rules.get_parameters() and "rng_seed" not in full:
        rules = pyspiel.load_game(_with_parameter(full, "rng_seed", seed))
    return LoadedGame(text=text, rules=rules, facts=_facts(pyspiel, rules))


def sample_chance(state: GameState, rng: random.Random) -> int:
    """One outcome of a chance node, by their probabilities."""
    outcomes = state.chance_outcomes()
    return rng.choices(outcomes, [weight for _, weight in outcomes])[0][0]


def serialize(rules: SpielGame, state: GameState) -> str | None:
    """Serialise game and position for pyspiel; None if it cannot, or over 64,000 characters."""
    try:
        text = str(load_pyspiel().serialize_game_and_state(rules, state))
    except RuntimeError:
        return None
    return text if len(text) <= _STATE_MAX_CHARS else None


def _load(text: str) -> SpielGame:
    if "(" in text and text not in _KNOWN_SAFE and (problem := _probe(text)):
        raise UsageError(f"{text} cannot be played: {problem}")
    try:
        rules: SpielGame = load_pyspiel().load_game(text)
    except (RuntimeError, ValueError) as error:
        raise UsageError(f"{text} cannot be played: {_error_line(str(error))}") from None
    return rules


@functools.lru_cache(maxsize=256)
def _probe(text: str) -> str:
    """Play some moves of the game in a subprocess; return what went wrong, or ""."""
    command = [sys.executable, "-P", str(Path(__file__).with_name("probe.py")), text]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False,
                              timeout=_PROBE_TIMEOUT_S)  # fmt: skip
    except subprocess.TimeoutExpired:
        return "with these parameters it does not get under way: try other values"
    if done.returncode == 0:
        return ""
    return _error_line(done.stdout) or "these parameters crash open_spiel: try other values"


def _refusal(kind: GameKind, has_parameters: bool) -> str:
    """Why a game of this kind cannot be played here, or ""."""
    if kind.dynamics == load_pyspiel().GameType.Dynamics.MEAN_FIELD:
        return "it is a mean-field game, about populations: choose another game"
    if kind.action_structs_only:
        return "its actions cannot be listed: choose another game"
    if not kind.default_loadable and not has_parameters:
        wanted = ", ".join(kind.parameter_specification)
        return f"it needs parameters ({wanted}): write them in brackets after the name"
    return ""


def _unknown_game(name: str, names: Mapping[str, GameKind]) -> str:
    if not name:
        return "no game given: write its name, for example connect_four"
    near = difflib.get_close_matches(name, [*names, "synth"], n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "try connect_four, chess or hearts"
    return f"open_spiel has no game {name[:40]!r}: {hint}"


def _player_parameter(text: str, rules: SpielGame, seats: int) -> str:
    """Name of the game's parameter for the number of players."""
    players = rules.num_players()
    for name in _PLAYER_PARAMETERS:
        if name in rules.get_parameters() and f"{name}=" not in text:
            return name
    each = "1 agent" if players == 1 else f"{players} agents, or 1 that plays every seat"
    raise UsageError(f"{text} does not have {seats} players: give it {each}")


def _with_parameter(text: str, name: str, value: int) -> str:
    head, _, rest = text.partition("(")
    inner = rest.rstrip().removesuffix(")").strip()
    return f"{head}({inner}{',' if inner else ''}{name}={value})"


def _facts(pyspiel: ModuleType, rules: SpielGame) -> GameFacts:
    kind = rules.get_type()
    types = pyspiel.GameType
    sequential = kind.dynamics == types.Dynamics.SEQUENTIAL
    return GameFacts(
        name=kind.short_name,
        players=rules.num_players(),
        order="sequential" if sequential else "simultaneous",
        perfect_information=kind.information == types.Information.PERFECT_INFORMATION,
        deterministic=kind.chance_mode == types.ChanceMode.DETERMINISTIC,
        zero_sum=kind.utility == types.Utility.ZERO_SUM,
        terminal_rewards=kind.reward_model == types.RewardModel.TERMINAL,
    )


def _error_line(text: str) -> str:
    """The first line of pyspiel's message, without its source location."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")[:300]
    demand = re.sub(r"^/\S+\.cc:\d+ ", "", line)
    return line if demand == line else f"open_spiel demands {demand}: try other values"
