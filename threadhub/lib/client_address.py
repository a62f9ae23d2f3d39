"""The address of the client of a web request, behind the proxies that are known."""

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """The networks or single addresses of a setting. Raises ValueError naming the one that is none."""
    return tuple(ipaddress.ip_network(text.strip()) for text in texts if text.strip())


def client_address(*, peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """Whom the request comes from: the peer, or where that is a trusted proxy, whom it names.

    Each proxy writes whom it was asked by at the right end of X-Forwarded-For, so it is read from there, and only as
    far as trusted proxies wrote it: whatever stands further left is the client's own claim. An empty text where the
    peer has no address (a socket file).
    """
    client = _address(peer)
    if client is None:
        return ""
    for hop in reversed(forwarded_for.split(",")):
        if not any(client in network for network in trusted if network.version == client.version):
            break
        named = _address(hop.strip())
        if named is None:
            break
        client = named
    return str(client)


def is_trusted(peer: str, trusted: Sequence[Network]) -> bool:
    """Whether the peer itself is one of the trusted proxies."""
    address = _address(peer)
    return address is not None and any(address in network for network in trusted if network.version == address.version)


@lru_cache(maxsize=4096)
def _address(text: str) -> Address | None:
    """`192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1` or `[2001:db8::1]:4711`; an IPv4 address in IPv6 clothes is IPv4."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
