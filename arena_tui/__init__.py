"""Watch many game-playing agents live in a terminal, and scrub through any past run.

    with arena_tui.connect() as arena:
        with arena.run(game="my-game", agents=["gpt-x", "random"]) as run:
            run.turn(1, player="gpt-x")
            run.observation("what the agent sees")
            run.action("e4")

What is stored, for a notebook or a script:

    arena_tui.history().runs("game:my-game err>0")

`connect`, `Arena`, `Run`, `history`, `History`, and the event structs of `arena_tui.events`, are
the public API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arena_tui.producers.run import Run
    from arena_tui.services.connect import Arena, connect
    from arena_tui.services.stored_history import History, history

__all__ = ["Arena", "History", "Run", "__version__", "connect", "history"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import on first use: `arena-tui --help` must not pay for a broker."""
    if name in ("Arena", "connect"):
        from arena_tui.services import connect as arena

        return getattr(arena, name)
    if name in ("History", "history"):
        from arena_tui.services import stored_history

        return getattr(stored_history, name)
    if name == "Run":
        from arena_tui.producers.run import Run

        return Run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
