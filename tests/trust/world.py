"""Two workspaces with one of everything that has an id, twice over; and everybody who may ask for it."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.utils import timezone

from chat_sessions.models import ChatSession
from tests.conftest import Api, Tenant, access_token, make_tenant, make_user
from threadhub.audit.models import AccessAlert
from threadhub.lib import ids
from threadhub.workspaces import invitations, keys
from threadhub.workspaces.models import ApiKey, User
from threadhub.workspaces.permissions import Role, Scope
from threads import access, branches
from threads.actions import chat_sessions, feedback, messages, threads
from threads.actions.messages import Draft
from threads.attachments import Upload
from threads.lifecycle import holds, policies
from threads.models import Attachment, Erasure, Export, Message, Run, RunEvent, Thread, ToolApproval

CANARY = "canary"
FAR = timedelta(days=300)
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 20


@dataclass
class Samples:
    """What one workspace has: noun → how it is named on the wire. All of its words begin with `words`."""

    tenant: Tenant
    words: str
    session: ChatSession
    chat_token: str
    refresh_token: str
    named: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Caller:
    """Somebody who asks; `own` is theirs, and of the victim's things the nouns in `foreign` are not."""

    name: str
    api: Api
    own: dict[str, str]
    foreign: frozenset[str]


@dataclass(frozen=True)
class World:
    victim: Samples
    other: Samples
    callers: dict[str, Caller]


ALL = frozenset(
    {
        "agent", "api_key", "approval", "attachment", "branch", "chat_session", "erasure", "export", "external_ref",
        "hold", "invitation",
        "key", "message", "policy", "run", "thread", "tool", "tool_call", "user", "workspace",
    }
)  # fmt: skip
# Whoever has one of these may use it; they are no names, and nobody's to try with.
SECRETS = frozenset({"chat_token", "invitation_token", "refresh_token"})
OF_A_THREAD = frozenset({"attachment", "branch", "external_ref", "message", "run", "thread", "tool_call"})


def furnish(tenant: Tenant, words: str) -> Samples:
    """One of everything; its first thread is a visitor's, and stands under its chat session too."""
    now, actor = timezone.now(), tenant.actor
    opened = chat_sessions.open_with_thread(
        actor=actor, agent_id=tenant.agent.pk, external_ref=f"{words}-ref", now=now, name=words, metadata={words: words}
    )
    for _ in range(2):  # so that each list has a second page
        run, call = talk(tenant, opened.thread, words)
        alert(tenant)
    thread = access.lock(thread=opened.thread)
    branches.fork(thread=thread, before=3, actor=actor, now=now)
    answer = Message.objects.filter(thread=thread, role="assistant").latest("position")
    feedback.give(actor=actor, thread=thread, message=answer, rating=1, now=now, text=words)
    key, _ = keys.create(workspace=tenant.workspace, user=tenant.owner, name=words, kind=ApiKey.Kind.PERSONAL)
    tool = tenant.agent.tools.order_by("name")[0]
    hold, invitation, token, policy = held(tenant, thread, words)
    erasure, export = taken_out(tenant, words)
    approval = ToolApproval.objects.filter(run=run).latest("created_at")
    threads.create(actor=actor, agent_id=tenant.agent.pk, now=now, title=words, external_ref=f"{words}-second")
    chat_sessions.open_with_thread(actor=actor, agent_id=tenant.agent.pk, external_ref=f"{words}-second", now=now)
    return Samples(
        tenant,
        words,
        opened.session,
        opened.chat_token,
        opened.refresh_token,
        {
            "agent": tenant.agent.wire_id,
            "api_key": ApiKey.objects.get(workspace=tenant.workspace, kind=ApiKey.Kind.WORKSPACE).wire_id,
            "approval": approval.wire_id,
            "attachment": Attachment.objects.filter(thread=thread).latest("created_at").wire_id,
            "branch": "1",
            "chat_session": opened.session.wire_id,
            "chat_token": opened.chat_token,
            "erasure": erasure,
            "export": export,
            "external_ref": f"{words}-ref",
            "hold": hold,
            "invitation": invitation,
            "invitation_token": token,
            "key": key.wire_id,
            "policy": policy,
            "message": answer.wire_id,
            "refresh_token": opened.refresh_token,
            "run": run.wire_id,
            "thread": thread.wire_id,
            "tool": tool.wire_id,
            "tool_call": call,
            "user": tenant.owner.wire_id,
            "workspace": tenant.workspace.wire_id,
        },
    )


