"""The staff of the tests, and a workspace with one of everything."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from chat_sessions import sessions
from chat_sessions.models import ChatSession
from tests.conftest import PASSWORD, Tenant, make_user
from tests.console.addresses import of_things, opens_a_page
from threadhub.audit.models import AccessAlert, AuditEvent
from threadhub.lib import ids
from threadhub.workspaces import invitations
from threadhub.workspaces.models import ApiKey, Invitation, Membership, User
from threadhub.workspaces.permissions import Role
from threads.actions import messages, threads
from threads.actions.messages import Draft
from threads.attachments import Upload
from threads.lifecycle import holds, policies, reports, system_policies
from threads.models import (
    Attachment,
    Bundle,
    CannedAnswer,
    Erasure,
    Export,
    Note,
    RetentionJob,
    Run,
    Summary,
    Thread,
    Tombstone,
    ToolApproval,
)  # fmt: skip
from threads.runs import waiting
from threads.runs.start import start

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 20


@pytest.fixture
def root(db: None) -> User:
    return User.objects.create_superuser("root", password=PASSWORD)


@pytest.fixture
def console(root: User) -> Client:
    """Asks as a superuser."""
    return signed_in(root)


@pytest.fixture
def olivia(tenant: Tenant) -> User:
    """Staff, and owner of acme: sees acme and nothing else."""
    olivia = make_user("olivia", tenant.workspace, Role.OWNER)
    User.objects.filter(pk=olivia.pk).update(is_staff=True)
    olivia.refresh_from_db()
    return olivia


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def say(thread: Thread, tenant: Tenant, *drafts: Draft) -> list[Any]:
    return messages.append(actor=tenant.actor, thread=thread, drafts=drafts)


@dataclass(frozen=True)
class Everything:
    """One of everything that has a page, in one workspace."""

    tenant: Tenant
    thread: Thread
    run: Run
    session: ChatSession
    approval: ToolApproval
    retention: dict[str, str]  # noun: id, of what threads/lifecycle has

    def things(self) -> dict[str, Any]:
        """noun: the id of one of them."""
        own = {"workspace": self.tenant.workspace}
        of_its_id = {"workspace_id": self.tenant.workspace.pk}
        job = ProcrastinateJob.objects.order_by("pk").first()
        return {
            "threads/thread": self.thread.wire_id,
            "threads/run": self.run.wire_id,
            "threads/cannedanswer": CannedAnswer.objects.get(**own).wire_id,
            "threads/toolapproval": self.approval.wire_id,
            "chat_sessions/chatsession": self.session.wire_id,
            "agents/agent": self.tenant.agent.wire_id,
            "agents/tool": self.tenant.agent.tools.get().wire_id,
            "workspaces/workspace": self.tenant.workspace.wire_id,
            "workspaces/membership": Membership.objects.get(**own, user=self.tenant.owner).pk,
            "workspaces/invitation": Invitation.objects.filter(**own).earliest("pk").wire_id,
            "workspaces/apikey": ApiKey.objects.get(**own).wire_id,
            "workspaces/user": self.tenant.owner.wire_id,
            "audit/accessalert": AccessAlert.objects.filter(**of_its_id).earliest("pk").wire_id,
            "audit/auditevent": AuditEvent.objects.filter(**of_its_id).latest("pk").wire_id,
            "procrastinate/procrastinatejob": job.pk if job else 1,  # of the first there will be
            **self.retention,
        }

    def addresses(self) -> dict[str, str]:
        """name: address, of all that can be asked of these things; names as `addresses.of_things` has them."""
        file = Attachment.objects.filter(thread=self.thread).earliest("pk")
        return of_things(self.things(), {"number": 1, "file_id": file.wire_id, "way": "older"})

    def pages(self) -> dict[str, str]:
        """Those of them that are pages: every list, detail, form, history and question."""
        return {name: address for name, address in self.addresses().items() if opens_a_page(name)}


def furnish(tenant: Tenant, text: str) -> Everything:
    """One of everything, with `text` as its words."""
    actor, now = tenant.actor, timezone.now()
    session = sessions.open(
        actor=actor,
        agent_id=tenant.agent.pk,
        external_ref=text,
        now=now,
        allowed_vectors=[text],
        system_prompt_variables={text: text},
    ).session
    thread = threads.create(
        actor=actor, agent_id=tenant.agent.pk, now=now, title=text, external_ref=text, metadata={text: text}
    )
    Thread.objects.filter(pk=thread.pk).update(chat_session=session, labels=[text[:40]])
    Note.objects.create(workspace=tenant.workspace, thread=thread, author=f"user:{tenant.owner.pk}", text=text)
    CannedAnswer.objects.create(workspace=tenant.workspace, title=text[:80], text=text)
    say(
        thread,
        tenant,
        Draft(role="system", content=text, title=text, name=text),
        Draft(role="user", content=text, kind="image", uploads=[Upload(text[:100], "image/png", PNG)]),
        Draft(role="assistant", content=text, tool_calls=[{"id": text, "name": text, "arguments": {text: text}}]),
        Draft(role="tool", tool_call_id=text, name=text, tool_result={text: text}),
        Draft(role="tool", tool_call_id="unknown", name=text, tool_result={"error": text}),
    )
    run = start(actor=actor, thread=thread, drafts=[Draft(role="user", content=text)], now=now).run
    changes = {"error_message": text, "error_code": text[:64], "model": text[:200], "options": {text: text}}
    Run.objects.filter(pk=run.pk).update(enabled_tools=[text], started_at=now, **changes)
    Summary.objects.create(workspace=tenant.workspace, thread=thread, from_position=1, to_position=2, text=text)
    run.refresh_from_db()
    approval = ToolApproval.objects.create(
        workspace=tenant.workspace, thread=thread, run=run, tool=tenant.agent.tools.get(), tool_name=text[:64],
        tool_digest=b"", tool_call_id=text, arguments=waiting.canonical({text: text}), arguments_digest=b"",
        expires_at=now + timedelta(days=1), reason=text, decided_by=text[:64],
    )  # fmt: skip
    invitations.create(actor=actor, invitee="somebody-invited", role=Role.VIEWER, now=now)
    AccessAlert.objects.create(
        workspace_id=tenant.workspace.pk, actor=text, kind="reads", window_start=now, count=1, address=text
    )
    return Everything(tenant, thread, run, session, approval, furnish_retention(tenant, text))


def furnish_retention(tenant: Tenant, text: str) -> dict[str, str]:
    """A policy, a hold and the like, none of which concerns a thread there is, with `text` as their words."""
    actor, now, workspace = tenant.actor, timezone.now(), tenant.workspace
    terms: dict[str, Any] = {"action": "archive", "days": 90, "name": text[:200]}
    terms |= {"external_ref_prefix": f"{text} none", "metadata": {text: text}}
    report = {
        "ended": text,
        "taken": 1,
        "actions": {text: 1},
        "skipped": {text: 1},
        "bundles": [text],
        "faults": [text],
    }
    hold = holds.place(actor=actor, scope="external_ref", external_ref=f"{text} none", reason=text, now=now)
    sweep = reports.keep(workspace_id=workspace.pk, kind="retention", cutoff=now, now=now, report=report)
    bundle = Bundle.objects.create(
        workspace=workspace, number=1, name="0" * 64, path=text, size=1, sha256="0" * 64, manifest_sha256="0" * 64,
        thread_count=1, message_count=1,
    )  # fmt: skip
    job = RetentionJob.objects.create(
        workspace=workspace, kind="restore", cutoff=now, bundle_id=bundle.pk, asked_by=text[:64], error=text,
        status="done", ended="failed", reports=[report], finished_at=now,
    )  # fmt: skip
    stone = Tombstone.objects.create(
        thread_id=ids.new(), workspace=workspace, reason="client", purged_by=text[:64], agent_id=tenant.agent.pk,
        state="active", message_count=1, attachment_count=0, evidence="0" * 64,
    )  # fmt: skip
    erasure = Erasure.objects.create(
        workspace=workspace, subject="user", state="done", plan={"counts": {text: 1}}, progress={text: 1},
        requested_by=text[:64], confirmed_by=text[:64], confirmed_at=now, finished_at=now, signature="0" * 64,
        certificate={"account": text, "verified": {"mentioned_by_others": {text: 1}}},
    )  # fmt: skip
    export = Export.objects.create(
        workspace=workspace, format="html", state="failed", error_code=text[:64], requested_by=text[:64],
        expires_at=now + timedelta(days=1),
    )  # fmt: skip
    return {
        "threads/retentionpolicy": policies.create(actor=actor, now=now, **terms).wire_id,
        "threads/systempolicy": system_policies.create(actor=actor, now=now, **terms).wire_id,
        "threads/hold": hold.wire_id,
        "threads/sweep": sweep.wire_id,
        "threads/bundle": bundle.wire_id,
        "threads/retentionjob": job.wire_id,
        "threads/tombstone": stone.wire_id,
        "threads/retentionsettings": workspace.wire_id,
        "threads/erasure": erasure.wire_id,
        "threads/export": export.wire_id,
    }


@pytest.fixture
def everything(tenant: Tenant) -> Everything:
    made = furnish(tenant, "Where is my order?")
    Run.objects.filter(pk=made.run.pk).update(finished_at=None, started_at=timezone.now() - timedelta(seconds=2))
    return made
