"""Names that nobody knows: a mistyped parameter must not pass for one that was left out."""

from collections.abc import Collection
from difflib import get_close_matches
from typing import Any

from rest_framework.request import Request

from threadhub.lib import json
from threadhub.lib.errors import Invalid

SHOWN = 100  # characters of a stranger's text that an error repeats


def sentence(name: str, known: Collection[str], noun: str) -> str:
    """What is wrong with `name`, and the known name nearest to it (or all of them, where none is near)."""
    if not known:
        return f"Unknown {noun} {name[:SHOWN]!r}: none is known here."
    near = get_close_matches(name.lower(), [each.lower() for each in known], n=1, cutoff=0.5)
    if not near:
        return f"Unknown {noun} {name[:SHOWN]!r}. Known here: {', '.join(known)}."
    meant = next(each for each in known if each.lower() == near[0])
    return f"Unknown {noun} {name[:SHOWN]!r}. Did you mean {meant!r}?"


def check_query(request: Request, known: Collection[str]) -> None:
    """Raise Invalid, with a row each, for query parameters that are unknown, repeated or not storable as text."""
    if not request.META["QUERY_STRING"]:
        return
    rows: list[dict[str, Any]] = []
    for name, values in request.query_params.lists():
        if name not in known:
            rows.append(_row(name, sentence(name, known, "query parameter"), "unknown_parameter"))
        elif len(values) > 1:
            rows.append(_row(name, f"{name} is given {len(values)} times; give it once.", "repeated_parameter"))
        elif json.UNSTORABLE.search(values[0]):
            rows.append(_row(name, "Text must not contain NUL or lone surrogate characters.", "text_refused"))
    if rows:
        raise Invalid(rows[0]["msg"], rows)


def _row(name: str, message: str, kind: str) -> dict[str, Any]:
    return {"loc": ["query", name[:SHOWN]], "msg": message, "type": kind}
