"""Bodies are JSON, whatever the content type says among the few that mean it."""

from email.message import Message as Header
from functools import lru_cache
from typing import Any

from django.conf import settings
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser

from threadhub.lib import json
from threadhub.lib.errors import Invalid, TooLarge

JSON_TYPES = {"", "application/json", "text/plain"}


class RequestTooLarge(TooLarge):
    """The request's body is larger than allowed."""

    code = "too_large"


class AnyJSONParser(BaseParser):
    """JSON as `application/json`, `text/plain` or no type at all (seed 003's samples send both). An empty body is an
    empty object. Forms, multipart and charsets other than UTF-8 are refused with 415."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """The body's value; raises UnsupportedMediaType, RequestTooLarge, ParseError (400) or Invalid (422)."""
        check_content_type(media_type or "")
        body = stream.read(settings.REQUEST_MAX_BYTES + 1)
        if len(body) > settings.REQUEST_MAX_BYTES:
            raise RequestTooLarge
        if not body.strip():
            return {}
        try:
            value = json.loads(body)
        except json.MalformedJSON as error:
            raise ParseError(str(error)) from error
        except json.RefusedJSON as error:
            raise Invalid.at("body", msg=str(error), type="json_refused") from error
        if not isinstance(value, dict):
            raise Invalid.at("body", msg="The body must be a JSON object.", type="dict_type")
        return value


def check_content_type(content_type: str) -> None:
    """Raise UnsupportedMediaType unless the body can be JSON in UTF-8."""
    if not _is_json(content_type):
        raise UnsupportedMediaType(content_type)


@lru_cache(maxsize=64)  # most clients send one and the same
def _is_json(content_type: str) -> bool:
    header = Header()
    header["content-type"] = content_type or "application/json"
    charset = header.get_content_charset() or "utf-8"
    known = not content_type or header.get_content_type() in JSON_TYPES
    return known and charset in ("utf-8", "utf8", "us-ascii")
