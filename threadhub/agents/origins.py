"""Origins of web pages: scheme, host and port, exactly as browsers send them in the Origin header."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError

MAX_ORIGINS = 100
MAX_LENGTH = 300
DEFAULT_PORTS = {"http": 80, "https": 443}


def normal_origin(text: str) -> str:
    """An origin as browsers send it: scheme, host, and the port unless it is the scheme's own. Raises ValueError."""
    if not text.isprintable() or " " in text:
        raise ValueError("An origin has no spaces or control characters.")
    parts = urlsplit(text)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or parts.username is not None or "@" in parts.netloc:
        raise ValueError("An origin is http:// or https:// and a host, with a port where it is not the usual one.")
    if parts.path not in ("", "/") or parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValueError("An origin has no path: only scheme, host and port.")
    host = _host(parts.hostname)
    port = parts.port
    if port is None or port == DEFAULT_PORTS[parts.scheme]:
        return f"{parts.scheme}://{host}"
    return f"{parts.scheme}://{host}:{port}"


def validate(text: str) -> None:
    """Refuse what no browser would ever send as an Origin; the message names the spelling that it would."""
    try:
        normal = normal_origin(text)
    except ValueError as error:
        raise ValidationError(str(error)) from error
    if normal != text:
        raise ValidationError(f"Browsers spell this origin {normal}.")


def _host(name: str) -> str:
    """Lower case, in the letters of DNS. Raises ValueError."""
    if ":" in name:
        return f"[{ip_address(name).compressed}]"
    host = name.encode("idna").decode().lower()
    if not all(letter.isalnum() or letter in "-._" for letter in host):
        raise ValueError("There is no such host name. Wildcards are not taken: name each host.")
    return host
