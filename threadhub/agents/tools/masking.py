"""Secrets that come back: a service that echoes the credentials it was sent must not show them to the model.

What is masked is the value as sent, what stands behind its scheme (`Bearer …`), the user and password of `Basic …`,
and each of these percent-encoded, in base64 and as JSON text. A service that means to give a secret away can spell
it in other ways; it has it already.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "[hidden]"
# Shorter texts stand in answers by chance: such a secret is masked only where it is a whole text.
SHORTEST = 6


class Mask:
    """Hides the given secrets in text, JSON values and byte streams."""

    def __init__(self, secrets: Iterable[str]) -> None:
        given = {secret for secret in secrets if secret}
        spelled = {spelling for secret in given for spelling in _spellings(secret)}
        self._whole = frozenset(given)
        self._texts = sorted(spelled, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, self._texts))) if spelled else None
        self._bytes = [text.encode() for text in self._texts]
        self._bytes_pattern = re.compile(b"|".join(map(re.escape, self._bytes))) if spelled else None

    def __repr__(self) -> str:
        return f"<Mask of {len(self._whole)} secrets>"

    def text(self, text: str) -> str:
        """The text without the secrets."""
        if text in self._whole:
            return HIDDEN
        return self._pattern.sub(HIDDEN, text) if self._pattern else text

    def value(self, value: Any) -> Any:
        """A JSON value without the secrets, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.value(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return value

    def stream(self) -> MaskedStream:
        """For bytes that come in pieces."""
        return MaskedStream(self._bytes, self._bytes_pattern)


class MaskedStream:
    """Keeps back only what may be the beginning of a secret, so that an event is not late: none has a line break."""

    def __init__(self, secrets: list[bytes], pattern: re.Pattern[bytes] | None) -> None:
        self._secrets = secrets
        self._pattern = pattern
        self._kept = b""

    def feed(self, piece: bytes) -> bytes:
        if self._pattern is None:
            return piece
        data = self._pattern.sub(HIDDEN.encode(), self._kept + piece)
        begun = max((_begun(data, secret) for secret in self._secrets), default=0)
        self._kept = data[len(data) - begun :]
        return data[: len(data) - begun]

    def end(self) -> bytes:
        kept, self._kept = self._kept, b""
        return kept


def _begun(data: bytes, secret: bytes) -> int:
    """How many bytes at the end of `data` are the beginning of `secret`."""
    longest = min(len(data), len(secret) - 1)
    return next((size for size in range(longest, 0, -1) if data.endswith(secret[:size])), 0)


def _spellings(secret: str) -> Iterator[str]:
    for part in _parts(secret):
        if len(part) < SHORTEST:
            continue
        yield part
        yield quote(part, safe="")
        yield quote_plus(part)
        yield json.dumps(part)[1:-1]
        yield base64.b64encode(part.encode()).decode()


def _parts(secret: str) -> Iterator[str]:
    yield secret
    scheme, _, credentials = secret.partition(" ")
    if not credentials:
        return
    yield credentials.strip()
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(credentials, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return
        yield pair
        yield pair.partition(":")[2]
