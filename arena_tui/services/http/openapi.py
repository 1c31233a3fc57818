"""The description of the HTTP API, in OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0)."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

from arena_tui.folds.conditions import EXAMPLE
from arena_tui.folds.totals import SUMMARY

_Node = Mapping[str, Any]

_RUN_ID: Final[_Node] = {
    "name": "run_id", "in": "path", "required": True, "schema": {"type": "string"},
    "description": "A run's id, or an unambiguous part of it.",
}  # fmt: skip
_LAST_ID: Final[_Node] = {
    "name": "Last-Event-ID", "in": "header", "schema": {"type": "string"},
    "description": "Go on after the event of this id.",
}  # fmt: skip


def _query(name: str, description: str, kind: str = "integer") -> _Node:
    return {"name": name, "in": "query", "description": description, "schema": {"type": kind}}


def _answer(description: str, media_type: str, schema: _Node) -> _Node:
    return {"description": description, "content": {media_type: {"schema": schema}}}


_ERROR: Final = _answer(
    "Refused: what is wrong, and what to do.", "application/json",
    {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
)  # fmt: skip
_RUN: Final[_Node] = {
    "type": "object",
    "properties": {name: {} for name in SUMMARY},
    "required": list(SUMMARY),
}
_STREAM: Final = _answer(
    "Server-sent events. The data of each is one flat JSON line, its name the kind of event, its "
    "id the place to go on after. `gap` stands for events that are lost, `end` for the end of the "
    "stream.", "text/event-stream", {"type": "string"},
)  # fmt: skip
_OVER: Final[_Node] = {"description": "All was sent before: do not come back."}


def _get(summary: str, parameters: list[_Node], **answers: _Node) -> _Node:
    responses = {status.lstrip("_"): answer for status, answer in answers.items()}
    return {"get": {"summary": summary, "parameters": parameters, "responses": responses}}


def describe() -> _Node:
    """The whole description, as JSON has it."""
    paths = {
        "/": _get(
            "A page that shows the runs live, and one run with its board, turns and scrubber",
            [],
            _200=_answer("The page.", "text/html", {"type": "string"}),
        ),
        "/health": _get(
            "Whether it lives, and whether broker and store work",
            [],
            _200=_answer("Ready.", "application/json", {"type": "object"}),
            _503=_answer("Live, but not ready.", "application/json", {"type": "object"}),
        ),
        "/runs": _get(
            "Runs, newest first",
            [
                _query("filter", f"As in `arena-tui runs`: {EXAMPLE}", "string"),
                _query("limit", "How many at most; 100 by default, at most 1,000."),
                _query("offset", "How many of the newest to leave out."),
            ],
            _200=_answer(
                "The runs, and how many match in all.", "application/json",
                {"type": "object", "properties": {"runs": {"type": "array", "items": _RUN},
                                                  "total": {"type": "integer"}}},
            ),
            _400=_ERROR,
        ),
        "/runs/{run_id}": _get(
            "One run, and what each agent did and used",
            [_RUN_ID],
            _200=_answer("The run.", "application/json", _RUN),
            _404=_ERROR,
        ),
        "/runs/{run_id}/events": _get(
            "The events of a run as they come, until it is over",
            [_RUN_ID, _query("from_seq", "The first to send."), _LAST_ID],
            _200=_STREAM, _204=_OVER, _400=_ERROR, _404=_ERROR,
        ),
        "/runs/{run_id}/events.jsonl": _get(
            "The events of a run as far as it has come",
            [
                _RUN_ID,
                _query("from", "The first: a seq, or an event id.", "string"),
                _query("to", "The last, likewise.", "string"),
            ],
            _200=_answer("One flat JSON line an event.", "application/jsonl", {"type": "string"}),
            _400=_ERROR, _404=_ERROR,
        ),
        "/events": _get(
            "The events of several runs as they come, or of all, in one connection",
            [
                _query("runs", "Up to 50 ids, with commas; all runs, from now on, when left out.",
                       "string"),
                _LAST_ID,
            ],
            _200=_STREAM, _204=_OVER, _400=_ERROR, _404=_ERROR,
        ),
        "/stats": _get(
            "The accounts of broker, consumers, runs and store, as `arena-tui stats --json`", [],
            _200=_answer("One JSON line each, the broker's first.", "application/jsonl",
                         {"type": "string"}),
        ),
        "/metrics": _get(
            "Where every event is, lag by consumer, runs by state, tokens, cost", [],
            _200=_answer("For Prometheus.", "text/plain", {"type": "string"}),
        ),
        "/openapi.json": _get(
            "This description", [],
            _200=_answer("OpenAPI 3.1.", "application/json", {"type": "object"}),
        ),
    }  # fmt: skip
    return {
        "openapi": "3.1.0",
        "info": {"title": "arena-tui", "version": version("arena-tui")},
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"token": []}],
    }
