"""Staff see what the model wants to call, and decide it."""

from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.conftest import Tenant, make_user
from tests.console.conftest import Everything, furnish, signed_in
from threadhub.agents.models import Tool
from threadhub.audit.models import AuditEvent
from threadhub.workspaces.models import User, Workspace
from threadhub.workspaces.permissions import Role
from threads.models import Run, ToolApproval
from threads.runs import waiting
from threads.runs.tools import ToolCall


def wanted(everything: Everything, text: str) -> ToolApproval:
    """An approval that the run of `everything` waits for, and the only one there is."""
    ToolApproval.objects.all().delete()
    tool = everything.tenant.agent.tools.get()
    awaited = waiting.Awaited([], [(ToolCall("call_1", tool.name, {"zone": text}), tool)])
    run = everything.run
    waiting.begin(run, awaited, now=timezone.now())
    run.status, run.finished_at = Run.Status.REQUIRES_ACTION, timezone.now()
    run.save()
    return ToolApproval.objects.get(run=run)


def page(approval: ToolApproval, rest: str = "change/") -> str:
    return f"/admin/threads/toolapproval/{approval.wire_id}/{rest}"


def test_it_is_listed_and_shown_with_its_arguments(console: Client, everything: Everything) -> None:
    hostile = "<script>alert(1)</script>"
    approval = wanted(everything, hostile)
    for address in ("/admin/threads/toolapproval/", "/admin/threads/toolapproval/?status=pending", page(approval)):
        html = console.get(address).content.decode()
        assert "current_time" in html
        assert "&lt;script&gt;alert(1)" in html
        assert hostile not in html


@pytest.mark.parametrize(("deed", "status"), [("approve", "approved"), ("refuse", "refused")])
def test_staff_decide_after_a_question(olivia: User, everything: Everything, deed: str, status: str) -> None:
    approval = wanted(everything, "UTC")
    client = signed_in(olivia)
    assert b"current_time" in client.get(page(approval, f"do/{deed}/")).content
    assert ToolApproval.objects.get().status == "pending"
    assert client.post(page(approval, f"do/{deed}/")).status_code == 302
    decided = ToolApproval.objects.get()
    assert (decided.status, decided.decided_by) == (status, f"user:{olivia.pk}")
    assert Run.objects.filter(continues=approval.run_id).count() == 1
    client.post(page(approval, "do/refuse/"))
    assert ToolApproval.objects.get().status == status


def test_a_member_and_staff_of_another_workspace_decide_nothing(
    tenant: Tenant, other_tenant: Tenant, everything: Everything
) -> None:
    furnish(other_tenant, "foreign")
    approval = wanted(everything, "UTC")
    member = make_user("mia", tenant.workspace, Role.MEMBER)
    stranger = make_user("sven", other_tenant.workspace, Role.ADMIN)
    for user in (member, stranger):
        User.objects.filter(pk=user.pk).update(is_staff=True)
        user.refresh_from_db()
        answer: Any = signed_in(user).post(page(approval, "do/approve/"))
        assert answer.status_code in (302, 403, 404)
        assert ToolApproval.objects.get().status == "pending"


def test_a_tool_may_be_told_to_need_an_approval(olivia: User, everything: Everything) -> None:
    tool = everything.tenant.agent.tools.get()
    address = f"/admin/agents/tool/{tool.wire_id}/change/"
    assert signed_in(olivia).post(address, {"description": "", "approval": "always"}).status_code == 302
    assert Tool.objects.get(pk=tool.pk).approval == "always"


def test_arguments_of_a_call_want_the_reason_of_their_conversation(console: Client, everything: Everything) -> None:
    approval = wanted(everything, "a secret")
    Workspace.objects.filter(pk=approval.workspace_id).update(transcript_reason=True)
    asked = console.get(page(approval))
    assert asked.headers["Location"].endswith(f"/threads/thread/{approval.thread.wire_id}/change/")
    listed = console.get("/admin/threads/toolapproval/").content.decode()
    assert "Open to say why you read" in listed
    assert approval.arguments not in unescape(listed)
    assert not AuditEvent.objects.filter(action="thread.read").exists()
    thread = f"/admin/threads/thread/{approval.thread.wire_id}"
    assert console.post(f"{thread}/reason/", {"reason": "The tool did harm"}).status_code == 302
    assert console.get(page(approval)).status_code == 200
    assert approval.arguments in unescape(console.get("/admin/threads/toolapproval/").content.decode())
