"""The guard of outgoing tool calls (server-side request forgery): what may be called, decided on resolved addresses.

A host is resolved once. Every address it has is checked, and the connection is made to one of those very addresses
(`transport`), so a name that changes its answer in between (DNS rebinding) changes nothing. Spellings need no rules
of their own: whatever the system's resolver makes of `0x7f.1` is what is checked.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from threadhub.agents.tools.addresses import (
    HOST_NAME,
    Address,
    AllowedTargets,
    forms,
    is_this_machine,
    port_refusal,
    refusal,
)
from threadhub.agents.tools.errors import ToolAddressRefused, ToolUnavailable
from threadhub.agents.tools.resolver import resolve

if TYPE_CHECKING:
    from httpx2 import URL

PORTS = {"http": 80, "https": 443}
MAX_ADDRESSES = 32
MAX_URL_CHARACTERS = 8192


class Resolver(Protocol):
    """The addresses of a host as text, in the order to try them; raises OSError where there are none."""

    async def __call__(self, host: str, port: int) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Guard:
    """What an installation lets its tools call.

    `ssl_context` replaces the system's trusted authorities; `is_own` says whether an address is this machine's.
    """

    allowed: AllowedTargets = field(default_factory=AllowedTargets)
    resolver: Resolver = resolve
    is_own: Callable[[Address], bool] = is_this_machine
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)

    def check_url(self, url: URL) -> None:
        """Refuse what no address could make right: scheme, credentials, host, port. Raises ToolAddressRefused."""
        if url.scheme not in PORTS:
            raise ToolAddressRefused(reason="Only http and https are called.")
        if url.userinfo:
            raise ToolAddressRefused(reason="An address must not hold credentials; secret headers are for them.")
        if len(str(url)) > MAX_URL_CHARACTERS:
            raise ToolAddressRefused(reason=f"An address has at most {MAX_URL_CHARACTERS} characters.")
        if not 0 < port_of(url) < 65536:
            raise ToolAddressRefused(reason="The port is not valid.")
        check_host(url.raw_host.decode("ascii", "replace"))

    async def addresses_of(self, host: str, port: int) -> tuple[str, ...]:
        """Resolve `host`, once, and check every address it has: one that is refused refuses the host.

        The result is what to connect to, in order; the name must not be resolved again. Raises
        ToolAddressRefused, or ToolUnavailable where the name has no address.
        """
        check_host(host)
        try:
            found = await self.resolver(host, port)
        except (OSError, UnicodeError) as error:
            raise ToolUnavailable(reason="The host name could not be resolved.") from error
        if not found:
            raise ToolUnavailable(reason="The host name has no address.")
        if len(found) > MAX_ADDRESSES:
            raise ToolAddressRefused(reason="The host name has too many addresses.")
        addresses = [_parsed(text) for text in dict.fromkeys(found)]
        for address in addresses:
            self.check_address(host=host, address=address, port=port)
        return tuple(str(address) for address in addresses)

    def check_address(self, *, host: str, address: Address, port: int) -> None:
        """Refuse an address that is not public, unless the installation permits it. Raises ToolAddressRefused."""
        for form in forms(address):
            if self.allowed.permits(host=host, address=form, port=port):
                continue
            reason = refusal(form) or ("this machine itself" if self.is_own(form) else None)
            if reason is not None:
                raise ToolAddressRefused(reason=f"The host has an address that may not be called: {reason}.")
        if not self.allowed.names_port(host=host, address=address, port=port) and (reason := port_refusal(port)):
            raise ToolAddressRefused(reason=f"The port may not be called: {reason}.")


def check_host(host: str) -> None:
    """Refuse what is neither a host name nor an address, before a resolver makes something of it."""
    if HOST_NAME.fullmatch(host):
        return
    try:
        if "%" not in host:  # a scope says which of this machine's links to use
            ipaddress.IPv6Address(host)
            return
    except ValueError:
        pass
    raise ToolAddressRefused(reason="The host is neither a name nor an address.")


def port_of(url: URL) -> int:
    """The port that will be called, stated or not."""
    return url.port if url.port is not None else PORTS[url.scheme]


def _parsed(text: str) -> Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError as error:
        raise ToolAddressRefused(reason="The host resolved to something that is no address.") from error
