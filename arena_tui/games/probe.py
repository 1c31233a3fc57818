"""Tries one game in a process of its own, which may crash instead of the app's.

Run by path with the game as the only argument: exits with 0 after some random moves, with 1 and a
line on standard output when the game refuses. Imports nothing of arena_tui.
"""

import contextlib
import importlib
import random
import resource
import sys
import time

_MEMORY_MAX_BYTES = 2 * 1024**3
_MOVES_MAX = 400
_TIME_MAX_S = 2.0


def main(text: str) -> int:
    """Play up to 400 random moves, or for two seconds."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_MAX_BYTES, _MEMORY_MAX_BYTES))
    try:
        moves = _play(text)
    except RuntimeError as error:
        return _complain(str(error))
    except MemoryError:
        return _complain("with these parameters it takes too much memory: try other values")
    except (ValueError, IndexError):
        return _complain("with these parameters nobody can move: try other values")
    if moves == 0:
        return _complain("with these parameters it is over before it begins: try other values")
    return 0


def _play(text: str) -> int:
    state = importlib.import_module("pyspiel").load_game(text).new_initial_state()
    draw = random.Random(0)
    end, moves = time.monotonic() + _TIME_MAX_S, 0
    while not state.is_terminal() and moves < _MOVES_MAX and time.monotonic() < end:
        str(state)
        if state.is_chance_node():
            actions, weights = zip(*state.chance_outcomes(), strict=True)
            state.apply_action(draw.choices(actions, weights)[0])
        elif state.is_simultaneous_node():
            legal = [state.legal_actions(player) for player in range(state.num_players())]
            state.apply_actions([draw.choice(actions) if actions else 0 for actions in legal])
        else:
            state.apply_action(draw.choice(state.legal_actions()))
        moves += 1
    state.returns()
    return moves


def _complain(message: str) -> int:
    sys.stdout.write(f"{message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
