"""Restores a game of open_spiel before a turn: from its state, else by making its moves again.

A state comes from the store, where anybody may have written it: it is tried out in a subprocess.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from arena_tui.errors import UsageError
from arena_tui.games.boards import board_text
from arena_tui.games.position import Position, refuse
from arena_tui.games.specs import derive_seed
from arena_tui.games.spiel import (
    GameState,
    LoadedGame,
    action_name,
    load_game,
    load_state,
    sample_chance,
    turn_order,
)


def restore(position: Position) -> tuple[LoadedGame, GameState]:
    """The game and its state there, of nobody else's.

    Raises:
        UsageError: It cannot be restored, or is over there; the message says why.
        MissingExtraError: open_spiel is not installed.
    """
    if position.state is not None:
        try:
            game, state = load_state(position.game, position.state)
        except UsageError as error:
            refuse(str(error))
    else:
        game, state = _replayed(position)
    if state.is_terminal():
        raise UsageError(f"the game is over before turn {position.turn}: choose an earlier turn")
    return game, state


def _replayed(position: Position) -> tuple[LoadedGame, GameState]:
    """Make the moves again; chance is drawn from the seed, as it was when the game was played."""
    if position.seed is None or position.moves is None:
        refuse("its turns have no state, and its moves or its seed are not known: choose another")
    try:
        game = load_game(position.game, position.seats, derive_seed(position.seed, "rules"))
    except UsageError as error:
        refuse(f"its turns have no state, and {error}")
    state = game.rules.new_initial_state()
    order = turn_order(state, game.facts.players)
    if position.seats != len(order):
        refuse(f"its turns have no state, and {position.game} has {len(order)} players, not "
               f"{position.seats}: choose another")  # fmt: skip
    chance = random.Random(derive_seed(position.seed, "chance"))
    for turn, moves in enumerate(position.moves, start=1):
        _draw(state, chance)
        if not _move(state, [(order[seat], name) for seat, name in moves]):
            refuse(f"its turns have no state, and what was played in turn {turn} cannot be played "
                   "there: choose another")  # fmt: skip
    _draw(state, chance)
    if position.board and board_text(state) != position.board:
        refuse("its turns have no state, and its moves lead to another position: choose another")
    return game, state


def _draw(state: GameState, chance: random.Random) -> None:
    while state.is_chance_node():
        state.apply_action(sample_chance(state, chance))


def _move(state: GameState, moves: Sequence[tuple[int, str]]) -> bool:
    """Make one turn's moves, of these players; returns whether they are legal there."""
    players = dict(moves)
    if state.is_terminal() or len(players) != len(moves):
        return False
    chosen: dict[int, int] = {}
    for player, name in moves:
        legal = state.legal_actions(player)
        named = [action for action in legal if action_name(state, player, action) == name]
        if len(named) != 1:
            return False
        chosen[player] = named[0]
    if state.is_simultaneous_node():
        everyone = range(state.get_game().num_players())
        if any((player in chosen) != bool(state.legal_actions(player)) for player in everyone):
            return False
        state.apply_actions_with_legality_checks([chosen.get(player, 0) for player in everyone])
        return True
    if list(chosen) != [state.current_player()]:
        return False
    state.apply_action_with_legality_check(chosen[state.current_player()])
    return True
