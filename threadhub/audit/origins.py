"""From where something is done. Set once at each way in: by the middleware of web requests, by commands, by workers."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

Face = Literal["rest", "ai", "console", "command", "worker"]


@dataclass(frozen=True, slots=True)
class Origin:
    """The way in; for web requests also the client's address, its software as it calls itself, and the id under which
    the logs know the request. Empty where there is none."""

    face: Face
    address: str = ""
    user_agent: str = ""
    request_id: str = ""


SHELL = Origin(face="command")  # where nobody set one: somebody works in a shell of manage.py
origin: ContextVar[Origin] = ContextVar("audit_origin", default=SHELL)
