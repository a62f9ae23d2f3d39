"""What goes out: JSON, always; event streams are made elsewhere (streaming.py)."""

from typing import Any

from django.http import HttpResponse
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer

from threadhub.lib import json

JSON = "application/json"


class ORJSONRenderer(BaseRenderer):
    media_type = JSON
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        """Compact JSON; nothing at all for None."""
        return b"" if data is None else json.dumps_stored(data)


def as_json(body: Any, status: int = 200) -> HttpResponse:
    """An answer that is written out at once. A `Response` can be looked into and negotiated first, which costs the
    requests that are asked most a twentieth of their time."""
    return HttpResponse(json.dumps_stored(body), status=status, content_type=JSON)


class AnyAccept(BaseContentNegotiation):
    """Never 406: whoever asks for `text/event-stream` or anything else of a JSON route gets JSON."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        """The one there is; it looks at the content type itself."""
        return parsers[0]

    def select_renderer(self, request: Any, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type
