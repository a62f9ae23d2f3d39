"""No deed of the console without an event, and no page that shows what was said without one.

Both are walked from the addresses of the admin site: whoever adds a page, a form or a deed adds a row here, or this
fails.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import transaction
from django.test import Client
from django.utils import timezone

from tests.conftest import PASSWORD, Tenant
from tests.console.addresses import addresses, may_be_added, models
from tests.console.conftest import Everything, furnish
from tests.console.retention import TERMS, apply_page, plan_of
from tests.console.test_agent_pages import form_of
from tests.console.test_approvals import wanted
from tests.lifecycle.conftest import archive_directory, old_thread, policy  # noqa: F401  fixture
from threadhub.agents import browsers
from threadhub.audit.models import AuditEvent
from threadhub.workspaces import invitations
from threadhub.workspaces.models import Membership, User, Workspace
from threadhub.workspaces.permissions import Role
from threads.lifecycle import acts, holds, jobs, policies, preferences, system_policies
from threads.lifecycle.erasure import erasures
from threads.lifecycle.exporting import exports
from threads.models import Bundle, Erasure, Message, RetentionJob, Run, Summary, ToolApproval
from threads.runs import waiting

Ask = Callable[[], Any]
# Pages that Django's admin has for every model, and what they do here.
READ_ONLY = ("changelist", "history", "delete")  # nothing is deleted but by a deed
# Addresses that belong to no model, and do nothing to anybody's things.
OF_THE_SITE = {"index", "jsi18n", "autocomplete", "view_on_site", "app_list", "search", "password_change_done"}


def deeds() -> set[str]:
    """Everything that somebody can do with a POST: deeds, forms, and pages of their own."""
    found = set()
    for noun, admin in models().items():
        found |= {f"{noun} {deed.name}" for deed in admin.deeds}
        found |= {f"{noun} add"} if may_be_added(noun) else set()
        found |= {f"{noun} change"} if admin.may_be_changed else set()
    return found | {name for _, name in addresses() if name in pages_of_their_own()}


def pages_of_their_own() -> set[str]:
    """Names of addresses that are of no kind that every model has."""
    common = {f"{noun.replace('/', '_')}_{kind}" for noun in models() for kind in (*READ_ONLY, "add", "change", "deed")}
    return {name for _, name in addresses()} - common - OF_THE_SITE


class Deeds:
    """One request for each deed, on things made for it."""

    def __init__(self, console: Client, everything: Everything) -> None:
        self.console, self.everything, self.tenant = console, everything, everything.tenant
        self.things = everything.things()
        self.workspace = str(self.tenant.workspace.pk)

    def page(self, noun: str, rest: str = "change/") -> str:
        return f"/admin/{noun}/{self.things[noun]}/{rest}"

    def do(self, noun: str, deed: str, **data: Any) -> Any:
        return self.console.post(self.page(noun, f"do/{deed}/"), data)

    def save(self, noun: str, **data: Any) -> Any:
        return self.console.post(self.page(noun), data)

    def add(self, noun: str, **data: Any) -> Any:
        return self.console.post(f"/admin/{noun}/add/", data)

    def member(self) -> User:
        user = User.objects.create_user(f"m{timezone.now():%f}", password=PASSWORD)
        Membership.objects.create(workspace=self.tenant.workspace, user=user, role=Role.MEMBER)
        return user

    def thread(self, deed: str, *, trash: int = 0, archived: bool = False, pinned: bool = False, **data: Any) -> Any:
        thread = old_thread(self.tenant)
        now, actor = timezone.now(), self.tenant.actor
        if pinned:
            acts.pin(actor=actor, thread=thread)
        if archived:
            acts.archive(actor=actor, thread=thread, now=now)
        if trash:
            preferences.change(actor=actor, now=now, trash_days=trash)
            acts.delete(actor=actor, thread=thread, now=now)
        if trash or deed == "delete":  # which is final where there is no trash
            data = {**data, "typed": thread.wire_id[-6:]}
        return self.console.post(f"/admin/threads/thread/{thread.wire_id}/do/{deed}/", data)

    def bundle(self, deed: str) -> Any:
        acts.archive(actor=self.tenant.actor, thread=old_thread(self.tenant), now=timezone.now())
        bundle = Bundle.objects.latest("number")
        RetentionJob.objects.all().delete()
        return self.console.post(f"/admin/threads/bundle/{bundle.wire_id}/do/{deed}/")

    def job(self) -> Any:
        RetentionJob.objects.all().delete()
        acts.archive(actor=self.tenant.actor, thread=old_thread(self.tenant), now=timezone.now())
        job = jobs.verify_bundle(actor=self.tenant.actor, bundle=Bundle.objects.latest("number"), now=timezone.now())
        return self.console.post(f"/admin/threads/retentionjob/{job.wire_id}/do/stop/")

    def decided(self, deed: str) -> Any:
        approval = wanted(self.everything, "UTC")
        return self.console.post(f"/admin/threads/toolapproval/{approval.wire_id}/do/{deed}/")

    def at_the_desk(self) -> Any:
        """Each of its deeds; the answer of the first that left nothing."""
        answer = None
        for name, data in (
            ("take_over", {}), ("answer", {"text": "Hello."}), ("assign", {"assignee": ""}), ("label", {"labels": "a"}),
            ("note", {"text": "n"}), ("hand_back", {}),
        ):  # fmt: skip
            known = AuditEvent.objects.count()
            answer = self.console.post(self.page("threads/thread", f"desk/{name}/"), data)
            assert AuditEvent.objects.count() > known, name
        return answer

    def cancelled(self) -> Any:
        Run.objects.filter(pk=self.everything.run.pk).update(status="running", finished_at=None)
        return self.do("threads/run", "cancel")

    def policy(self, deed: str) -> Any:
        made = policies.create(actor=self.tenant.actor, now=timezone.now(), action="archive", days=90)
        policies.preview(actor=self.tenant.actor, policy=made)
        if deed == "disable":
            made = policy(self.tenant, action="archive")
        return self.console.post(f"/admin/threads/retentionpolicy/{made.wire_id}/do/{deed}/")

    def system_policy(self, deed: str) -> Any:
        now, actor = timezone.now(), self.tenant.actor
        made = system_policies.create(actor=actor, now=now, action="archive", days=90)
        system_policies.preview(actor=actor, policy=made)
        if deed == "disable":
            made.refresh_from_db()
            system_policies.enable(actor=actor, policy=made, now=now)
        return self.console.post(f"/admin/threads/systempolicy/{made.wire_id}/do/{deed}/")

    def withdrawn(self, deed: str) -> Any:
        for make in (browsers.new_public_key, browsers.new_identity_secret):
            make(actor=self.tenant.actor, agent=self.tenant.agent, now=timezone.now())
        return self.do("agents/agent", deed)

    def gone_back(self) -> Any:
        page = self.page("agents/agent", "history/1/")
        seen = re.search(r'name="seen" value="(\d+)"', self.console.get(page).content.decode())
        assert seen
        return self.console.post(page, {"seen": seen[1]})

    def removed_member(self) -> Any:
        membership = Membership.objects.get(user=self.member())
        return self.console.post(f"/admin/workspaces/membership/{membership.pk}/do/remove/")

    def changed_member(self) -> Any:
        membership = Membership.objects.get(user=self.member())
        return self.console.post(f"/admin/workspaces/membership/{membership.pk}/change/", {"role": "viewer"})

    def invitation(self) -> Any:
        made, _ = invitations.create(actor=self.tenant.actor, invitee="somebody", role=Role.VIEWER, now=timezone.now())
        return self.console.post(f"/admin/workspaces/invitation/{made.wire_id}/do/withdraw/")

    def applied(self) -> Any:
        RetentionJob.objects.all().delete()
        old_thread(self.tenant)
        policy(self.tenant, action="archive", days=60)
        return self.console.post(apply_page(self.tenant), plan_of(self.console, self.tenant))

    def hold(self) -> Any:
        return self.add(
            "threads/hold", workspace=self.workspace, scope="external_ref", target="nobody's", reason="A case."
        )

    def listed(self) -> Any:
        old_thread(self.tenant, external_ref="somebody")
        return self.add("threads/erasure", workspace=self.workspace, subject="external_ref", value="somebody")

    def erased(self) -> Any:
        self.listed()
        erasure = Erasure.objects.latest("created_at")
        code = erasures.code_of(erasure.workspace_id, erasure.plan_hash)
        return self.console.post(f"/admin/threads/erasure/{erasure.wire_id}/do/erase/", {"typed": code})

    def downloaded(self) -> Any:
        made = exports.ask(actor=self.tenant.actor, format="csv", now=timezone.now(), external_ref="nobody's")
        exports.make(workspace_id=self.tenant.workspace.pk, export_id=made.pk)
        answer = self.console.get(f"/admin/threads/export/{made.wire_id}/download/")
        assert b"".join(answer.streaming_content)  # and the file is closed
        return answer

    def released(self) -> Any:
        hold = holds.place(
            actor=self.tenant.actor, scope="external_ref", external_ref="x", reason="A case.", now=timezone.now()
        )
        return self.console.post(f"/admin/threads/hold/{hold.wire_id}/do/release/", {"reason": "It is over."})

    def person(self, **changes: Any) -> Any:
        user = self.member()
        form = {"username": user.username, "is_active": "on", "metadata": "{}", "first_name": "Una", **changes}
        return self.console.post(f"/admin/workspaces/user/{user.wire_id}/change/", form)

    def password(self) -> Any:
        form = {"password1": f"{PASSWORD} 2", "password2": f"{PASSWORD} 2", "usable_password": "true"}
        return self.console.post(f"/admin/workspaces/user/{self.member().wire_id}/password/", form)

    def own_password(self) -> Any:
        form = {"old_password": PASSWORD, "new_password1": f"{PASSWORD} 3", "new_password2": f"{PASSWORD} 3"}
        return self.console.post("/admin/password_change/", form)

    def signed_in(self) -> Any:
        return Client().post("/admin/login/", {"username": "root", "password": PASSWORD})

    def signed_out(self) -> Any:
        client = Client()
        client.force_login(User.objects.get(username="root"))
        return client.post("/admin/logout/")

    def rows(self) -> dict[str, Ask]:
        key = {"workspace": self.workspace, "name": "k", "username": self.tenant.owner.username, "scopes": ["read"]}
        without_tools = str(Workspace.objects.create(name="Without tools").pk)
        tool = {"workspace": without_tools, "name": "current_time", "description": "", "approval": "never"}
        agent = {"workspace": self.workspace, "name": "New", "provider": "echo"}
        invitee = {"workspace": self.workspace, "invitee": "mallory", "role": "viewer"}
        stranger = User.objects.create_user("stranger", password=PASSWORD)
        settings = {
            "schedule": "weekly", "time_zone": "Europe/Rome", "trash_days": 3, "grace_hours": 1, "brake_percent": 50,
            "daily_cap": "",
        }  # fmt: skip
        return {
            "workspaces/workspace add": lambda: self.add(
                "workspaces/workspace", name="New", external_ref_policy="warn"
            ),
            "workspaces/workspace change": lambda: self.save(
                "workspaces/workspace", name="Other", external_ref_policy="warn"
            ),
            "workspaces/workspace budget": lambda: self.do("workspaces/workspace", "budget", day_tokens="1000000"),
            "workspaces/membership add": lambda: self.add(
                "workspaces/membership", workspace=self.workspace, username=stranger.username, role="viewer"
            ),
            "workspaces/membership change": self.changed_member,
            "workspaces/membership remove": self.removed_member,
            "workspaces/invitation add": lambda: self.add("workspaces/invitation", **invitee),
            "workspaces/invitation withdraw": self.invitation,
            "workspaces/apikey add": lambda: self.add("workspaces/apikey", **key),
            "workspaces/apikey limit": lambda: self.do("workspaces/apikey", "limit", rate_limit="30"),
            "workspaces/apikey rotate": lambda: self.do("workspaces/apikey", "rotate"),
            "workspaces/user add": lambda: self.add(
                "workspaces/user", username="nina", password1=PASSWORD, password2=PASSWORD, usable_password="true"
            ),
            "workspaces/user change": self.person,
            "auth_user_password_change": self.password,
            "agents/agent add": lambda: self.add("agents/agent", **agent),
            "agents/agent change": lambda: self.save("agents/agent", **form_of(self.tenant.agent, name="Other")),
            "agents_agent_try": lambda: self.console.post(
                self.page("agents/agent", "try/"), form_of(self.tenant.agent, said='[["user", "Hello!"]]')
            ),
            "agents_agent_add_try": lambda: self.console.post(
                "/admin/agents/agent/add/try/", {**agent, "said": '[["user", "Hello!"]]'}
            ),
            "agents/agent new_public_key": lambda: self.do("agents/agent", "new_public_key"),
            "agents/agent withdraw_public_key": lambda: self.withdrawn("withdraw_public_key"),
            "agents/agent new_identity_secret": lambda: self.do("agents/agent", "new_identity_secret"),
            "agents/agent withdraw_identity_secret": lambda: self.withdrawn("withdraw_identity_secret"),
            "agents_agent_version": self.gone_back,
            "agents/tool add": lambda: self.add("agents/tool", **tool),
            "agents/tool change": lambda: self.save("agents/tool", description="New words.", approval="never"),
            "chat_sessions/chatsession end": lambda: self.do("chat_sessions/chatsession", "end"),
            "threads/thread archive": lambda: self.thread("archive"),
            "threads/thread unarchive": lambda: self.thread("unarchive", archived=True),
            "threads/thread pin": lambda: self.thread("pin"),
            "threads/thread unpin": lambda: self.thread("unpin", pinned=True),
            "threads/thread untrash": lambda: self.thread("untrash", trash=7),
            "threads/thread purge": lambda: self.thread("purge", trash=7),
            "threads/thread delete": lambda: self.thread("delete"),
            "threads_thread_desk": self.at_the_desk,
            "threads/cannedanswer add": lambda: self.add(
                "threads/cannedanswer", workspace=self.workspace, title="Greeting", text="Hello!"
            ),
            "threads/cannedanswer change": lambda: self.save("threads/cannedanswer", title="Other", text="Hello!"),
            "threads/cannedanswer remove": lambda: self.do("threads/cannedanswer", "remove"),
            "threads/run cancel": self.cancelled,
            "threads/toolapproval approve": lambda: self.decided("approve"),
            "threads/toolapproval refuse": lambda: self.decided("refuse"),
            "threads/hold add": self.hold,
            "threads/hold release": self.released,
            "threads/erasure add": lambda: self.listed(),
            "threads/erasure erase": self.erased,
            "threads_erasure_certificate": lambda: self.console.get(self.page("threads/erasure", "certificate/")),
            "threads/export add": lambda: self.add(
                "threads/export", workspace=self.workspace, scope="workspace", target="", format="csv",
                typed="Other",
            ),
            "threads_export_download": self.downloaded,
            "threads/bundle verify": lambda: self.bundle("verify"),
            "threads/bundle restore": lambda: self.bundle("restore"),
            "threads/retentionjob stop": self.job,
            "threads/retentionpolicy add": lambda: self.add(
                "threads/retentionpolicy", workspace=self.workspace, **TERMS
            ),
            "threads/retentionpolicy change": lambda: self.save("threads/retentionpolicy", **TERMS),
            "threads/retentionpolicy enable": lambda: self.policy("enable"),
            "threads/retentionpolicy disable": lambda: self.policy("disable"),
            "threads/retentionpolicy remove": lambda: self.policy("remove"),
            "threads_retentionpolicy_preview": lambda: self.console.get(
                self.page("threads/retentionpolicy", "preview/")
            ),
            "threads/systempolicy add": lambda: self.add("threads/systempolicy", **TERMS),
            "threads/systempolicy change": lambda: self.save("threads/systempolicy", **TERMS),
            "threads/systempolicy enable": lambda: self.system_policy("enable"),
            "threads/systempolicy disable": lambda: self.system_policy("disable"),
            "threads/systempolicy remove": lambda: self.system_policy("remove"),
            "threads_systempolicy_preview": lambda: self.console.get(self.page("threads/systempolicy", "preview/")),
            "threads/retentionsettings change": lambda: self.save("threads/retentionsettings", **settings),
            "threads_retentionsettings_apply": self.applied,
            "login": self.signed_in,
            "logout": self.signed_out,
            "password_change": self.own_password,
            # Last, as others want what these take away.
            "agents/tool remove": lambda: self.do("agents/tool", "remove"),
            "workspaces/apikey revoke": lambda: self.do("workspaces/apikey", "revoke"),
        }  # fmt: skip


# Pages of their own that only show: those that show what was said are walked below.
SHOWING = {
    "agents_agent_secret", "workspaces_apikey_secret", "workspaces_invitation_secret", "threads_thread_file",
    "threads_thread_window", "threads_thread_live", "threads_thread_find", "threads_thread_step",
    "threads_thread_reason",  # which is kept with the reading that follows
    "threads_retentionjob_progress", "threads_systempolicy_progress", "threads_erasure_progress",
    "threads_export_progress",
}  # fmt: skip


# Of deeds that answer with a page or a file of their own, the ends of the names.
PAGES = ("_preview", "_certificate", "_download", "_try", "logout")


@pytest.fixture
def deeds_on(console: Client, everything: Everything) -> Deeds:
    return Deeds(console, everything)


def test_every_deed_leaves_an_event(deeds_on: Deeds) -> None:
    """Of whoever did it, in the console, in the very request."""
    deeds_on.console.get("/admin/")  # the first request of a sign-in leaves one of its own
    without = {}
    for name, do in deeds_on.rows().items():
        known = set(AuditEvent.objects.values_list("pk", flat=True))
        answer = do()
        left = AuditEvent.objects.exclude(pk__in=known).filter(face="console").exclude(action="door.open")
        showed = answer.status_code == 200 and not name.endswith(PAGES)  # a form that came back
        if answer.status_code >= 400 or showed or not left.exists():
            answer.content = b"" if answer.streaming else answer.content
            errors = re.findall(r"errorlist[^>]*>(.*?)</ul>", answer.content.decode(), re.S)
            without[name] = (answer.status_code, errors, list(left.values_list("action", flat=True)))
    assert without == {}


def test_every_history_opens_after_what_was_done(deeds_on: Deeds) -> None:
    for do in deeds_on.rows().values():
        do()
    entries = LogEntry.objects.select_related("content_type")
    about = {(f"{each.content_type.app_label}/{each.content_type.model}", each.object_id) for each in entries}
    codes = {(noun, pk): deeds_on.console.get(f"/admin/{noun}/{pk}/history/").status_code for noun, pk in about}
    assert len(about) > 10
    assert set(codes.values()) <= {200, 302}, codes  # what is gone has none


def test_every_deed_of_the_site_has_a_row(deeds_on: Deeds) -> None:
    assert deeds() - SHOWING ^ deeds_on.rows().keys() == set()


SAID = "what-was-said-qzx7"


def said(tenant: Tenant) -> Everything:
    """One of everything; SAID stands in the words of a conversation and of its visitor, and nowhere else."""
    made = furnish(tenant, "Plain")
    words = {"words": SAID}
    Message.objects.filter(thread=made.thread).update(content=SAID, extra=words)
    Message.objects.filter(thread=made.thread, role="tool").update(tool_result=words)
    Summary.objects.filter(thread=made.thread).update(text=SAID)
    ToolApproval.objects.filter(thread=made.thread).update(arguments=waiting.canonical(words))
    type(made.session).objects.filter(pk=made.session.pk).update(metadata=words, system_prompt_variables=words)
    return made


def read(console: Client, address: str) -> tuple[str, set[str]]:
    """The page, and of which ids events say that they were read; taken back, as some count once in an hour only."""
    with transaction.atomic():
        html = console.get(address).content.decode(errors="replace")
        events = AuditEvent.objects.filter(action__endswith=".read").values_list("ids", flat=True)
        about = {each for ids in events for each in ids}
        transaction.set_rollback(True)
    return html, about


def test_every_page_that_shows_what_was_said_leaves_an_event(console: Client, tenant: Tenant) -> None:
    made = said(tenant)
    console.get("/admin/")
    shown, silent = set(), []
    for name, address in made.addresses().items():
        html, about = read(console, address)
        if SAID in html or name == "threads/thread file":
            shown.add(name)
            if not about & {made.thread.wire_id, made.session.wire_id}:
                silent.append(address)
    assert silent == []
    assert {"page", "file", "window"} <= {name.removeprefix("threads/thread ") for name in shown}
    assert "threads/toolapproval page" in shown
