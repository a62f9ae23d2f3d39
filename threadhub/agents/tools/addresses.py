"""Which addresses a tool may reach: those of the public internet, and what the installation permits by name.

Sources: the IANA special-purpose address registries (RFC 6890 and its updates). They are spelled out here and not
taken from `ipaddress.is_global` alone, whose answers differ between the supported Python versions (CVE-2024-4032).
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

REFUSED_IPV4: dict[IPv4Network, str] = {
    IPv4Network(network): reason
    for network, reason in {
        "0.0.0.0/8": "unspecified",
        "10.0.0.0/8": "private",
        "100.64.0.0/10": "shared (carrier-grade NAT)",
        "127.0.0.0/8": "loopback",
        "168.63.129.16/32": "a cloud's metadata service",  # Azure's; in public space, answered inside a machine
        "169.254.0.0/16": "link-local",
        "172.16.0.0/12": "private",
        "192.0.0.0/24": "reserved",
        "192.0.2.0/24": "documentation",
        "192.88.99.0/24": "a 6to4 relay",
        "192.168.0.0/16": "private",
        "198.18.0.0/15": "benchmarking",
        "198.51.100.0/24": "documentation",
        "203.0.113.0/24": "documentation",
        "224.0.0.0/4": "multicast",
        "240.0.0.0/4": "reserved",
    }.items()
}

# Of IPv6 only this is given out for the public internet; loopback, unique local, link-local, multicast, IPv4-mapped
# and -compatible and both NAT64 prefixes are outside of it.
GLOBAL_IPV6 = IPv6Network("2000::/3")
REFUSED_IPV6: dict[IPv6Network, str] = {
    IPv6Network("2001::/23"): "reserved (Teredo and others)",
    IPv6Network("2001:db8::/32"): "documentation",
    IPv6Network("2002::/16"): "6to4",
    IPv6Network("3fff::/20"): "documentation",
}
# An allowed host name may lead to these and to nothing else that is refused: never to a metadata service.
INTERNAL: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
)
CLOUD_METADATA: frozenset[Address] = frozenset(
    ipaddress.ip_address(text) for text in ("100.100.100.200", "fd00:ec2::254", "fd20:ce::254")
)

WEB_PORTS = frozenset({80, 443})
# Ports above 1023 on which a web request could be taken for another protocol (WHATWG Fetch, "bad port").
BAD_PORTS = frozenset(
    {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080}
)
HOST_NAME = re.compile(r"[A-Za-z0-9._-]{1,253}")
ENTRY = re.compile(
    r"\[(?P<v6>[0-9A-Fa-f]*:[0-9A-Fa-f:./]*)\](?::(?P<v6_port>\d+))?"
    r"|(?P<plain>[^:\[\]]+)(?::(?P<port>\d+))?"
    r"|(?P<bare>[0-9A-Fa-f:./]+)"
)


def refusal(address: Address) -> str | None:
    """Why this address may not be called, or None for one of the public internet."""
    if isinstance(address, IPv4Address):
        return next((reason for network, reason in REFUSED_IPV4.items() if address in network), None)
    if address.scope_id is not None or address not in GLOBAL_IPV6:
        return "not in the public part of IPv6"
    if (int(address) >> 32) & 0xFDFFFFFF == 0x5EFE:
        return "ISATAP"  # carries an IPv4 address in its last 32 bits (RFC 5214)
    return next((reason for network, reason in REFUSED_IPV6.items() if address in network), None)


def is_this_machine(address: Address) -> bool:
    """Whether the address is one of this machine's own: a call would reach what its firewall keeps from others.

    A datagram socket is connected, which sends nothing: the source that the system chooses says it.
    """
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return ipaddress.ip_address(probe.getsockname()[0]) == address
    except OSError:  # no route there
        return False


def port_refusal(port: int) -> str | None:
    """Why this port may not be called where nothing permits it by number."""
    if port in WEB_PORTS or (1024 <= port <= 65535 and port not in BAD_PORTS):
        return None
    return "the port is not one of web services"


@dataclass(frozen=True, slots=True)
class AllowedTargets:
    """Networks and hosts that tools may call though they are not public, each with a port or with any web port.

    A host permits what it resolves to only where that is public (this machine's own, say), private or loopback; a
    network permits whatever is in it.
    """

    networks: tuple[tuple[Network, int | None], ...] = ()
    hosts: frozenset[tuple[str, int | None]] = field(default_factory=frozenset)

    @classmethod
    def parse(cls, text: str) -> AllowedTargets:
        """`10.1.0.0/16, 127.0.0.1:8080, [fd00::1]:8000, intranet.example`. Raises ValueError with a sentence."""
        networks: list[tuple[Network, int | None]] = []
        hosts: set[tuple[str, int | None]] = set()
        for entry in re.split(r"[\s,]+", text.strip()):
            if not entry:
                continue
            target, port = _entry(entry)
            if isinstance(target, str):
                hosts.add((target, port))
            else:
                networks.append((target, port))
        return cls(tuple(networks), frozenset(hosts))

    def permits(self, *, host: str, address: Address, port: int) -> bool:
        """Whether `address`, to which `host` resolved, is permitted in spite of what it is."""
        if any(address in network and _port_fits(wanted, port) for network, wanted in self.networks):
            return True
        name = host.rstrip(".").lower()
        named = any(name == allowed and _port_fits(wanted, port) for allowed, wanted in self.hosts)
        return named and address not in CLOUD_METADATA and (refusal(address) is None or _internal(address))

    def names_port(self, *, host: str, address: Address, port: int) -> bool:
        """Whether an entry names just this port for the address, so that the policy for ports is set aside."""
        name = host.rstrip(".").lower()
        return (name, port) in self.hosts or any(
            address in network and wanted == port for network, wanted in self.networks
        )


def _entry(entry: str) -> tuple[Network | str, int | None]:
    match = ENTRY.fullmatch(entry)
    if match is None:
        raise ValueError(f"{entry!r} is neither a network nor a host.")
    text = match["v6"] or match["plain"] or match["bare"]
    number = match["v6_port"] or match["port"]
    port = int(number) if number else None
    if port is not None and not 0 < port < 65536:
        raise ValueError(f"{entry!r} has no valid port.")
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        if "/" in text or ":" in text or text.replace(".", "").isdigit() or not HOST_NAME.fullmatch(text):
            raise ValueError(f"{entry!r} is neither a network nor a host ({error}).") from error
        return text.rstrip(".").lower(), port
    if network.prefixlen == 0:
        raise ValueError(f"{entry!r} would permit every address there is.")
    return network, port


def _internal(address: Address) -> bool:
    return any(address in network for network in INTERNAL)


def _port_fits(wanted: int | None, port: int) -> bool:
    return wanted is None or wanted == port


def forms(address: Address) -> Iterator[Address]:
    """The address itself, and those that it carries inside: IPv4-mapped, NAT64, 6to4 and Teredo.

    Each of them must be permitted: a translation prefix on the allow-list opens no private address behind it.
    """
    yield address
    if isinstance(address, IPv4Address):
        return
    if (address.ipv4_mapped or address.sixtofour) is not None:
        yield address.ipv4_mapped or address.sixtofour  # type: ignore[misc]
    if address.teredo is not None:
        yield from address.teredo
    if address in IPv6Network("64:ff9b::/96"):
        yield IPv4Address(int(address) & 0xFFFFFFFF)
