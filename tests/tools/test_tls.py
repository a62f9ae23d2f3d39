"""Pinned addresses and TLS: the connection goes to the address, the certificate is the name's."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.tools.service import Reply, Service, answer, naming, redirect, service
from threadhub.agents.tools.http_tool import HttpTool
from threadhub.agents.tools.output import ToolOutput

NAME = "tool.example"
OTHER = "other.example"


class Authority:
    """Signs certificates; `trusting` is a client's context that knows this authority and no other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self.certificate = self._sign(self.key, self.name, [], lasts=timedelta(days=1), authority=True)

    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.certificate.public_bytes(serialization.Encoding.PEM).decode())

    def serving(self, *names: str, lasts: timedelta = timedelta(days=1)) -> ssl.SSLContext:
        """A server's context with a certificate for these names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        certificate = self._sign(key, subject, list(names), lasts=lasts)
        file = self.folder / f"{'-'.join(names)}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _sign(
        self, key: Any, subject: x509.Name, names: list[str], *, lasts: timedelta, authority: bool = False
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + lasts)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if names:
            general = [x509.IPAddress(ip_address(n)) if n[0].isdigit() else x509.DNSName(n) for n in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
        if authority:
            usage = dict.fromkeys(
                ("content_commitment", "data_encipherment", "encipher_only", "decipher_only", "key_agreement"), False
            )
            builder = builder.add_extension(
                x509.KeyUsage(
                    digital_signature=True, key_cert_sign=True, crl_sign=True, key_encipherment=False, **usage
                ),
                critical=True,
            )
        return builder.sign(self.key, hashes.SHA256())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def ask(
    reply: Reply, *, serving: ssl.SSLContext, trusting: ssl.SSLContext, host: str = NAME
) -> tuple[ToolOutput, Service]:
    async def run() -> tuple[ToolOutput, Service]:
        async with service(reply, tls=serving) as at:
            tool = HttpTool(at.url(host=host, scheme="https"), method="GET", secret_headers={"X-Key": "sesame-open"})
            return await tool.call({}, call_id="c", guard=naming(NAME, OTHER, tls=trusting)), at

    return asyncio.run(run())


def test_the_name_is_asked_for_and_verified(authority: Authority) -> None:
    output, at = ask(answer(b'"ok"'), serving=authority.serving(NAME), trusting=authority.trusting())
    assert output.content == "ok"
    assert at.server_names == [NAME]
    assert at.requests[0].headers["host"] == f"{NAME}:{at.port}"


def test_an_address_is_verified_as_an_address(authority: Authority) -> None:
    output, at = ask(
        answer(b'"ok"'), serving=authority.serving("127.0.0.1"), trusting=authority.trusting(), host="127.0.0.1"
    )
    assert output.content == "ok"
    assert at.server_names == [None]


@pytest.mark.parametrize("names", [(OTHER,), ("127.0.0.1",), ("*.tool.example",)])
def test_a_certificate_of_another_name_is_refused(authority: Authority, names: tuple[str, ...]) -> None:
    """Also that of the pinned address: it is the name that was asked for."""
    output, at = ask(answer(b'"ok"'), serving=authority.serving(*names), trusting=authority.trusting())
    assert (output.error_code, output.reason) == (
        "tool_unavailable",
        "The service's certificate could not be verified.",
    )
    assert at.requests == []
    assert output.may_have_acted is False


def test_an_expired_certificate_is_refused(authority: Authority) -> None:
    expired = authority.serving(NAME, lasts=timedelta(days=-1))
    output, at = ask(answer(b'"ok"'), serving=expired, trusting=authority.trusting())
    assert (output.error_code, at.requests) == ("tool_unavailable", [])


def test_an_unknown_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    output, at = ask(
        answer(b'"ok"'), serving=Authority(tmp_path / "other").serving(NAME), trusting=authority.trusting()
    )
    assert (output.error_code, at.requests) == ("tool_unavailable", [])
    assert "sesame" not in repr(output)


def test_the_systems_authorities_are_the_default(authority: Authority) -> None:
    async def run() -> ToolOutput:
        async with service(answer(b'"ok"'), tls=authority.serving(NAME)) as at:
            return await HttpTool(at.url(host=NAME, scheme="https")).call({}, call_id="c", guard=naming(NAME))

    assert asyncio.run(run()).error_code == "tool_unavailable"


def test_https_never_becomes_http(authority: Authority) -> None:
    async def run() -> tuple[ToolOutput, int, int]:
        async with (
            service(answer(b'"plain"')) as plain,
            service(redirect(plain.url(host=NAME), 307), tls=authority.serving(NAME)) as secure,
        ):
            tool = HttpTool(secure.url(host=NAME, scheme="https"), secret_headers={"X-Key": "sesame-open"})
            output = await tool.call({}, call_id="c", guard=naming(NAME, tls=authority.trusting()))
            return output, plain.connections, len(secure.requests)

    output, plain, secure = asyncio.run(run())
    assert output.error_code == "tool_address_refused"
    assert (plain, secure) == (0, 1)


def test_http_may_become_https_without_the_secrets(authority: Authority) -> None:
    async def run() -> tuple[ToolOutput, Service]:
        async with (
            service(answer(b'"secure"'), tls=authority.serving(OTHER)) as secure,
            service(redirect(secure.url(host=OTHER, scheme="https"), 307)) as plain,
        ):
            tool = HttpTool(plain.url(host=NAME), secret_headers={"X-Key": "sesame-open"})
            return await tool.call({}, call_id="c", guard=naming(NAME, OTHER, tls=authority.trusting())), secure

    output, secure = asyncio.run(run())
    assert output.content == "secure"
    assert secure.server_names == [OTHER]
    assert "x-key" not in secure.requests[0].headers
