"""Tries out one game in a subprocess, so that a crash does not take the app down.

Run by path with the game as the only argument, or `-` and a serialised position on standard input.
Exits with 0 after some random moves, or with 1 and the reason on standard output if the game cannot
be played. Imports nothing of arena_tui.
"""

import contextlib
import importlib
import random
import resource
import sys
import time

POSITION = "-"
_MEMORY_MAX_BYTES = 2 * 1024**3
_MOVES_MAX = 400
_TIME_MAX_S = 2.0


def main(text: str) -> int:
    """Play up to 400 random moves, for at most two seconds; returns the exit code."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_MAX_BYTES, _MEMORY_MAX_BYTES))
    try:
        moves = _play(text)
    except RuntimeError as error:
        return _fail(str(error))
    except MemoryError:
        return _fail("with these parameters it takes too much memory: try other values")
    except (ValueError, IndexError):
        return _fail("with these parameters nobody can move: try other values")
    if moves == 0 and text != POSITION:
        return _fail("with these parameters it is over before it begins: try other values")
    return 0


def _play(text: str) -> int:
    pyspiel = importlib.import_module("pyspiel")
    if text == POSITION:
        serialized = sys.stdin.buffer.read().decode("utf-8", "replace")
        _, state = pyspiel.deserialize_game_and_state(serialized)
    else:
        state = pyspiel.load_game(text).new_initial_state()
    rng = random.Random(0)
    deadline, moves = time.monotonic() + _TIME_MAX_S, 0
    while not state.is_terminal() and moves < _MOVES_MAX and time.monotonic() < deadline:
        str(state)
        if state.is_chance_node():
            actions, weights = zip(*state.chance_outcomes(), strict=True)
            state.apply_action(rng.choices(actions, weights)[0])
        elif state.is_simultaneous_node():
            legal = [state.legal_actions(player) for player in range(state.num_players())]
            state.apply_actions([rng.choice(actions) if actions else 0 for actions in legal])
        else:
            state.apply_action(rng.choice(state.legal_actions()))
        moves += 1
    state.returns()
    return moves


def _fail(message: str) -> int:
    sys.stdout.write(f"{message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
