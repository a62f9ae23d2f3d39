"""Signed, readable claims (JSON Web Tokens): by SECRET_KEY, and still good when by one of SECRET_KEY_FALLBACKS."""

from collections.abc import Iterator
from typing import Any

import jwt
from django.conf import settings

ALGORITHM = "HS256"


def encode(claims: dict[str, Any]) -> str:
    """The token of these claims."""
    return jwt.encode(claims, settings.SECRET_KEY, algorithm=ALGORITHM)


def decode(token: str, *, audience: str, **options: Any) -> dict[str, Any]:
    """The claims of a token. Raises jwt.PyJWTError. `options` are PyJWT's."""
    *older, oldest = secret_keys()
    for key in older:
        try:
            return _decoded(token, key, audience, options)
        except jwt.InvalidSignatureError:
            continue
    return _decoded(token, oldest, audience, options)


def secret_keys() -> Iterator[str]:
    """The present key first."""
    yield settings.SECRET_KEY
    yield from settings.SECRET_KEY_FALLBACKS


def _decoded(token: str, key: str, audience: str, options: Any) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, key, algorithms=[ALGORITHM], audience=audience, options=options)
    return claims
