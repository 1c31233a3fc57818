"""Draws boards as plain text: pure functions from open_spiel's text to a readable one.

Knows nothing of runs or screens. The output has no colour and no character wider than one column.
`·` is an empty cell; rows and columns are labelled where actions refer to them. A game without a
drawing here keeps open_spiel's text, tidied.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from arena_tui.games import cards
from arena_tui.games.spiel import GameState

_BOARD_MAX_CHARS = 16_000
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_LONE_DOT = re.compile(r"(?<!\S)\.(?!\S)")
_EMPTY = str.maketrans({".": "·", "-": "·", "_": "·"})
_SUITS = str.maketrans({"♠": "S", "♥": "H", "♦": "D", "♣": "C"})
_CARD_FACE = re.compile("[\U0001f0a0-\U0001f0de]")
_CARD_RANKS = "?A23456789TJNQK?"

_SEATS = {
    "x o": "tic_tac_toe connect_four othello go hex backgammon mnk ultimate_tic_tac_toe dark_hex "
    "phantom_ttt phantom_go lines_of_action cursor_go amazons",
    "o x": "clobber",
    "b w": "breakthrough gomoku",
    "o +": "checkers",
    "black white": "chess crazyhouse dark_chess kriegspiel rbc antichess",
    "N E S W": "hearts spades euchre bridge",
}


def board_text(state: GameState) -> str:
    """The position as text for a pane; never empty."""
    return draw_board(state.get_game().get_type().short_name, str(state))


def draw_board(game: str, text: str) -> str:
    """Draw a position of the game from open_spiel's text of it."""
    try:
        board = _DRAWINGS.get(game, tidy)(text)
    except (ValueError, IndexError, KeyError):
        board = tidy(text)
    return board[:_BOARD_MAX_CHARS] or "(empty)"


def seat_names(game: str, players: int) -> list[str]:
    """Name the players as on the board, e.g. `x` and `o`, else by number; a lone player is ""."""
    for names, games in _SEATS.items():
        if game in games.split() and len(names.split()) == players:
            return names.split()
    return [f"p{player}" for player in range(players)] if players > 1 else [""]


def tidy(text: str) -> str:
    """Strip colours, blank edges and characters of ambiguous width."""
    text = _CARD_FACE.sub(_card_name, _ANSI.sub("", text).translate(_SUITS))
    lines = [_LONE_DOT.sub("·", line.expandtabs(4)).rstrip() for line in text.splitlines()]
    filled = [index for index, line in enumerate(lines) if line]
    return "\n".join(lines[filled[0] : filled[-1] + 1]) if filled else ""


def _card_name(face: re.Match[str]) -> str:
    suit, rank = divmod(ord(face.group()) - 0x1F0A0, 16)
    return "??" if rank == 0 else "SHDC"[suit] + _CARD_RANKS[rank]


def _grid(text: str) -> str:
    """Space out rows of one character per cell; other lines follow unchanged."""
    rows: list[str] = []
    notes: list[str] = []
    for line in tidy(text).splitlines():
        is_row = len(line) > 2 and not re.search(r"[\s:=]", line)
        (rows if is_row else notes).append(line)
    spaced = [" ".join(row).translate(_EMPTY) for row in rows]
    return "\n".join([*spaced, *(note for note in notes if note)])


def _dots(text: str) -> str:
    return tidy(text).replace(".", "·")


def _connect_four(text: str) -> str:
    board = _grid(text)
    columns = len(board.splitlines()[0].split())
    return f"{board}\n{' '.join(str(column % 10) for column in range(columns))}"


def _labelled_grid(text: str) -> str:
    """Rows that begin with their label, above a line of column letters."""
    lines = tidy(text).splitlines()
    last = next(index for index, line in enumerate(lines) if line.startswith(" "))
    letters = lines[last].strip()
    margin = max(len(line) for line in lines[:last]) - len(letters)
    rows = [
        f"{line[:margin]:>{margin}} {' '.join(line[margin:]).translate(_EMPTY)}"
        for line in lines[:last]
    ]
    notes = [note for note in lines[last + 1 :] if note]
    return "\n".join([*rows, " " * (margin + 1) + " ".join(letters), *notes])


def _chess(text: str) -> str:
    placement = text.split(maxsplit=1)[0]
    placement, _, pocket = placement.partition("[")
    rows = placement.split("/")
    lines = []
    for number, row in zip(range(len(rows), 0, -1), rows, strict=True):
        cells = re.sub(r"\d+", lambda count: "·" * int(count.group()), row)
        lines.append(f"{number} {' '.join(cells.replace('~', ''))}")
    lines.append("  " + " ".join("abcdefghijkl"[: len(lines[0].split()) - 1]))
    if pocket.strip("]-"):
        lines.append(f"in hand {' '.join(pocket.strip(']'))}")
    return "\n".join(lines)


def _shogi(text: str) -> str:
    placement, _, hand = text.split()[:3]
    lines = ["".join(f"{column:>2}" for column in range(9, 0, -1))]
    for label, row in zip("abcdefghi", placement.split("/"), strict=True):
        cells = re.sub(r"\d", lambda count: "·" * int(count.group()), row)
        tokens = re.findall(r"\+?\S", cells)
        lines.append("".join(f"{token:>2}" for token in tokens) + f" {label}")
    if hand != "-":
        lines.append(f"in hand {hand}")
    return "\n".join(lines)


