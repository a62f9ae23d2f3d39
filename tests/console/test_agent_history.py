"""An agent's history in the console: its versions, and going back to one."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import Tenant, make_user
from tests.console.conftest import signed_in
from tests.console.test_agent_pages import form_of
from threadhub.agents import browsers, configure, leaving, toolbox
from threadhub.agents.models import AgentVersion, Budget
from threadhub.audit.forgetting import mask_person
from threadhub.audit.models import AuditEvent
from threadhub.workspaces import keys
from threadhub.workspaces.models import ApiKey, User
from threadhub.workspaces.permissions import Role


@pytest.fixture
def history(tenant: Tenant) -> str:
    """Its address; the agent was changed twice."""
    for instructions in ("Be kind.\nBe brief.", "Be kind.\nBe long."):
        configure.change(actor=tenant.actor, agent=tenant.agent, now=timezone.now(), instructions=instructions)
    return f"/admin/agents/agent/{tenant.agent.wire_id}/history/"


def test_it_tells_what_was_changed_by_whom(console: Client, history: str) -> None:
    html = console.get(history).content.decode()
    assert html.index("Version 3") < html.index("Version 2") < html.index("Version 1")
    assert "<del>- Be brief.</del>" in html
    assert "<ins>+ Be long.</ins>" in html
    assert html.count("Go back to it") == 2
    assert "key “test”" in html


def test_an_agent_without_a_version_says_so(console: Client, tenant: Tenant) -> None:
    AgentVersion.objects.filter(agent_id=tenant.agent.pk).delete()
    answer = console.get(f"/admin/agents/agent/{tenant.agent.wire_id}/history/")
    assert answer.status_code == 200
    assert "the next change makes the first version" in answer.content.decode()


def test_one_goes_back(console: Client, history: str, tenant: Tenant) -> None:
    asked = console.get(f"{history}2/").content.decode()
    assert "<ins>+ Be brief.</ins>" in asked
    assert console.post(f"{history}2/")["Location"] == f"{history}2/"  # not from the page: nothing is done
    answer = console.post(f"{history}2/", {"seen": "3"})
    assert (answer.status_code, answer["Location"]) == (302, history)
    tenant.agent.refresh_from_db()
    assert tenant.agent.instructions == "Be kind.\nBe brief."
    newest = AgentVersion.objects.filter(agent_id=tenant.agent.pk).latest("number")
    assert (newest.number, newest.restored_from) == (4, 2)
    assert newest.author.startswith("user:")
    assert AuditEvent.objects.filter(action="agent.update", actor=newest.author).exists()


def test_the_version_in_force_has_nothing_to_go_back_to(console: Client, history: str) -> None:
    html = console.get(f"{history}3/").content.decode()
    assert "answers as in version 3 now" in html
    assert "Go back to version" not in html


def test_what_is_gone_is_said(console: Client, history: str, tenant: Tenant) -> None:
    tenant.agent.tools.get().delete()
    assert "1 of its tools is gone since" in console.get(f"{history}1/").content.decode()


@pytest.mark.parametrize("number", ["0", "99", "x", "-1", "9" * 40, "%00", "1.5"])
def test_what_there_is_not(console: Client, history: str, number: str) -> None:
    assert console.get(f"{history}{number}/").status_code == 404
    assert console.post(f"{history}{number}/").status_code == 404


@pytest.mark.parametrize("cursor", ["x", "-1", "0", "9" * 40, "%00", "o.", "o1.x", f"n1.{'0' * 32}"])
def test_nonsense_for_a_page_is_the_first_page(console: Client, history: str, cursor: str) -> None:
    assert "Version 3" in console.get(f"{history}?p={cursor}").content.decode()


def test_long_histories_have_pages_without_gap_or_repetition(console: Client, history: str, tenant: Tenant) -> None:
    """Many versions, and then versions and other changes by turns."""
    actor, agent, by_turns = tenant.actor, tenant.agent, range(18, 24)
    for number in range(24):
        configure.change(actor=actor, agent=agent, now=timezone.now(), instructions=str(number))
        if number in by_turns:
            origins = [f"https://a{number}.example"]
            configure.change(actor=actor, agent=agent, now=timezone.now(), allowed_origins=origins)
    found: list[tuple[str, str]] = []
    address: str | None = history
    pages = 0
    while address is not None:
        html, pages = console.get(address).content.decode(), pages + 1
        found += re.findall(r"<h2>(Version \d+)</h2>|<ins>\+ (https://a\d+\.example)</ins>", html)
        older = re.search(r'href="(\?p=[^"]+)"', html)
        address = history + older[1] if older else None
    expected: list[str] = []
    for number in reversed(range(24)):
        expected += [f"https://a{number}.example"] if number in by_turns else []
        expected.append(f"Version {number + 4}")
    assert [version or origin for version, origin in found] == [*expected, "Version 3", "Version 2", "Version 1"]
    assert pages == 2


class TestWhatNoVersionHolds:
    """Stands in the history too, with who and when, and stays as it is where one goes back."""

    @pytest.fixture
    def alex(self, tenant: Tenant) -> User:
        """Staff, and an admin of acme: reads no audit trail."""
        alex = make_user("alex", tenant.workspace, Role.ADMIN)
        User.objects.filter(pk=alex.pk).update(is_staff=True, first_name="Alex", last_name="Adams")
        alex.refresh_from_db()
        return alex

    def history(self, user: User, tenant: Tenant) -> str:
        html = signed_in(user).get(f"/admin/agents/agent/{tenant.agent.wire_id}/history/").content.decode()
        return " ".join(html.split())

    def save(self, user: User, tenant: Tenant, **changes: object) -> None:
        tenant.agent.refresh_from_db()
        page = f"/admin/agents/agent/{tenant.agent.wire_id}/change/"
        form = {name: value for name, value in form_of(tenant.agent, **changes).items() if value is not None}
        assert signed_in(user).post(page, form).status_code == 302

    def test_one_save_is_one_entry(self, alex: User, tenant: Tenant) -> None:
        self.save(alex, tenant, instructions="Be kind.", active=None, allowed_origins="https://shop.example.org")
        html = self.history(alex, tenant)
        newest = html[html.index("Version 2") : html.index("Version 1")]
        assert "Alex Adams" in newest
        assert "<h3>Active</h3>" in newest
        assert "<del>- yes</del> <ins>+ no</ins>" in newest
        assert "<ins>+ https://shop.example.org</ins>" in newest
        assert "<ins>+ Be kind.</ins>" in newest
        assert "No new version" not in html

    def test_a_save_that_changes_nothing_leaves_nothing(self, alex: User, tenant: Tenant) -> None:
        self.save(alex, tenant)
        assert "No new version" not in self.history(alex, tenant)

    def test_who_may_have_it_is_told_by_name(self, alex: User, tenant: Tenant) -> None:
        key = ApiKey.objects.get(workspace=tenant.workspace)
        self.save(
            alex, tenant, allowed_roles=["member"], allowed_users=[str(tenant.owner.pk)], allowed_keys=[str(key.pk)],
            identity_required="on",
        )  # fmt: skip
        html = self.history(alex, tenant)
        for title, new in (
            ("Limited", "yes"), ("Only for these roles", "member"), ("For these people", tenant.owner.username),
            ("For these API keys", "key “test”"), ("Visitors must prove who they are", "yes"),
        ):  # fmt: skip
            section = html[html.index(f"<h3>{title}</h3>") :]
            assert f"<ins>+ {new}</ins>" in section[: section.index("</section>")]

    def test_who_leaves_is_told(self, alex: User, tenant: Tenant) -> None:
        mia = make_user("mia", tenant.workspace, Role.MEMBER)
        self.save(alex, tenant, allowed_users=[str(mia.pk)])
        actor = tenant.actor
        leaving.remove_member(actor=actor, user_id=mia.pk, now=timezone.now())
        html = self.history(alex, tenant)
        assert "<del>- mia</del>" in html
        assert html.index("<del>- mia</del>") < html.index("<ins>+ mia</ins>")
        tenant.agent.refresh_from_db()
        assert (tenant.agent.limited, tenant.agent.allowed_users) == (True, [])

    def test_a_key_that_ends_is_told(self, alex: User, tenant: Tenant) -> None:
        key, secret = keys.create(workspace=tenant.workspace, user=tenant.owner, name="door", agent_id=tenant.agent.pk)
        self.save(alex, tenant, allowed_keys=[str(key.pk)])
        leaving.revoke_key(actor=tenant.actor, key=key, now=timezone.now())
        html = self.history(alex, tenant)
        assert "key “door” was made for this agent alone." in html
        assert "key “door” was revoked." in html
        assert "<del>- key “door”</del>" in html
        assert secret not in html

    def test_its_keys_come_and_go_without_being_shown(self, alex: User, tenant: Tenant) -> None:
        client, page = signed_in(alex), f"/admin/agents/agent/{tenant.agent.wire_id}/do"
        secrets = []
        for deed in ("new_public_key", "new_public_key", "withdraw_public_key", "new_identity_secret"):
            answer = client.post(f"{page}/{deed}/")
            assert answer.status_code == 302
            tenant.agent.refresh_from_db()
            secrets.append(tenant.agent.public_key or "")
        secrets += re.findall(r"thi_\w+", client.get(answer["Location"]).content.decode())
        html = self.history(alex, tenant)
        order = ["A new one was made.", "It was withdrawn.", "A new one took the place", "A new one was made."]
        assert re.findall("|".join(map(re.escape, dict.fromkeys(order))), html) == order
        assert html.index("<h3>Identity secret</h3>") < html.index("<h3>Public key</h3>")
        assert [each for each in secrets if each and each in html] == []
        assert len([each for each in secrets if each]) == 3

    def test_budgets_are_told(self, alex: User, tenant: Tenant) -> None:
        self.save(alex, tenant, day_tokens="1000")
        self.save(alex, tenant, day_tokens="2000", month_tokens="30000")
        self.save(alex, tenant, **{"initial-day_tokens": "2000", "initial-month_tokens": "30000"})
        html = self.history(alex, tenant)
        assert re.findall(r"<(?:ins|del)>([^<]*) tokens a (day|month)<", html) == [
            ("- 2,000", "day"), ("- 30,000", "month"),
            ("- 1,000", "day"), ("+ 2,000", "day"), ("+ 30,000", "month"),
            ("+ 1,000", "day"),
        ]  # fmt: skip

    def test_what_an_erasure_took_is_said(self, alex: User, tenant: Tenant) -> None:
        self.save(alex, tenant, allowed_users=[str(alex.pk)])
        mask_person(actor=tenant.actor, identities=[], texts=[alex.wire_id], reason="asked")
        assert "What it was, an erasure took out of the trail." in self.history(alex, tenant)

    def test_going_back_says_what_stays_and_leaves_it(self, alex: User, tenant: Tenant) -> None:
        self.save(alex, tenant, instructions="Be kind.", active=None)
        browsers.new_public_key(actor=tenant.actor, agent=tenant.agent, now=timezone.now())
        self.save(alex, tenant, instructions="Be brief.", active=None, day_tokens="5", allowed_roles=["member"])
        tenant.agent.refresh_from_db()
        key = tenant.agent.public_key
        client, page = signed_in(alex), f"/admin/agents/agent/{tenant.agent.wire_id}/history"
        asked = " ".join(client.get(f"{page}/2/").content.decode().split())
        assert "<strong>Public key, Limited, Only for these roles, Budget</strong>" in asked
        assert re.findall("<h3>(.*?)</h3>", asked) == ["Instructions"]
        assert client.post(f"{page}/2/", {"seen": "3"})["Location"] == f"{page}/"
        tenant.agent.refresh_from_db()
        assert (tenant.agent.instructions, tenant.agent.active, tenant.agent.public_key) == ("Be kind.", False, key)
        assert (tenant.agent.limited, tenant.agent.allowed_roles) == (True, ["member"])
        assert Budget.objects.get().tokens == 5


def test_an_agent_that_was_changed_meanwhile_is_looked_at_again(console: Client, history: str, tenant: Tenant) -> None:
    asked = console.get(f"{history}2/").content.decode()
    assert 'name="seen" value="3"' in asked
    configure.change(actor=tenant.actor, agent=tenant.agent, now=timezone.now(), instructions="Be quick.")
    answer = console.post(f"{history}2/", {"seen": "3"}, follow=True)
    assert "The agent was changed meanwhile." in answer.content.decode()
    tenant.agent.refresh_from_db()
    assert tenant.agent.instructions == "Be quick."


def test_tools_are_told_by_name_and_only_those_that_come_back(console: Client, history: str, tenant: Tenant) -> None:
    tool = tenant.agent.tools.get()
    configure.change(actor=tenant.actor, agent=tenant.agent, now=timezone.now(), tools=[])
    assert f"<del>- {tool.name}</del>" in console.get(history).content.decode()
    assert f"<ins>+ {tool.name}</ins>" in console.get(f"{history}3/").content.decode()
    toolbox.remove(actor=tenant.actor, tool=tool, now=timezone.now())
    assert "<del>- a tool that is gone</del>" in console.get(history).content.decode()
    html = console.get(f"{history}3/").content.decode()
    assert "1 of its tools is gone since" in html
    assert "Go back to version" not in html  # nothing else would change


def test_the_history_costs_the_same_however_long_it_is(console: Client, history: str, tenant: Tenant) -> None:
    console.get(history)
    with CaptureQueriesContext(connection) as few:
        console.get(history)
    for number in range(30):
        origins = [f"https://a{number}.example"]
        configure.change(actor=tenant.actor, agent=tenant.agent, now=timezone.now(), allowed_origins=origins)
    with CaptureQueriesContext(connection) as many:
        console.get(history)
    assert len(many) == len(few) <= 12


def test_who_may_not_change_agents_sees_no_history(history: str, tenant: Tenant, other_tenant: Tenant) -> None:
    for workspace, role, status in ((tenant.workspace, Role.VIEWER, 403), (other_tenant.workspace, Role.OWNER, 404)):
        user = make_user(f"staff of {workspace.name}", workspace, role)
        User.objects.filter(pk=user.pk).update(is_staff=True)
        for address in (history, f"{history}1/"):
            assert signed_in(user).get(address).status_code in {status, 302, 404}
        assert signed_in(user).post(f"{history}1/").status_code in {status, 404}
    assert AgentVersion.objects.filter(agent_id=tenant.agent.pk).count() == 3
