"""One of everything that has a page, with hostile text wherever anybody can write."""

import json
from datetime import timedelta
from itertools import product
from typing import Any

from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.utils import timezone

from chat_sessions.models import ChatSession
from tests.conftest import Tenant, make_tenant
from tests.console.conftest import Everything, furnish
from tests.console.hostile import GROUPS, PAYLOADS
from threadhub.agents import changes
from threadhub.agents.models import Agent, AgentVersion, DailyUsage, Tool
from threadhub.audit.models import AccessAddress, AccessCount, AuditEvent
from threadhub.lib import ids
from threadhub.workspaces.models import ApiKey, EndUser, Invitation, User, Workspace
from threadhub.workspaces.models.end_user import REFERENCE_CHARACTERS
from threads.models import (
    Attachment,
    Branch,
    DailyActivity,
    Export,
    Feedback,
    Hold,
    Message,
    Note,
    RetentionJob,
    Run,
    RunEvent,
    SystemCount,
    SystemPolicy,
    Thread,
)  # fmt: skip
from threads.path import WHOLE

ACTION = "hostile.text"


def spread(tenant: Tenant, payload: str) -> Everything:
    """The payload in every text that anybody can write."""
    made = furnish(tenant, payload)
    own = {"workspace": tenant.workspace}
    Workspace.objects.filter(pk=tenant.workspace.pk).update(name=payload[:200])
    texts = dict.fromkeys(("name", "description", "instructions", "model"), payload)
    Agent.objects.filter(**own).update(
        **{**texts, "name": payload[:200], "model": payload[:200]}, metadata={payload: payload}
    )
    told = {**{name: f"{text} then" for name, text in texts.items()}, "metadata": {payload: payload}}
    for version in AgentVersion.objects.filter(**own):
        changes = {"values": {**version.values, **told}, "author": payload[:64], "changed": [payload]}
        AgentVersion.objects.filter(pk=version.pk).update(**changes)
    Tool.objects.filter(**own).update(name=payload[:64], description=payload, parameters={payload: payload})
    ApiKey.objects.filter(**own).update(name=payload[:200], scopes=[payload[:16]])
    User.objects.filter(pk=tenant.owner.pk).update(
        username=payload[:150],
        first_name=payload[:150],
        last_name=payload[:150],
        email=payload[:254],
        metadata={payload: payload},
    )
    Thread.objects.filter(**own).update(user=tenant.owner)
    Invitation.objects.filter(**own).update(invitee=payload[:254])
    AuditEvent.objects.create(
        workspace_id=tenant.workspace.pk, actor=payload, on_behalf_of=payload, action=ACTION, ids=[payload],
        details={payload: payload}, face=payload, address=payload, user_agent=payload, request_id=payload,
    )  # fmt: skip
    tell_of_agent(tenant, payload)
    said = Message.objects.filter(thread=made.thread, role="assistant").first()
    Feedback.objects.create(
        **own, thread=made.thread, message=said, author=payload[:64], rating=-1, tags=[payload[:50]], text=payload
    )
    remember(made, payload)
    fill(made, payload)
    return made


def tell_of_agent(tenant: Tenant, payload: str) -> None:
    """Events that stand in the agent's history, by nobody known and about nobody known."""
    came_and_went = {"added": [payload], "removed": [payload], "more": payload}
    limit = {"tokens": payload, "cost": payload}
    for action, details in (
        ("agent.update", dict.fromkeys(changes.LISTS, came_and_went)),
        ("agent.update", dict.fromkeys((*changes.SWITCHES, *changes.SECRETS), payload)),
        ("budget.set", {"day": limit, "month": payload, "before": {"day": payload, "month": limit}}),
        ("api_key.create", {}),
    ):
        AuditEvent.objects.create(
            workspace_id=tenant.workspace.pk, actor=payload, action=action, details=details, face="rest",
            request_id="x", ids=[tenant.agent.wire_id, f"key_{payload}"],
        )  # fmt: skip


