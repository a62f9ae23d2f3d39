"""What `THREADHUB_ENV=production` asks for. Without it a hub is for a first look, on loopback and without TLS."""

from collections.abc import Sequence
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from threadhub.lib import secrets
from threadhub.lib.client_address import Network

PRODUCTION, DEVELOPMENT = "production", "development"
SECRET_KEY_CHARACTERS = 50


def asked(environment: str) -> bool:
    """Whether this is production. A DATABASE_URL alone does not make it: `up` tries out such databases."""
    if environment not in (PRODUCTION, DEVELOPMENT):
        raise ImproperlyConfigured(f"THREADHUB_ENV must be {PRODUCTION} or {DEVELOPMENT}, not {environment!r}.")
    return environment == PRODUCTION


def secret_key(given: str, *, production: bool, kept: Path) -> str:
    """The key that was given, or outside of production one that is made and kept in a file. A key that every process
    makes for itself would let none of them read what the others signed, so production has to say it."""
    if production and len(given) < SECRET_KEY_CHARACTERS:
        raise ImproperlyConfigured(
            f"SECRET_KEY must be set in production, to {SECRET_KEY_CHARACTERS} random characters or more."
        )
    return given or secrets.load_or_create(kept)


def proxy_ssl_header(name: str, *, proxies: Sequence[Network]) -> tuple[str, str] | None:
    """Django's setting for a header's name. Anybody could send the header, so it goes with TRUSTED_PROXIES only."""
    if not name:
        return None
    if not proxies:
        raise ImproperlyConfigured("SECURE_PROXY_SSL_HEADER needs TRUSTED_PROXIES: whoever sends it would be believed.")
    return f"HTTP_{name.upper().replace('-', '_')}", "https"
