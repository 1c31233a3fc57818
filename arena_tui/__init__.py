"""Watch many game-playing agents live in a terminal, and scrub through any past run."""

__version__ = "0.1.0"
