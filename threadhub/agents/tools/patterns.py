"""Patterns of a schema, matched so that no pattern and no text can hold the process up.

The engine is that of Rust's regex crate, which pydantic brings: its time is the product of the pattern's size and
the text's, where `re` takes exponential time for `(a+)+$`. It knows no look-around and no back-references. The
product still has to be bounded, because counted repetitions make a short pattern large: `(?:[^x]{0,100}){0,100}`
takes 13 seconds for 16,000 characters. So a pattern's size is estimated, never too low, before it is compiled.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pydantic_core import SchemaError, SchemaValidator

MAX_CHARACTERS = 512
MAX_SIZE = 20_000  # of all patterns of a schema: about a second to compile
MAX_WORK = 4_000_000  # size times characters of the text: at most 0.3 seconds
TOKEN = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\{\s*(\d*)\s*(?:,\s*(\d*)\s*)?\}|.", re.DOTALL)
# In the verbose mode a comment may hold brackets that are none.
VERBOSE = re.compile(r"\(\?[a-zA-Z-]*x")


class TooMuchWork(Exception):
    """Checking would take longer than one check may."""


def is_usable(pattern: str) -> bool:
    """Whether the engine takes it, within the limits."""
    return size(pattern) <= MAX_SIZE and _matcher(pattern) is not None


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern occurs in the text. Raises TooMuchWork; a pattern that is not usable occurs nowhere."""
    if size(pattern) * len(text) > MAX_WORK:
        raise TooMuchWork
    matcher = _matcher(pattern)
    return matcher is not None and matcher.isinstance_python(text)


@lru_cache(maxsize=1024)
def size(pattern: str) -> int:
    """How many single characters and classes it has once its counted repetitions are written out, at most."""
    if len(pattern) > MAX_CHARACTERS or VERBOSE.search(pattern):
        return MAX_SIZE + 1
    groups: list[list[int]] = [[1]]  # of each open group, the sizes of what stands in it
    for match in TOKEN.finditer(pattern):
        token = match[0]
        if token == "(":  # noqa: S105
            groups.append([1])
        elif token == ")" and len(groups) > 1:  # noqa: S105
            closed = sum(groups.pop())
            groups[-1].append(closed)
        elif match[1] or match[2]:
            groups[-1][-1] *= max(int(match[1] or 0), int(match[2] or 0), 1)
        elif token not in "*+?|^$":  # noqa: S105
            groups[-1].append(1)
    return sum(map(sum, groups))


@lru_cache(maxsize=1024)
def _matcher(pattern: str) -> SchemaValidator | None:
    try:
        return SchemaValidator({"type": "str", "pattern": pattern, "regex_engine": "rust-regex"})
    except SchemaError:
        return None
