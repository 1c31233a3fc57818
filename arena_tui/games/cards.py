"""Draws card, dice and matrix games from open_spiel's text. See `boards`."""

from __future__ import annotations

import re

_NOT_DEALT = -10000
_BETS = {"p": "pass", "b": "bet"}
_SEATS = "NESW"


def chance_text(game: str, text: str) -> str:
    """The outcome of a chance node, without open_spiel's wording around it."""
    text = re.sub(r"(?i)^chance outcome:? *(?:\d+ +)?|^player=-1 move=", "", text).strip()
    number = re.search(r"\d+$", text)
    if game == "kuhn_poker" and number:
        return f"dealt {_rank(int(number.group()))}"
    if game == "leduc_poker" and number:
        return f"dealt {_rank(int(number.group()) // 2)}"
    if text.isdigit():
        return f"outcome {text}"
    text = re.sub(r"\(roll: (\d+)\)", lambda roll: f"rolled {' '.join(roll[1])}", text)
    return text[1:-1] if text.startswith("(") and text.endswith(")") else text


def draw_kuhn(text: str) -> str:
    """`0 2 pb`: one card per player, then the bets."""
    words = text.split()
    bets = words.pop() if words and not words[-1].isdigit() else ""
    players = len(words)
    hands = [f"p{player}  {_rank(int(card))}" for player, card in enumerate(words)]
    pot = players + bets.count("b")
    return "\n".join([*hands, f"pot {pot}", " ".join(_BETS[bet] for bet in bets)]).rstrip()


def draw_leduc(text: str) -> str:
    """Public card, hands, money, and both rounds' bets."""
    cards_line = re.search(r"^Cards .*?: (.*)$", text, re.MULTILINE)
    money_line = re.search(r"^Money .*?: (.*)$", text, re.MULTILINE)
    pot = re.search(r"^Pot: (\d+)", text, re.MULTILINE)
    if not (cards_line and money_line and pot):
        raise ValueError(text)
    public, *hands = (int(card) for card in cards_line.group(1).split())
    money = money_line.group(1).split()
    lines = [f"public  {_leduc_card(public)}    pot {pot.group(1)}"]
    lines += [
        f"p{player}      {_leduc_card(card)}   {coins:>4}"
        for player, (card, coins) in enumerate(zip(hands, money, strict=True))
    ]
    for number, bets in re.findall(r"^Round (\d) sequence: (.*)$", text, re.MULTILINE):
        if bets.strip():
            lines.append(f"round {number}  {bets.strip().lower().replace(',', '')}")
    return "\n".join(lines)


def draw_liars_dice(text: str) -> str:
    """`1 6 1-2 2-1`: the dice, then the bids as quantity-face."""
    words = text.split()
    dice = [word for word in words if word.isdigit()]
    bids = [word for word in words if not word.isdigit()]
    half = max(1, len(dice) // 2)
    lines = [
        f"p{player}  {' '.join(dice[player * half : (player + 1) * half])}" for player in range(2)
    ]
    return "\n".join([*lines, f"bids {' '.join(bids) or '-'}"])


def draw_matrix(text: str) -> str:
    """The payoffs, with action names before the move and `[ ]` around the played cell after it."""
    table = [row.split() for row in text.partition("Utility matrix:")[2].splitlines()]
    table = [row for row in table if row]
    played = re.search(r"^History: (\d+), (\d+)", text, re.MULTILINE)
    if played:
        row, column = int(played.group(1)), int(played.group(2))
        table[row][column] = f"[{table[row][column]}]"
    else:
        rows, columns = (
            text.partition(f"{side} actions:")[2].partition("\n")[0].split()
            for side in ("Row", "Col")
        )
        table = [["", *columns], *([name, *row] for name, row in zip(rows, table, strict=True))]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = (
        "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        for row in table
    )
    return "\n".join(lines)


def draw_hands(text: str) -> str:
    """Four hands, one line each with the seat's score, and the trick on the table."""
    scores = _scores(text)
    width = max(len(score) for score in scores)
    lines = [
        f"{seat} {score:>{width}}  {hand}".rstrip()
        for seat, score, hand in zip(_SEATS, scores, _hands(text), strict=True)
    ]
    if trick := _last_trick(text):
        lines.append(f"trick  {trick}")
    elif direction := re.search(r"^Pass Direction: (.+)$", text, re.MULTILINE):
        lines.append(f"pass   {direction.group(1).lower().replace('no pass', 'none')}")
    return "\n".join(lines)


def _hands(text: str) -> list[str]:
    """Flatten the cross (north, west beside east, south) to one line per hand: N, E, S, W."""
    outer = re.findall(r"^ {8}([SHDC]) ?(\S*) *$", text, re.MULTILINE)
    inner = re.findall(r"^([SHDC]) (\S*) +([SHDC]) ?(\S*) *$", text, re.MULTILINE)
    if len(outer) != 8 or len(inner) != 4:
        raise ValueError(text)
    west = [(suit, ranks) for suit, ranks, _, _ in inner]
    east = [(suit, ranks) for _, _, suit, ranks in inner]
    hands = (outer[:4], east, outer[4:], west)
    return ["  ".join(f"{suit} {ranks}" for suit, ranks in hand if ranks) for hand in hands]


def _scores(text: str) -> list[str]:
    """Points by seat; in spades, tricks taken/tricks bid."""
    points = re.findall(r"^[NESW]: (-?\d+)$", text, re.MULTILINE)
    if len(points) == 4:
        return points
    rows = [row.split() for row in re.findall(r"^North +East.*\n(.*)$", text, re.MULTILINE)]
    bids, taken = (*rows, [], [])[:2]
    return [
        f"{taken[seat]}/{bids[seat]}"
        if len(taken) == 4 == len(bids)
        else "".join(bids[seat : seat + 1])
        for seat in range(4)
    ]


def _last_trick(text: str) -> str:
    """The newest row under `N  E  S  W  N  E  S`, a seat's name before each card."""
    rows = re.search(r"^N  E  S  W  N  E  S *\n((?:.*\S.*\n?)+)", text, re.MULTILINE)
    if not rows:
        return ""
    row = rows.group(1).rstrip("\n").splitlines()[-1]
    cards = [(column // 3, row[column : column + 3].strip()) for column in range(0, len(row), 3)]
    return "  ".join(f"{_SEATS[seat % 4]} {card}" for seat, card in cards if card)


def _rank(card: int) -> str:
    return "JQKA"[card] if 0 <= card < 4 else str(card + 1)


def _leduc_card(card: int) -> str:
    return "?" if card == _NOT_DEALT else _rank(card // 2)
