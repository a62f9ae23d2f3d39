"""Comparing a response with a printed example: at least the keys printed, each with the type printed."""

import re
from typing import Any

# Both dialects: ISO 8601 in UTC with milliseconds and `Z`, as seed 000 prints it.
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def is_time(value: Any) -> bool:
    """A time as the seeds print it."""
    return isinstance(value, str) and TIME.fullmatch(value) is not None


def type_name(value: Any) -> str:
    """The JSON type, times told from other strings."""
    if isinstance(value, bool):
        return "boolean"
    if is_time(value):
        return "time"
    names = {dict: "object", list: "array", str: "string", int: "number", float: "number", type(None): "null"}
    return names[type(value)]


def differences(actual: Any, printed: Any, where: str = "") -> list[str]:
    """In what `actual` falls short of `printed`, one sentence each; further keys and other values are fine.

    Every element of an array must be like the printed elements (objects like the first one); an empty printed
    array asks only for an array.
    """
    if type_name(actual) != type_name(printed):
        return [f"{where or 'the whole'} is {type_name(actual)}, printed as {type_name(printed)}: {actual!r}"]
    if isinstance(printed, dict):
        missing = [f"{where}.{key} is missing" for key in printed if key not in actual]
        both = [key for key in printed if key in actual]
        return missing + [text for key in both for text in differences(actual[key], printed[key], f"{where}.{key}")]
    if isinstance(printed, list) and printed:
        return [text for at, each in enumerate(actual) for text in differences(each, printed[0], f"{where}[{at}]")]
    return []
