"""What a request may be like before anything of it is read: its address, headers and encoding.

The web server has bounds of its own before these: a head that it cannot read is answered by it, without a body.
"""

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest

PATH_BYTES = 8 * 2**10
QUERY_BYTES = 32 * 2**10  # the `ai` dialect's GET has messages in it; from 64 KiB on it is the server that refuses
HEADERS_BYTES = 64 * 2**10
PLAIN = ("", "identity")


def refusal(request: HttpRequest) -> int | None:
    """The status of what is out of bounds, or None: 414, 431, 415 for a compressed body, which could be any size,
    or 400 for a Host that is not in ALLOWED_HOSTS."""
    if (
        len(request.path.encode(errors="replace")) > PATH_BYTES
        or len(request.META.get("QUERY_STRING", "")) > QUERY_BYTES
    ):
        return 414
    if sum(len(name) + len(value) for name, value in request.headers.items()) > HEADERS_BYTES:
        return 431
    if request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower() not in PLAIN:
        return 415
    try:
        request.get_host()
    except DisallowedHost:
        return 400
    return None
