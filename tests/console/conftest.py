"""The staff of the tests, and a workspace with one of everything."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from chat_sessions import sessions
from chat_sessions.models import ChatSession
from tests.conftest import PASSWORD, Tenant, make_user
from threadhub.workspaces.models import ApiKey, Membership, User
from threadhub.workspaces.permissions import Role
from threads.actions import messages, threads
from threads.actions.messages import Draft
from threads.attachments import Upload
from threads.models import Run, Summary, Thread
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

    def pages(self) -> dict[str, str]:
        """name: address, of every list, detail, form, history and question."""
        agent, tool = self.tenant.agent, self.tenant.agent.tools.get()
        key = ApiKey.objects.get(workspace=self.tenant.workspace)
        member = Membership.objects.get(workspace=self.tenant.workspace, user=self.tenant.owner)
        things: dict[str, Any] = {
            "threads/thread": self.thread.wire_id,
            "threads/run": self.run.wire_id,
            "chat_sessions/chatsession": self.session.wire_id,
            "agents/agent": agent.wire_id,
            "agents/tool": tool.wire_id,
            "workspaces/workspace": self.tenant.workspace.wire_id,
            "workspaces/membership": member.pk,
            "workspaces/apikey": key.wire_id,
            "workspaces/user": self.tenant.owner.wire_id,
        }
        pages = {"overview": "/admin/"}
        for noun, wire_id in things.items():
            pages[f"{noun} list"] = f"/admin/{noun}/"
            pages[f"{noun} page"] = f"/admin/{noun}/{wire_id}/change/"
            pages[f"{noun} history"] = f"/admin/{noun}/{wire_id}/history/"
        for noun in ("agents/agent", "agents/tool", "workspaces/membership", "workspaces/apikey"):
            pages[f"{noun} add"] = f"/admin/{noun}/add/"
        deeds = {
            "threads/thread": "delete", "threads/run": "cancel", "chat_sessions/chatsession": "end",
            "agents/tool": "remove", "workspaces/membership": "remove", "workspaces/apikey": "revoke",
        }  # fmt: skip
        for noun, deed in deeds.items():
            pages[f"{noun} {deed}"] = f"/admin/{noun}/{things[noun]}/do/{deed}/"
        pages["jobs"] = "/admin/procrastinate/procrastinatejob/"
        return pages


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
    Thread.objects.filter(pk=thread.pk).update(chat_session=session)
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
    changes = {"error_message": text, "error_code": text[:64], "model": text, "options": {text: text}}
    Run.objects.filter(pk=run.pk).update(enabled_tools=[text], started_at=now, **changes)
    Summary.objects.create(workspace=tenant.workspace, thread=thread, from_position=1, to_position=2, text=text)
    run.refresh_from_db()
    return Everything(tenant, thread, run, session)


@pytest.fixture
def everything(tenant: Tenant) -> Everything:
    made = furnish(tenant, "Where is my order?")
    Run.objects.filter(pk=made.run.pk).update(finished_at=None, started_at=timezone.now() - timedelta(seconds=2))
    return made
