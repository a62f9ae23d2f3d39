"""Ids: UUID version 7 in the database, a TypeID on the wire.

A TypeID is a prefix that names the noun, an underscore and 26 characters of Crockford's base32
(https://github.com/jetify-com/typeid, specification 0.3). One spelling is canonical; any other is no id at all.
"""

import uuid

from uuid_utils.compat import uuid7

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
VALUES = {letter: value for value, letter in enumerate(ALPHABET)}
PAIRS = [first + second for first in ALPHABET for second in ALPHABET]
THREES = [pair + third for pair in PAIRS for third in ALPHABET]
LENGTH = 26


class InvalidId(ValueError):
    """The text is not the canonical spelling of an id of this noun."""


def new() -> uuid.UUID:
    """A fresh UUIDv7: ids sort in the order of their making, to the millisecond and beyond."""
    return uuid.UUID(int=uuid7().int)


def encode(prefix: str, value: uuid.UUID) -> str:
    """`encode("thread", UUID(...))` → `thread_01k…`."""
    number = value.int
    high, low = number >> 70, (number >> 10) & 0xFFF_FFFF_FFFF_FFFF  # twelve letters each; the last two are a pair
    return (
        f"{prefix}_{THREES[high >> 45]}{THREES[high >> 30 & 32767]}{THREES[high >> 15 & 32767]}{THREES[high & 32767]}"
        f"{THREES[low >> 45]}{THREES[low >> 30 & 32767]}{THREES[low >> 15 & 32767]}{THREES[low & 32767]}"
        f"{PAIRS[number & 1023]}"
    )


def decode(prefix: str, text: str) -> uuid.UUID:
    """The UUID behind `text`; raises InvalidId for another prefix, letter case, length or overflow."""
    head, separator, tail = text.rpartition("_")
    if not separator or head != prefix or len(tail) != LENGTH or tail[0] > "7":
        raise InvalidId(text)
    number = 0
    for letter in tail:
        value = VALUES.get(letter)
        if value is None:
            raise InvalidId(text)
        number = number << 5 | value
    return uuid.UUID(int=number)
