"""Values kept encrypted: what must be given out again but not read in the database or a backup of it."""

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from threadhub.lib import signed


class Unreadable(ValueError):
    """The value was sealed under another SECRET_KEY, or altered."""


def seal(value: bytes) -> bytes:
    """Encrypt and authenticate under a key derived from SECRET_KEY."""
    return _fernet(settings.SECRET_KEY).encrypt(value)


def unseal(sealed: bytes) -> bytes:
    """What was sealed, under this SECRET_KEY or one of SECRET_KEY_FALLBACKS. Raises Unreadable."""
    try:
        return MultiFernet([_fernet(key) for key in signed.secret_keys()]).decrypt(sealed)
    except InvalidToken as error:
        raise Unreadable from error


@lru_cache(maxsize=8)
def _fernet(secret: str) -> Fernet:
    key = HKDF(SHA256(), length=32, salt=None, info=b"threadhub sealed values").derive(secret.encode())
    return Fernet(base64.urlsafe_b64encode(key))
