"""`demo`: the dashboard with a set of real games already playing."""

from __future__ import annotations

import argparse

from arena_tui.cli.arguments import Parser
from arena_tui.cli.watch import add_looks, show


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=demo, follow=[], consumers=[])
    add_looks(parser)


def demo(arguments: argparse.Namespace) -> int:
    from arena_tui.games.specs import demo_specs

    return show(arguments, demo_specs(), continuous=True)
