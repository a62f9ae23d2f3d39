"""Errors are short, whatever was wrong: 4 KiB at most, also where they say back what was sent."""

from dataclasses import replace
from typing import Any

from threadhub.api.problem import Problem

MAX_BYTES = 4096
MESSAGE_CHARACTERS = 400  # 1,600 bytes at most, and twice in the `ai` dialect
PLACE_CHARACTERS = 60
PLACE_PARTS = 8


def shortened(problem: Problem) -> Problem:
    """With its texts cut."""
    rows = [_row(row) for row in problem.errors]
    return replace(problem, message=_cut(problem.message, MESSAGE_CHARACTERS), errors=rows)


def with_fewer_rows(problem: Problem) -> Problem:
    """With the first half of its rows."""
    return replace(problem, errors=problem.errors[: len(problem.errors) // 2])


def _row(row: dict[str, Any]) -> dict[str, Any]:
    place = [_cut(part, PLACE_CHARACTERS) if isinstance(part, str) else part for part in row["loc"][:PLACE_PARTS]]
    return {**row, "loc": place, "msg": _cut(str(row["msg"]), MESSAGE_CHARACTERS // 2)}


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
