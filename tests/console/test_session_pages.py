"""Chat sessions and agents' doors for web pages in the console."""

import re

from django.test import Client
from django.utils import timezone

from tests.conftest import Tenant
from tests.console.conftest import signed_in
from tests.console.test_agent_pages import form_of
from threadhub.agents import browsers
from threadhub.workspaces.models import User
from threads.actions.chat_sessions import open_by_page_with_thread

AGENTS = "/admin/agents/agent/"
SESSIONS = "/admin/chat_sessions/chatsession/"
PAGE = "https://shop.example.org"


def test_a_session_shows_its_page_and_is_ended(console: Client, tenant: Tenant) -> None:
    agent = browsers.new_public_key(actor=tenant.actor, agent=tenant.agent, now=timezone.now())
    agent.allowed_origins = [PAGE]
    agent.save()
    session = open_by_page_with_thread(
        agent_key=str(agent.public_key), origin=PAGE, now=timezone.now(), name="<b>Ada</b>", metadata={"cart": 3}
    ).session
    url = f"{SESSIONS}{session.wire_id}/"
    page = console.get(f"{url}change/").content.decode()
    for text in ("Open", PAGE, "&lt;b&gt;Ada&lt;/b&gt; (anonymous)", "cart"):
        assert text in page, text
    assert "<b>Ada" not in page
    console.post(f"{url}do/end/")
    session.refresh_from_db()
    assert session.end_reason == "ended"
    assert console.get(SESSIONS).status_code == 200


def test_origins_are_kept_one_per_line(console: Client, tenant: Tenant) -> None:
    url = f"{AGENTS}{tenant.agent.wire_id}/change/"
    origins = f"{PAGE}\r\nhttp://localhost:3000"
    assert console.post(url, form_of(tenant.agent, allowed_origins=origins, identity_required="on")).status_code == 302
    tenant.agent.refresh_from_db()
    assert tenant.agent.allowed_origins == [PAGE, "http://localhost:3000"]
    assert tenant.agent.identity_required
    answer = console.post(url, form_of(tenant.agent, allowed_origins="https://*.example.org"))
    assert "Wildcards are not taken" in answer.content.decode()


def test_the_identity_secret_is_shown_once(console: Client, tenant: Tenant) -> None:
    url = f"{AGENTS}{tenant.agent.wire_id}/"
    answer = console.post(f"{url}do/new_identity_secret/", follow=True)
    assert "no-store" in answer["Cache-Control"]
    found = re.search(r"thi_[a-z0-9]+", answer.content.decode())
    assert found
    assert found[0] not in console.get(f"{AGENTS}{tenant.agent.wire_id}/secret/", follow=True).content.decode()
    assert found[0] not in console.get(f"{url}change/").content.decode()
    tenant.agent.refresh_from_db()
    assert tenant.agent.has_identity_secret
    console.post(f"{url}do/withdraw_identity_secret/")
    tenant.agent.refresh_from_db()
    assert not tenant.agent.has_identity_secret


def test_the_public_key_is_made_shown_and_withdrawn(console: Client, tenant: Tenant) -> None:
    url = f"{AGENTS}{tenant.agent.wire_id}/"
    console.post(f"{url}do/new_public_key/")
    tenant.agent.refresh_from_db()
    assert str(tenant.agent.public_key) in console.get(f"{url}change/").content.decode()
    console.post(f"{url}do/withdraw_public_key/")
    tenant.agent.refresh_from_db()
    assert tenant.agent.public_key is None


def test_foreign_staff_do_none_of_it(olivia: User, other_tenant: Tenant) -> None:
    client = signed_in(olivia)
    for deed in ("new_public_key", "new_identity_secret"):
        assert client.post(f"{AGENTS}{other_tenant.agent.wire_id}/do/{deed}/").status_code in (403, 404)
    other_tenant.agent.refresh_from_db()
    assert other_tenant.agent.public_key is None
    assert not other_tenant.agent.has_identity_secret
