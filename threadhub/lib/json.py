"""JSON in, strictly; JSON out, fast.

Refused on the way in, because something behind would lose or choke on it: duplicate keys, NaN and Infinity, integers
beyond 64 bits, and text that PostgreSQL cannot hold (NUL, lone surrogates). And before anything is built of it:
nesting, texts, arrays and objects beyond the limits below.
"""

import json
import math
import re
from datetime import UTC, datetime
from typing import Any

import orjson

MAX_DEPTH = 64
MAX_TEXT = 15 * 2**20  # characters as sent, of one text; a file of 10 MiB in base64 is 14 million
MAX_ITEMS = 100_000  # of one array
MAX_KEYS = 10_000  # of one object
MAX_VALUES = 500_000  # of all arrays and objects
MAX_INTEGER_DIGITS = 20
MICROSECONDS = len('"2025-01-01T00:00:00.000000Z"')
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
MAYBE_UNSTORABLE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
# A text without an end is one token to the end of the body: it must not be looked at again from each quote in it.
TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)


class MalformedJSON(ValueError):
    """The text is not JSON."""


class RefusedJSON(ValueError):
    """The text is JSON, but holds something that cannot be kept as sent."""


def loads(data: bytes) -> Any:
    """Parse strictly; raises MalformedJSON or RefusedJSON with a sentence fit for the sender."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedJSON("The body is not valid UTF-8.") from error
    _check_shape(text)
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer, parse_float=_float
        )
    except RefusedJSON:
        raise
    except ValueError as error:
        raise MalformedJSON(f"The body is not valid JSON: {error}.") from error
    if MAYBE_UNSTORABLE.search(text):
        check_storable(value)
    return value


def check_storable(value: Any) -> None:
    """Refuse NUL and lone surrogates anywhere in a parsed value, keys included."""
    if isinstance(value, str):
        if UNSTORABLE.search(value):
            raise RefusedJSON("Text must not contain NUL or lone surrogate characters.")
    elif isinstance(value, dict):
        for key, item in value.items():
            check_storable(key)
            check_storable(item)
    elif isinstance(value, list):
        for item in value:
            check_storable(item)


def dumps(value: Any) -> bytes:
    """Compact UTF-8; datetimes as RFC 3339 UTC with milliseconds and `Z`. TypeError for integers beyond 64 bits."""
    return orjson.dumps(value, default=_default, option=orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS)


def dumps_stored(value: Any) -> bytes:
    """Like `dumps`, of what the database gave back: PostgreSQL keeps the float 1e300 with all its digits, as an
    integer, which becomes a float again."""
    try:
        return dumps(value)
    except TypeError:
        return dumps(_as_floats(value))


def dumps_sorted(value: Any) -> bytes:
    """Like `dumps`, with keys in order: equal values give equal bytes."""
    return orjson.dumps(value, default=_default, option=orjson.OPT_SORT_KEYS)


def timestamp(moment: datetime) -> str:
    """`2025-01-01T00:00:00.000Z`, the form both dialects use."""
    written = orjson.dumps(moment, option=orjson.OPT_UTC_Z)
    if len(written) == MICROSECONDS:  # of a time in UTC: a fifth of the work of what follows
        return written[1:24].decode() + "Z"
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _as_floats(value: Any) -> Any:
    """With floats for integers beyond 64 bits."""
    if isinstance(value, dict):
        return {key: _as_floats(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_floats(item) for item in value]
    return float(value) if isinstance(value, int) and not -(2**63) <= value < 2**64 else value


def _default(value: Any) -> Any:
    if isinstance(value, datetime):
        return timestamp(value)
    return str(value)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise RefusedJSON("An object must not have the same key twice.")
    return result


def _constant(name: str) -> Any:
    raise RefusedJSON(f"{name} is not a JSON number.")


def _integer(digits: str) -> int:
    if len(digits) <= MAX_INTEGER_DIGITS and -(2**63) <= (number := int(digits)) < 2**64:
        return number
    raise RefusedJSON("Integers must fit in 64 bits.")


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise RefusedJSON("Numbers must not be larger than a 64-bit float can say.")
    return number


def _check_shape(text: str) -> None:
    """Refuse what is too deep, too long or too much. Small bodies, which cannot be, are only counted through."""
    if text.count("[") + text.count("{") <= MAX_DEPTH and text.count(",") < MAX_KEYS and len(text) <= MAX_TEXT:
        return
    open_brackets: list[list[Any]] = []  # of each: what it is, and how many commas it has had
    values = 0
    for match in TOKENS.finditer(text):
        piece = match[0]
        if piece in ("[", "{"):
            open_brackets.append([piece, 0])
            if len(open_brackets) > MAX_DEPTH:
                raise RefusedJSON(f"The body is nested deeper than {MAX_DEPTH} levels.")
        elif piece in ("]", "}"):
            del open_brackets[-1:]
        elif piece == ",":
            values += 1
            _count_comma(open_brackets, values)
        elif len(piece) - 2 > MAX_TEXT:
            raise RefusedJSON(f"A text is longer than {MAX_TEXT} characters.")


def _count_comma(open_brackets: list[list[Any]], values: int) -> None:
    if values >= MAX_VALUES:
        raise RefusedJSON(f"The body has more than {MAX_VALUES} values.")
    if not open_brackets:
        return  # the parser will say so
    open_brackets[-1][1] += 1
    kind, commas = open_brackets[-1]
    if kind == "[" and commas >= MAX_ITEMS:
        raise RefusedJSON(f"An array has more than {MAX_ITEMS} items.")
    if kind == "{" and commas >= MAX_KEYS:
        raise RefusedJSON(f"An object has more than {MAX_KEYS} keys.")
