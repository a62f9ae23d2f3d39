"""JSON in, strictly; JSON out, fast.

Refused on the way in, because something behind would lose or choke on it: duplicate keys, NaN and Infinity, nesting
deeper than MAX_DEPTH, integers beyond 64 bits, and text that PostgreSQL cannot hold (NUL, lone surrogates).
"""

import json
import math
import re
from datetime import UTC, datetime
from typing import Any

import orjson

MAX_DEPTH = 64
MAX_INTEGER_DIGITS = 20
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
MAYBE_UNSTORABLE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
BRACKETS_AND_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


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
    _check_depth(text)
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
    """Compact UTF-8; datetimes as RFC 3339 UTC with milliseconds and `Z`."""
    return orjson.dumps(value, default=_default, option=orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS)


def dumps_sorted(value: Any) -> bytes:
    """Like `dumps`, with keys in order: equal values give equal bytes."""
    return orjson.dumps(value, default=_default, option=orjson.OPT_SORT_KEYS)


def timestamp(moment: datetime) -> str:
    """`2025-01-01T00:00:00.000Z`, the form both dialects use."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


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


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for match in BRACKETS_AND_STRINGS.finditer(text):
        if match.group() in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise RefusedJSON(f"The body is nested deeper than {MAX_DEPTH} levels.")
        elif match.group() in "]}":
            depth -= 1
