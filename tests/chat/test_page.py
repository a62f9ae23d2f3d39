"""`/chat/{public key}` as a server sees it: who is given a page, and what their browser lets it do."""

from datetime import UTC, datetime

import pytest
from django.test import Client

from tests.conftest import Tenant
from threadhub.agents import browsers, configure
from threadhub.agents.models import Agent

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HERE = "http://testserver"
SHOP = "https://shop.example.org"


def opened(tenant: Tenant, *origins: str) -> Agent:
    """The tenant's agent with a public key, for pages of these origins."""
    agent = browsers.new_public_key(actor=tenant.actor, agent=tenant.agent, now=NOW)
    return configure.change(actor=tenant.actor, agent=agent, now=NOW, allowed_origins=list(origins))


def policy(response: object) -> dict[str, str]:
    rules = response["Content-Security-Policy"].split("; ")  # type: ignore[index]
    return {name: values for name, _, values in (rule.partition(" ") for rule in rules)}


def test_it_is_a_page_with_the_agents_name_and_no_cookie(client: Client, tenant: Tenant) -> None:
    agent = opened(tenant, HERE)
    configure.change(actor=tenant.actor, agent=agent, now=NOW, name='"><script>alert(1)</script>')
    response = client.get(f"/chat/{agent.public_key}")
    assert response.status_code == 200
    assert "&quot;&gt;&lt;script&gt;alert(1)" in response.content.decode()
    assert not response.cookies


def test_a_proxy_that_ends_tls_need_not_say_so(client: Client, tenant: Tenant) -> None:
    agent = opened(tenant, "https://testserver")
    assert client.get(f"/chat/{agent.public_key}").status_code == 200


def test_its_policy_allows_nothing_inline_and_nothing_from_elsewhere(client: Client, tenant: Tenant) -> None:
    rules = policy(client.get(f"/chat/{opened(tenant, HERE).public_key}"))
    assert rules.pop("frame-ancestors")
    assert rules.pop("require-trusted-types-for") == "'script'"
    assert set(rules.values()) == {"'none'", "'self'"}
    assert rules["default-src"] == "'none'"


def test_it_may_be_framed_by_the_agents_origins_only(client: Client, tenant: Tenant) -> None:
    response = client.get(f"/chat/{opened(tenant, HERE, SHOP).public_key}")
    assert policy(response)["frame-ancestors"] == f"'self' {HERE} {SHOP}"
    assert "X-Frame-Options" not in response


def test_whatever_the_reason_there_is_the_same_nothing(client: Client, tenant: Tenant) -> None:
    agent = opened(tenant, SHOP)
    other_origin = client.get(f"/chat/{agent.public_key}")
    agent = configure.change(actor=tenant.actor, agent=agent, now=NOW, allowed_origins=[HERE], active=False)
    disabled = client.get(f"/chat/{agent.public_key}")
    configure.change(actor=tenant.actor, agent=agent, now=NOW, active=True)
    assert client.get(f"/chat/{agent.public_key}").status_code == 200
    browsers.withdraw_public_key(actor=tenant.actor, agent=agent, now=NOW)
    withdrawn = client.get(f"/chat/{agent.public_key}")
    unknown = [client.get(f"/chat/{key}") for key in (f"pk_{'0' * 32}", "pk_%00", "x", "pk_" + "a" * 500)]
    for answer in (disabled, withdrawn, *unknown):
        assert answer.status_code == other_origin.status_code == 404
        assert answer.content == other_origin.content
        assert answer.headers == other_origin.headers


@pytest.mark.parametrize("method", ["post", "put", "delete", "options"])
def test_it_is_only_read(client: Client, tenant: Tenant, method: str) -> None:
    assert getattr(client, method)(f"/chat/{opened(tenant, HERE).public_key}").status_code == 405


def test_pages_of_every_origin_may_load_the_widget(client: Client) -> None:
    response = client.get("/chat/widget.js", headers={"origin": SHOP})
    assert response.status_code == 200
    assert response["Content-Type"] == "text/javascript; charset=utf-8"
    assert response["Access-Control-Allow-Origin"] == "*"
    assert not response.cookies
