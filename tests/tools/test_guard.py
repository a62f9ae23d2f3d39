"""Where tools may go. The resolver is passed in; numbers in any spelling are read by the system's own."""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address

import httpx2
import pytest

from threadhub.agents.tools import addresses
from threadhub.agents.tools.addresses import AllowedTargets
from threadhub.agents.tools.errors import ToolAddressRefused, ToolError, ToolUnavailable
from threadhub.agents.tools.guard import Guard, port_of

NAMES = {
    "localhost": ["127.0.0.1"],
    "localhost.": ["127.0.0.1"],
    "ip6-localhost": ["::1"],
    "localhost.localdomain": ["127.0.0.1"],
    "metadata.google.internal": ["169.254.169.254"],
    "intranet": ["10.0.0.7"],
    "db.example": ["172.16.3.4"],
    "mixed.example": ["93.184.215.14", "192.168.1.1"],
    "mixed6.example": ["2606:2800:21f:cb07::1", "fd00::1"],
    "mapped.example": ["::ffff:10.0.0.1"],
    "public.example": ["93.184.215.14"],
    "xn--bcher-kva.example": ["93.184.215.14"],
    "xn--prvat-bwa.example": ["10.1.2.3"],
    "many.example": [f"93.184.215.{number}" for number in range(40)],
    "nonsense.example": ["not an address"],
    "none.example": [],
    "nested.127.0.0.1.nip.example": ["127.0.0.1"],
    "linked.example": ["fe80::1%2"],
    "scoped.example": ["2606:4700:4700::1111%2"],
    "ec2.example": ["fd00:ec2::254"],
    "alibaba.example": ["100.100.100.200"],
    "six.example": ["2606:2800:21f:cb07:6820:80da:af6b:8b2c"],
}


async def resolver(host: str, port: int) -> Sequence[str]:
    """The table's names; numbers as the system reads them, without asking anyone."""
    if host in NAMES:
        return NAMES[host]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return [sockaddr[0] for *_, sockaddr in found]


GUARD = Guard(resolver=resolver)


