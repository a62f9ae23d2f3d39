"""What a request may be like before anything of it is read: its address, headers and encoding.

The web server has bounds of its own before these: a head that it cannot read is answered by it, without a body.
"""

from django.http import HttpRequest

PATH_BYTES = 8 * 2**10
QUERY_BYTES = 32 * 2**10  # the `ai` dialect's GET has messages in it; from 64 KiB on it is the server that refuses
HEADERS_BYTES = 64 * 2**10
PLAIN = ("", "identity")


def refusal(request: HttpRequest) -> int | None:
    """The status of what is out of bounds, or None: 414, 431, or 415 for a compressed body, which could be any size."""
    if (
        len(request.path.encode(errors="replace")) > PATH_BYTES
        or len(request.META.get("QUERY_STRING", "")) > QUERY_BYTES
    ):
        return 414
    if sum(len(name) + len(value) for name, value in request.headers.items()) > HEADERS_BYTES:
        return 431
    if request.headers.get("Content-Encoding", "").strip().lower() not in PLAIN:
        return 415
    return None