def fill(made: Everything, payload: str) -> None:
    """The columns that only services, clients' pages and the worker write: their words are anybody's too."""
    own, now, tenant = {"workspace": made.tenant.workspace}, timezone.now(), made.tenant
    call = {"tool_call_id": payload, "id": payload, "name": payload, "code": payload, "arguments": {payload: payload}}
    Agent.objects.filter(**own).update(allowed_origins=[payload])
    Tool.objects.filter(**own).update(config={payload: payload})
    ChatSession.objects.filter(**own).update(
        name=payload[:200], origin=payload, metadata={payload: payload}, enabled_tools=[payload]
    )
    Message.objects.filter(thread=made.thread).update(extra={payload: payload}, usage={"model": payload})
    # A person's answer; a name that is nobody's.
    Message.objects.filter(thread=made.thread, role="assistant").update(author=payload[:64])
    Note.objects.create(**own, thread=made.thread, author=payload[:64], text=payload)
    Attachment.objects.filter(thread=made.thread).update(content_type=payload[:100])
    Run.objects.filter(pk=made.run.pk).update(
        provider=payload[:16], finish_reason=payload[:16], ignored_tools=[payload], refused_tools=[call],
        input=[{"role": "user", "content": payload}], context={"hash": payload}, replay=[{"text": payload}],
        required_action={"tool_calls": [call], "approvals": []},
    )  # fmt: skip
    RunEvent.objects.create(**own, run=made.run, seq=10_000, type=payload[:32], data={payload: payload})
    Branch.objects.create(**own, thread=made.thread, number=9, path=WHOLE, created_by=payload[:64])
    told = {"day": now.date(), "agent": tenant.agent}
    DailyActivity.objects.create(**own, **told, failures=1, faults={payload: 1})
    DailyUsage.objects.create(
        **own, **told, provider=payload[:16], model=payload[:200], purpose=DailyUsage.Purpose.choices[0][0], count=1
    )
    EndUser.objects.create(**own, user=tenant.owner, reference=payload[:REFERENCE_CHARACTERS])
    AccessAddress.objects.create(workspace_id=tenant.workspace.pk, actor=payload, address=payload)
    AccessCount.objects.create(workspace_id=tenant.workspace.pk, actor=payload, kind="reads", window_start=now, count=1)
    Hold.objects.filter(**own).update(placed_by=payload[:64])
    Hold.objects.create(
        **own, scope="external_ref", external_ref=f"{payload} gone", reason=payload, placed_by=payload[:64],
        released_at=now, released_by=payload[:64], release_reason=payload,
    )  # fmt: skip
    RetentionJob.objects.filter(**own).update(ended=payload[:16])
    SystemCount.objects.create(
        policy_id=ids.decode(SystemPolicy.PREFIX, made.retention["threads/systempolicy"]), cutoff=now, status="failed",
        asked_by=payload[:64], ended=payload[:16], error=payload,
    )  # fmt: skip
    Export.objects.filter(**own).update(selection={"threads": [], payload: payload})


def remember(made: Everything, payload: str) -> None:
    """A line in the history of each of them, by somebody whose name is the payload."""
    changed = json.dumps([{"changed": {"fields": [payload]}}])
    for (noun, wire_id), message in product(made.things().items(), (f"{payload}: {payload}", changed)):
        model: Any = apps.get_model(*noun.split("/"))
        prefix = getattr(model, "PREFIX", "")
        LogEntry.objects.create(
            user=made.tenant.owner,
            content_type=ContentType.objects.get_for_model(model),
            object_id=str(ids.decode(prefix, wire_id)) if prefix else str(wire_id),
            object_repr=payload[:200],
            action_flag=CHANGE,
            change_message=message,
        )


def build() -> None:
    """In the shell of a running hub: forty workspaces of one payload each, then eight of five together. Prints the
    addresses of their pages: [{name: address}], of forty-eight."""
    pages = []
    for number, payload in enumerate([*PAYLOADS, *GROUPS]):
        with transaction.atomic():  # the worker sees nothing before the runs wait for a person
            made = spread(make_tenant(f"workspace {number}"), payload)
            wait_for_a_person(made)
        pages.append(pages_of(made))
    print(json.dumps(pages))


def pages_of(made: Everything) -> dict[str, str]:
    """name: address, of every page of the site; of the trail's events that with the payload."""
    event = AuditEvent.objects.get(workspace_id=made.tenant.workspace.pk, action=ACTION).wire_id
    hostile = {"page": "change", "history": "history"}
    return {
        **made.pages(),
        **{f"audit/auditevent {name}": f"/admin/audit/auditevent/{event}/{end}/" for name, end in hostile.items()},
    }


def wait_for_a_person(made: Everything) -> None:
    now = timezone.now()
    taken = {"taken_over_at": now, "taken_over_by_id": made.tenant.owner.pk, "assignee_id": made.tenant.owner.pk}
    Thread.objects.filter(pk=made.thread.pk).update(**taken)
    Run.objects.filter(pk=made.run.pk).update(status="queued", lease_expires_at=now + timedelta(days=1))