async def passes(guard: Guard, url: str) -> tuple[str, ...]:
    """What a transport does before it connects. What httpx2 cannot read is never called either."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise ToolAddressRefused from error
    guard.check_url(parsed)
    return await guard.addresses_of(parsed.raw_host.decode(), port_of(parsed))


HOSTILE = [
    # loopback, in every spelling that inet_aton knows
    "http://127.0.0.1/",
    "http://127.0.0.1:8080/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.255.255.254/",
    "http://2130706433/",
    "http://017700000001/",
    "http://0x7f000001/",
    "http://0x7f.0x0.0x0.0x1/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://0177.1/",
    "http://127.0x0.0.1/",
    "http://127.0.0.1./",
    "http://127。0。0。1/",
    "http://127．0．0．1/",
    "http://127｡0｡0｡1/",
    "http://１２７.０.０.１/",
    "http://①②⑦.⓪.⓪.①/",
    "http://localhost/",
    "http://LOCALHOST/",
    "http://localhost./",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    "http://localhost.localdomain/",
    "http://ip6-localhost/",
    "http://nested.127.0.0.1.nip.example/",
    # unspecified
    "http://0.0.0.0/",
    "http://0/",
    "http://0x0/",
    "http://[::]/",
    "http://0.1.2.3/",
    # private and shared
    "http://10.0.0.1/",
    "http://10.1/",
    "http://167772161/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.0.1/",
    "http://0xc0a80001/",
    "http://100.64.0.1/",
    "http://100.100.100.200/",
    "http://100.127.255.255/",
    "http://intranet/",
    "http://db.example/",
    # link-local and the clouds' metadata services
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/",
    "http://169.254.43518/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://metadata.google.internal/",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://[fd00:ec2::254]/",
    # multicast, reserved, documentation, benchmarking
    "http://224.0.0.1/",
    "http://239.255.255.250:1900/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://192.88.99.1/",
    # IPv6, and IPv4 inside it
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[0000::0001]/",
    "http://[::1%25lo]/",
    "http://[::127.0.0.1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:0a00:0001]/",
    "http://[::ffff:8.8.8.8]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::8.8.8.8]/",
    "http://[64:ff9b:1::a00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a9fe:a9fe::1]/",
    "http://[2001:0:7f00:1::]/",
    "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/",
    "http://[2606:4700::5efe:10.0.0.1]/",
    "http://[2606:4700::200:5efe:7f00:1]/",
    "http://[fc00::1]/",
    "http://[fd12:3456:789a::1]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[2001:db8::1]/",
    "http://[3fff::1]/",
    "http://[100::1]/",
    "http://[5f00::1]/",
    "http://[4000::1]/",
    "http://mapped.example/",
    "http://linked.example/",
    "http://scoped.example/",
    # names with more than one answer, or with no good one
    "http://mixed.example/",
    "http://mixed6.example/",
    "http://many.example/",
    "http://nonsense.example/",
    "http://none.example/",
    "http://unknown.example/",
    "http://xn--prvat-bwa.example/",
    # other schemes
    "ftp://public.example/",
    "file:///etc/passwd",
    "gopher://public.example/",
    "ws://public.example/",
    "unix:///run/docker.sock",
    "//public.example/",
    "public.example",
    "http:/127.0.0.1/",
    "http:127.0.0.1",
    "http:///path",
    "javascript:alert(1)",
    # credentials, and hosts that are read in two ways
    "http://user:pass@public.example/",
    "http://public.example@127.0.0.1/",
    "http://127.0.0.1@public.example/",
    "http://public.example\\@127.0.0.1/",
    "http://1.1.1.1 &@127.0.0.1# @public.example/",
    "http://public.example%00.evil.example/",
    "http://public.example%2f@127.0.0.1/",
    "http://pub lic.example/",
    "http://public.example\t/",
    "http://public.example\r\nHost: intranet/",
    "http://[v1.fe]/",
    "http://[public.example]/",
    "http://127.0.0.1%20.public.example/",
    "http://-_-=.example/",
    f"http://{'a' * 300}.example/",
    f"http://public.example/{'a' * 9000}",
    # ports of other protocols
    "http://public.example:22/",
    "http://public.example:25/",
    "http://public.example:0/",
    "http://public.example:99999/",
    "http://public.example:6667/",
    "http://public.example:10080/",
    "https://public.example:53/",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_it_refuses(url: str) -> None:
    with pytest.raises((ToolAddressRefused, ToolUnavailable)) as caught:
        asyncio.run(passes(GUARD, url))
    said = f"{caught.value.message} {caught.value.reason}"
    assert not any(address in said for found in NAMES.values() for address in found)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://public.example/", ("93.184.215.14",)),
        ("http://public.example:8080/", ("93.184.215.14",)),
        ("https://PUBLIC.example/", ("93.184.215.14",)),
        ("https://bücher.example/", ("93.184.215.14",)),
        ("https://six.example/", ("2606:2800:21f:cb07:6820:80da:af6b:8b2c",)),
        ("https://8.8.8.8/", ("8.8.8.8",)),
        ("https://134744072/", ("8.8.8.8",)),
        ("https://[2606:4700:4700::1111]/", ("2606:4700:4700::1111",)),
        ("https://172.32.0.1/", ("172.32.0.1",)),
        ("https://100.128.0.1/", ("100.128.0.1",)),
        ("https://192.169.0.1/", ("192.169.0.1",)),
        ("https://[2001:200::1]/", ("2001:200::1",)),
    ],
)
def test_it_lets_pass_what_is_public(url: str, expected: tuple[str, ...]) -> None:
    assert asyncio.run(passes(GUARD, url)) == expected


@pytest.mark.parametrize(
    "host", ["", "a b", "a%00", "::1%lo", "2606:4700:4700::1111%2", "a/b", "a@b", "[::1]", "é", "a" * 254]
)
def test_what_is_no_host_reaches_no_resolver(host: str) -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        raise AssertionError(host)

    with pytest.raises(ToolAddressRefused):
        asyncio.run(Guard(resolver=never).addresses_of(host, 80))


def test_a_name_without_an_address_is_unavailable_not_refused() -> None:
    for url in ("http://unknown.example/", "http://none.example/"):
        with pytest.raises(ToolUnavailable):
            asyncio.run(passes(GUARD, url))


def test_what_python_does_not_call_global_is_refused_too() -> None:
    """The table is our own; it must not be laxer than the library's."""
    texts = [f"{first}.{second}.0.1" for first in range(256) for second in (0, 2, 51, 63, 64, 88, 100, 168, 254)]
    texts += [f"{prefix:x}::1" for prefix in range(0, 0x10000, 17)]
    for text in texts:
        address = ip_address(text)
        assert address.is_global or addresses.refusal(address), text


