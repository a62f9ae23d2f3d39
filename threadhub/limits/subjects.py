"""Whose requests are counted together, and how many they may make."""

import hmac
import ipaddress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Protocol
from uuid import UUID

from django.conf import settings

MINUTE = 60
IPV6_VERSION = 6
IPV6_PREFIX = 64  # one customer has a whole network of these


class Asker(Protocol):
    """Who asks. A workspace's Actor is one."""

    @property
    def kind(self) -> str: ...

    @property
    def identity(self) -> str: ...

    @property
    def member_id(self) -> UUID | None: ...

    @property
    def rate_limit(self) -> int | None: ...


@dataclass(frozen=True)
class Subject:
    """`policy` names the kind, `quota` is per minute (0: without limit), `who` is one among the kind."""

    policy: str
    who: str
    quota: int

    @cached_property
    def id(self) -> bytes:
        return digest(self.policy, self.who)


def of_actor(actor: Asker) -> Subject:
    """A key, a session or a user. A key that is one person's counts as that person, unless it has a limit of its own;
    whoever acts for somebody else counts as themselves."""
    if actor.kind == "key" and actor.rate_limit is not None:
        return Subject("key", actor.identity, actor.rate_limit)
    if actor.kind == "key" and actor.member_id is None:
        return Subject("key", actor.identity, settings.RATE_LIMIT_KEY)
    if actor.kind == "session":
        return Subject("session", actor.identity, settings.RATE_LIMIT_SESSION)
    who = f"user:{actor.member_id}" if actor.kind == "key" else actor.identity
    return Subject("user", who, settings.RATE_LIMIT_USER)


def of_streams(actor: Asker, address: str) -> list[Subject]:
    """Whose places an open answer takes. Visitors share those of their address; a server asks from one for all."""
    subject = of_actor(actor)
    quota = {"key": settings.STREAMS_KEY, "user": settings.STREAMS_USER, "session": settings.STREAMS_SESSION}
    own = Subject(f"{subject.policy}_streams", subject.who, quota[subject.policy])
    if actor.kind != "session" or not address:
        return [own]
    return [own, Subject("address_streams", network_of(address), settings.STREAMS_ADDRESS)]


def of_address(address: str) -> Subject:
    """Whoever has not proved to be anybody."""
    return Subject("address", network_of(address), settings.RATE_LIMIT_ADDRESS)


def network_of(address: str) -> str:
    """What counts as one address: an IPv4 address, or the network of an IPv6 address. Empty stays empty."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if found.version == IPV6_VERSION:
        return str(ipaddress.ip_network((found.packed, IPV6_PREFIX), strict=False).network_address)
    return str(found)


def digest(*parts: str) -> bytes:
    """16 bytes that tell nothing without SECRET_KEY."""
    return _digest(settings.SECRET_KEY, parts)


@lru_cache(maxsize=4096)
def _digest(secret: str, parts: tuple[str, ...]) -> bytes:
    return hmac.digest(secret.encode(), "\0".join(("limits", *parts)).encode(), "sha256")[:16]
