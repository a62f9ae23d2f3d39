"""Secrets: their making, and what is kept of them. The secret itself is shown once and never stored."""

import base64
import hashlib
import os
import secrets
import zlib
from pathlib import Path

TOKEN_BYTES = 32


def digest(secret: str) -> bytes:
    """SHA-256, enough for 256 random bits (there is nothing to guess, so nothing to slow down)."""
    return hashlib.sha256(secret.encode()).digest()


def new_token(prefix: str) -> str:
    """`prefix` + 256 random bits + six characters of CRC-32, so that a mistyped or cut secret is seen at once."""
    return token_of(prefix, secrets.token_bytes(TOKEN_BYTES))


def token_of(prefix: str, body: bytes) -> str:
    """The token that spells these bytes, which nobody else may be able to guess."""
    spelled = base64.b32encode(body).decode().rstrip("=").lower()
    return f"{prefix}{spelled}{_checksum(prefix + spelled)}"


def looks_whole(prefix: str, token: str) -> bool:
    """Whether prefix and checksum fit: spares a look-up for what cannot be a secret of ours."""
    return token.startswith(prefix) and len(token) > len(prefix) + 6 and _checksum(token[:-6]) == token[-6:]


def new_password() -> str:
    """A password for a first sign-in: 96 random bits, easy to select and copy."""
    return secrets.token_hex(12)


def load_or_create(path: Path) -> str:
    """The secret in the file at `path`, made on first use, readable by its owner only."""
    if path.exists():
        return path.read_text().strip()
    path.parent.mkdir(parents=True, exist_ok=True)
    secret = secrets.token_urlsafe(50)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret)
    try:
        os.link(partial, path)  # the first of several processes wins; the others read what it wrote
    except FileExistsError:
        return path.read_text().strip()
    finally:
        partial.unlink()
    return secret


def _checksum(text: str) -> str:
    return base64.b32encode(zlib.crc32(text.encode()).to_bytes(4, "big")).decode()[:6].lower()
