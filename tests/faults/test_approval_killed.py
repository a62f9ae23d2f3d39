"""`kill -9` of the worker around a call that a person approved: it is made at most once, whatever the moment."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone

from tests.conftest import Tenant
from tests.fakes import openai_server as fake
from tests.fakes.openai_server import FakeOpenAI, Recorded, Reply
from tests.faults import site
from tests.faults.gates import gates
from tests.faults.orders import Orders, orders
from tests.faults.site import until
from tests.faults.test_worker_killed import SCHEMA, ask, dead_for_long
from threadhub.agents import toolbox
from threadhub.agents.models import Tool
from threads.actions import approvals
from threads.models import Run, ToolApproval

pytestmark = pytest.mark.django_db(transaction=True)
TAKING, TELLING = 2, 4  # events of a run that goes on: the call, in the transaction that takes it; its result
MOMENTS = ("untouched", "taking", "calling", "telling")


def service(request: Recorded) -> Reply:
    """A model that asks for the tool, and answers once it has a result. As strict as the vendor."""
    messages = request.body["messages"]
    last = max(at for at, message in enumerate(messages) if message["role"] == "user")
    name = messages[last]["content"]
    if name == "again" or messages[-1]["role"] == "tool":
        return fake.strict(request)
    return fake.tool_calls(("call_0", "order", {"order": name}))


@pytest.fixture
def model(tenant: Tenant) -> Iterator[FakeOpenAI]:
    tenant.agent.provider, tenant.agent.model = "openai", "fake-1"
    tenant.agent.save()
    with FakeOpenAI(otherwise=service) as server:
        yield server


@pytest.fixture
def shop(tenant: Tenant) -> Iterator[Orders]:
    with orders() as server:
        tool = toolbox.create(
            actor=tenant.actor,
            name="order",
            kind=Tool.Kind.HTTP,
            parameters=SCHEMA,
            config={"url": server.url},
            approval=Tool.Approval.ALWAYS,
        )
        tenant.agent.tools.add(tool, through_defaults={"workspace_id": tenant.workspace.pk})
        yield server


def approved(tenant: Tenant, run: Run) -> Run:
    """The run that goes on."""
    approval = ToolApproval.objects.get(run_id=run.pk)
    approvals.approve(actor=tenant.actor, approval=approval, now=timezone.now())
    return Run.objects.get(continues=run.pk)


def test_an_approved_call_is_made_at_most_once(tenant: Tenant, model: FakeOpenAI, shop: Orders, tmp_path: Path) -> None:
    variables = {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "sk-fake"}
    stopped = {moment: ask(tenant, moment) for moment in MOMENTS}
    with site.worker(tmp_path, **variables) as first:
        until(lambda: Run.objects.filter(status="requires_action").count() == len(MOMENTS))
        first.kill()  # approvals outlive every process
    shop.holding.add("calling")
    with gates() as held:
        going_on = {moment: approved(tenant, run) for moment, run in stopped.items() if moment != "untouched"}
        held.close(going_on["taking"].pk, TAKING)
        held.close(going_on["telling"].pk, TELLING)
        with site.worker(tmp_path, **variables) as second:
            until(lambda: held.waiting() == 2 and shop.fired["calling"] == shop.fired["telling"] == 1)
            second.kill()
        assert shop.fired["taking"] == 0
        site.end_backends_of_the_dead()
    shop.released.set()
    going_on["untouched"] = approved(tenant, stopped["untouched"])
    dead_for_long()
    with site.worker(tmp_path, **variables):
        until(lambda: not Run.objects.live().exists())
        ended = {moment: Run.objects.get(pk=run.pk) for moment, run in going_on.items()}
        again = [ask(tenant, "again", run.thread) for run in ended.values()]
        until(lambda: not Run.objects.live().exists())
    assert {moment: (run.status, run.error_code) for moment, run in ended.items()} == {
        "untouched": ("succeeded", ""),
        "taking": ("succeeded", ""),  # nothing was shown, so another worker made the call
        "calling": ("failed", "worker_lost"),
        "telling": ("failed", "worker_lost"),
    }
    assert shop.fired == dict.fromkeys(MOMENTS, 1)
    rows = ToolApproval.objects.all()
    assert [(row.status, row.called_at is not None) for row in rows] == [("approved", True)] * len(MOMENTS)
    assert {run.status for run in Run.objects.filter(pk__in=[run.pk for run in again])} == {"succeeded"}
