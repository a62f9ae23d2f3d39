"""Keyed digests: nobody without this installation's SECRET_KEY can tell what a digest is of, or make one.

What is kept for years outlives a key: a digest is made under the present key, and recognised under those of
SECRET_KEY_FALLBACKS too.
"""

import hashlib
import hmac

from django.conf import settings

from threadhub.lib import signed

NAME_LENGTH = 16


def digest(purpose: str, text: str) -> bytes:
    """HMAC-SHA-256 under the present key; 32 bytes. Digests for one purpose say nothing of those for another."""
    return _digest(settings.SECRET_KEY, purpose, text)


def digests(purpose: str, text: str) -> list[bytes]:
    """Under each key, the present one first."""
    return [_digest(key, purpose, text) for key in signed.secret_keys()]


def is_of(given: str, purpose: str, text: str) -> bool:
    """Whether a digest, in hex, is of this text under any key."""
    return any(hmac.compare_digest(each.hex().encode(), given.encode()) for each in digests(purpose, text))


def key_name() -> str:
    """What the present key is called beside what was digested under it; tells nothing of it."""
    return _name(settings.SECRET_KEY)


def is_known(name: str) -> bool:
    """Whether the key of this name is among those of the installation."""
    return name in {_name(key) for key in signed.secret_keys()}


def _digest(key: str, purpose: str, text: str) -> bytes:
    own = hashlib.sha256(purpose.encode() + key.encode()).digest()
    return hmac.new(own, text.encode(), hashlib.sha256).digest()


def _name(key: str) -> str:
    return _digest(key, "key name", "").hex()[:NAME_LENGTH]