def talk(tenant: Tenant, thread: Thread, words: str) -> tuple[Run, str]:
    """A question with a file, a run that wants an approval and an answer; the run and the id of its call."""
    now, call = timezone.now(), f"call_{ids.new().hex}"
    upload = Upload(f"{words}.png", "image/png", PNG)
    messages.append(
        actor=tenant.actor,
        thread=thread,
        drafts=[
            Draft(role="user", content=f"{words}: a question", title=words, uploads=[upload]),
            Draft(role="assistant", content=f"{words}: an answer", extra={words: words}),
        ],
    )
    number = Run.objects.filter(thread=thread).count() + 1
    where: dict[str, Any] = {"workspace_id": thread.workspace_id, "thread": thread}
    action = {"tool_calls": [{"id": call, "name": words, "arguments": {}}], "approvals": []}
    run = Run.objects.create(
        **where, agent=tenant.agent, number=number, status="requires_action", required_action=action, waiting=True,
        options={"client_tools": [{"name": words, "parameters": {"type": "object"}}]}, finished_at=now,
        context={"hash": words, "first": 1, "last": 1, "summaries": [], "instructions": words},
    )  # fmt: skip
    RunEvent.objects.create(workspace_id=thread.workspace_id, run=run, seq=1, type="text", data={"text": words})
    ToolApproval.objects.create(
        **where, run=run, tool=tenant.agent.tools.first(), tool_name=words, tool_digest=b"", tool_call_id=call,
        arguments="{}", arguments_digest=b"", expires_at=now + FAR,
    )  # fmt: skip
    return run, call


def held(tenant: Tenant, thread: Thread, words: str) -> tuple[str, str, str, str]:
    """A hold, an invitation with its token and a retention policy."""
    actor, now = tenant.actor, timezone.now()
    hold = holds.place(actor=actor, scope="thread", target_id=thread.pk, reason=words, now=now)
    invitation, token = invitations.create(actor=actor, invitee=f"{words}@example.org", role=Role.VIEWER, now=now)
    policy = policies.create(actor=actor, now=now, name=words, scope="workspace", action="archive", days=9)
    return hold.wire_id, invitation.wire_id, token, policy.wire_id


def taken_out(tenant: Tenant, words: str) -> tuple[str, str]:
    """An erasure that nobody has confirmed, and a finished export."""
    now, workspace = timezone.now(), tenant.workspace
    erasure = Erasure.objects.create(
        workspace=workspace, subject="external_ref", plan={"words": words}, plan_hash=words, requested_by=words
    )
    export = Export.objects.create(
        workspace=workspace, format="jsonl", requested_by=words, expires_at=now + timedelta(days=1), finished_at=now
    )
    return erasure.wire_id, export.wire_id


def alert(tenant: Tenant) -> None:
    AccessAlert.objects.create(
        workspace_id=tenant.workspace.pk, actor="key:x", kind="reads", window_start=timezone.now(), count=1
    )


def build() -> World:
    """The victim is "acme"; "evil" tries, and so do those in acme to whom not all of it is open."""
    acme, evil = make_tenant("acme"), make_tenant("evil")
    victim, other = furnish(acme, f"{CANARY}-acme"), furnish(evil, "evil")
    callers = [*outsiders(other), *insiders(victim)]
    return World(victim, other, {caller.name: caller for caller in callers})


def outsiders(other: Samples) -> list[Caller]:
    """Whoever has no place in the victim's workspace."""
    workspace, own = other.tenant.workspace, other.named
    viewer, member, support, compliance = (
        make_user(role.value, workspace, role) for role in (Role.VIEWER, Role.MEMBER, Role.SUPPORT, Role.COMPLIANCE)
    )
    staff = make_user("limited staff", workspace, Role.ADMIN)
    User.objects.filter(pk=staff.pk).update(is_staff=True)
    by_token = {
        "nobody": None,
        "bad key": f"{other.tenant.key[:-4]}aaaa",
        "owner": access_token(other.tenant.owner),
        "viewer": access_token(viewer),
        "support": access_token(support),
        "compliance": access_token(compliance),
        "limited staff": access_token(staff),
        "key": other.tenant.key,
        "read-only key": keys.create(workspace=workspace, user=other.tenant.owner, name="r", scopes=[Scope.READ])[1],
        "end user's key": personal_key(member, other.tenant),
        "session": other.chat_token,
    }
    return [Caller(name, Api(token), own, ALL) for name, token in by_token.items()]


def insiders(victim: Samples) -> list[Caller]:
    """Another visitor of the same agent, and another member of the same workspace who is no admin."""
    tenant, now = victim.tenant, timezone.now()
    opened = chat_sessions.open_with_thread(
        actor=tenant.actor, agent_id=tenant.agent.pk, external_ref="another visitor", now=now
    )
    member = make_user("a member of acme", tenant.workspace, Role.MEMBER)
    actor = keys.authenticate(secret=(key := personal_key(member, tenant)), now=now)
    mine = threads.create(actor=actor, agent_id=tenant.agent.pk, now=now)
    shared = {name: victim.named[name] for name in ("agent", "tool", "workspace")}
    visitors = {**shared, "chat_session": opened.session.wire_id, "thread": opened.thread.wire_id, "branch": "1"}
    return [
        Caller("another session", Api(opened.chat_token), visitors, OF_A_THREAD | {"chat_session"}),
        Caller("another member's key", Api(key), {**shared, "thread": mine.wire_id, "branch": "1"}, OF_A_THREAD),
        Caller("another member", Api(access_token(member)), {**shared, "thread": mine.wire_id, "branch": "1"},
               OF_A_THREAD | {"key"}),
    ]  # fmt: skip


def personal_key(user: User, tenant: Tenant) -> str:
    _, key = keys.create(workspace=tenant.workspace, user=user, name="personal", kind=ApiKey.Kind.PERSONAL)
    return key