def _othello(text: str) -> str:
    rows = re.findall(r"^(\d) (.*?) *\d *$", text, re.MULTILINE)
    lines = [f"{label} {cells.translate(_EMPTY)}" for label, cells in rows]
    black, white = (sum(cells.split().count(disc) for _, cells in rows) for disc in "xo")
    return "\n".join(["  a b c d e f g h", *lines, f"x {black}  o {white}"])


def _go(text: str) -> str:
    rows = re.findall(r"^ *(\d+) ([+XO#]+) *$", text, re.MULTILINE)
    rows = rows[: int(rows[0][0])]
    margin = len(rows[0][0])
    stones = str.maketrans({"+": "·", "X": "x", "O": "o"})
    lines = [f"{label:>{margin}} {' '.join(cells.translate(stones))}" for label, cells in rows]
    letters = "ABCDEFGHJKLMNOPQRST"[: len(rows[0][1])].lower()
    return "\n".join([*lines, " " * (margin + 1) + " ".join(letters)])


def _hex(text: str) -> str:
    rows = [line.split() for line in text.splitlines() if line.strip()]
    margin = len(str(len(rows)))
    letters = " ".join("abcdefghijklmnopqrstuvwxyz"[: len(rows[0])])
    lines = [" " * (margin + 1) + letters]
    for index, cells in enumerate(rows):
        label = f"{index + 1:>{margin}}"
        lines.append(f"{' ' * index}{label} {' '.join(cells).translate(_EMPTY)}")
    return "\n".join(lines)


def _ultimate(text: str) -> str:
    lines: list[str] = []
    rows = [line for line in text.splitlines() if re.fullmatch(r"\S{3} \S{3} \S{3} ?", line)]
    for index, row in enumerate(rows):
        if index in (3, 6):
            lines.append("──────┼───────┼──────")
        boards = (" ".join(cells).translate(_EMPTY) for cells in row.split())
        lines.append(" │ ".join(boards))
    return "\n".join(lines) or tidy(text)


def _tiles(text: str) -> str:
    """The framed grid of 2048."""
    rows = [line.split() for line in text.splitlines() if line.strip()]
    width = max(4, *(len(cell) for row in rows for cell in row))
    rules = [edge.join(["─" * width] * len(rows[0])) for edge in "┬┼┴"]
    between = f"\n├{rules[1]}┤\n"
    lines = [
        "│" + "│".join(f"{'' if cell == '0' else cell:^{width}}" for cell in row) + "│"
        for row in rows
    ]
    return f"┌{rules[0]}┐\n{between.join(lines)}\n└{rules[2]}┘"


def _backgammon(text: str) -> str:
    """Both halves with the bar between; a stack over five shows its height as a digit."""
    rows = re.findall(r"^\|(.{6})\|(.{6})\|$", text, re.MULTILINE)
    upper, lower = rows[:5], rows[-5:]
    lines = [_points(left, right, base=not index) for index, (left, right) in enumerate(upper)]
    lines.append(f"{'':11} │")
    lines += [_points(left, right, base=index == 4) for index, (left, right) in enumerate(lower)]
    fields = dict(re.findall(r"^(Dice|Bar|Scores, X): ?(.*?) *$", text, re.MULTILINE))
    off_x, _, off_o = fields["Scores, X"].partition(", O: ")
    dice = " ".join(fields["Dice"]) or "-"
    bar = fields["Bar"] or "-"
    lines.append(f"dice {dice}  bar {bar}  off x {off_x} o {off_o}")
    return "\n".join(lines)


def _points(left: str, right: str, *, base: bool) -> str:
    empty = {".": "·" if base else " ", " ": " "}
    halves = (" ".join(empty.get(point, point) for point in half) for half in (left, right))
    return " │ ".join(halves).rstrip()


_DRAWINGS: dict[str, Callable[[str], str]] = {
    **dict.fromkeys(
        ("tic_tac_toe", "phantom_ttt", "phantom_ttt_ir", "latent_ttt", "amazons", "mnk", "gomoku",
         "xiangqi", "snake", "cliff_walking", "catch", "markov_soccer", "laser_tag",
         "capture_the_flag", "pathfinding"), _grid),
    **dict.fromkeys(("breakthrough", "checkers", "clobber", "lines_of_action"), _labelled_grid),
    **dict.fromkeys(
        ("chess", "crazyhouse", "dark_chess", "kriegspiel", "rbc", "antichess"), _chess),
    **dict.fromkeys(("go", "phantom_go", "cursor_go"), _go),
    **dict.fromkeys(("hex", "dark_hex", "dark_hex_ir"), _hex),
    **dict.fromkeys(("hearts", "spades", "euchre"), cards.draw_hands),
    **dict.fromkeys(("liars_dice", "liars_dice_ir"), cards.draw_liars_dice),
    **dict.fromkeys(("y", "havannah"), _dots),
    "2048": _tiles,
    "backgammon": _backgammon,
    "connect_four": _connect_four,
    "kuhn_poker": cards.draw_kuhn,
    "leduc_poker": cards.draw_leduc,
    "othello": _othello,
    **dict.fromkeys(
        ("matrix_bos", "matrix_brps", "matrix_cd", "matrix_coordination", "matrix_mp", "matrix_pd",
         "matrix_rps", "matrix_rpsw", "matrix_sh", "matrix_shapleys_game"), cards.draw_matrix),
    "shogi": _shogi,
    "ultimate_tic_tac_toe": _ultimate,
}  # fmt: skip