def test_an_address_of_this_machine_is_known() -> None:
    assert addresses.is_this_machine(ip_address("127.0.0.1"))
    assert addresses.is_this_machine(ip_address("::1")) or not socket.has_ipv6
    assert not addresses.is_this_machine(ip_address("93.184.215.14"))


def test_this_machines_public_addresses_are_refused_unless_named() -> None:
    """A call from inside would reach what its firewall keeps from others."""

    def is_own(address: addresses.Address) -> bool:
        return str(address) == "93.184.215.14"

    guard = Guard(resolver=resolver, is_own=is_own)
    with pytest.raises(ToolAddressRefused):
        asyncio.run(passes(guard, "https://public.example/"))
    assert asyncio.run(passes(guard, "https://8.8.8.8/"))
    for allowed in ("public.example", "93.184.215.14:443"):
        named = Guard(resolver=resolver, is_own=is_own, allowed=AllowedTargets.parse(allowed))
        assert asyncio.run(passes(named, "https://public.example/"))


@pytest.mark.parametrize(
    ("allowed", "url", "passes_it"),
    [
        ("127.0.0.0/8", "http://127.0.0.1/", True),
        ("127.0.0.0/8", "http://0x7f.1:8080/", True),
        ("127.0.0.0/8", "http://127.0.0.1:22/", False),
        ("127.0.0.0/8", "http://10.0.0.1/", False),
        ("127.0.0.0/8", "http://[::1]/", False),
        ("127.0.0.0/8", "http://[::ffff:127.0.0.1]/", False),
        ("::ffff:0:0/96", "http://[::ffff:127.0.0.1]/", False),
        ("::ffff:0:0/96 127.0.0.0/8", "http://[::ffff:127.0.0.1]/", True),
        ("64:ff9b::/96", "http://[64:ff9b::8.8.8.8]/", True),
        ("64:ff9b::/96", "http://[64:ff9b::10.0.0.1]/", False),
        ("127.0.0.1:8080", "http://127.0.0.1:8080/", True),
        ("127.0.0.1:8080", "http://127.0.0.1:5432/", False),
        ("127.0.0.1:81", "http://127.0.0.1:81/", True),
        ("[::1]:8000", "http://[::1]:8000/", True),
        ("[::1]:8000", "http://[::1]:8001/", False),
        ("fd00::/8", "http://[fd00::1]/", True),
        ("intranet", "http://intranet/", True),
        ("intranet", "http://INTRANET/", True),
        ("intranet", "http://10.0.0.7/", False),
        ("intranet", "http://db.example/", False),
        ("intranet:81", "http://intranet:81/", True),
        ("intranet:81", "http://intranet/", False),
        ("metadata.google.internal", "http://metadata.google.internal/", False),
        ("ec2.example", "http://ec2.example/", False),
        ("alibaba.example", "http://alibaba.example/", False),
        ("fe80::/10", "http://[fe80::1%25eth0]/", False),
        ("169.254.169.254", "http://169.254.169.254/", True),
        ("mixed.example", "http://mixed.example/", True),
        ("192.168.1.1", "http://mixed.example/", True),
        ("linked.example", "http://linked.example/", False),
        ("public.example:25", "http://public.example:25/", True),
        ("", "http://127.0.0.1/", False),
    ],
)
def test_the_installation_may_permit_more(allowed: str, url: str, passes_it: bool) -> None:
    guard = Guard(resolver=resolver, allowed=AllowedTargets.parse(allowed))
    if passes_it:
        assert asyncio.run(passes(guard, url))
    else:
        with pytest.raises(ToolError):
            asyncio.run(passes(guard, url))


@pytest.mark.parametrize(
    "text",
    [
        *("0.0.0.0/0", "::/0", "10.0.0.1/8", "300.1.1.1", "10.0.0.0/33", "host:0", "host:99999", "[::1", "a b/c"),
        *("http://intranet", "user@host", "*.example", "host:http", "[intranet]"),
    ],
)
def test_nonsense_in_the_setting_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"neither a network nor a host|no valid port|every address"):
        AllowedTargets.parse(text)


def test_the_systems_resolver_is_used_by_default() -> None:
    assert set(asyncio.run(Guard().resolver("localhost", 80))) <= {"127.0.0.1", "::1"}
    with pytest.raises(ToolAddressRefused):
        asyncio.run(passes(Guard(), "http://localhost/"))
    with pytest.raises(ToolUnavailable):
        asyncio.run(passes(Guard(), "http://no-such-name.invalid/"))
