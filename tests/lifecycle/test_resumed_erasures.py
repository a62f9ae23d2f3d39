"""`erase_person --resume` and `--replay`: one that cannot go on keeps nobody waiting, and the exit code says so."""

from io import StringIO
from threading import Event
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.conftest import Tenant
from tests.lifecycle.conftest import old_thread
from tests.lifecycle.persons import NOW
from threads.lifecycle import holds, sweeper
from threads.lifecycle.erasure import erasures, replay
from threads.models import Erasure, Hold, Thread

pytestmark = pytest.mark.django_db(transaction=True)


def confirmed(tenant: Tenant, reference: str) -> Erasure:
    actor = erasures.actors.system(tenant.workspace.pk)
    planned = erasures.plan(actor=actor, kind="external_ref", value=reference, now=NOW())
    code = erasures.code_of(tenant.workspace.pk, planned.plan_hash)
    return erasures.confirm(actor=actor, erasure=planned, code=code, now=NOW())


def ended(*options: str) -> tuple[int, str]:
    try:
        call_command("erase_person", *options, "--yes", stdout=StringIO(), stderr=StringIO())
    except CommandError as error:
        return int(error.returncode), str(error)
    return 0, ""


@pytest.fixture
def two(tenant: Tenant) -> list[Erasure]:
    """Two confirmed; the first is blocked."""
    for reference in ("first", "second"):
        old_thread(tenant, external_ref=reference)
    found = [confirmed(tenant, reference) for reference in ("first", "second")]
    holds.place(actor=tenant.actor, scope="external_ref", external_ref="first", reason="case", now=NOW())
    return found


def states() -> list[str]:
    return list(Erasure.objects.order_by("confirmed_at").values_list("state", flat=True))


def test_a_blocked_one_does_not_keep_the_next_waiting(tenant: Tenant, two: list[Erasure]) -> None:
    code, sentence = ended("--resume")
    assert (code, states()) == (1, ["blocked", "done"])
    assert f"{two[0].wire_id}: 1 threads of this person are on legal hold" in sentence
    assert Thread.objects.get().external_ref == "first"
    holds.release(actor=tenant.actor, hold=Hold.objects.get(), now=NOW())
    assert ended("--resume") == (0, "")
    assert states() == ["done", "done"]


def test_nor_does_it_in_a_replay(tenant: Tenant) -> None:
    for reference in ("first", "second"):
        old_thread(tenant, external_ref=reference)
        erasures.proceed(workspace_id=tenant.workspace.pk, erasure_id=confirmed(tenant, reference).pk)
        old_thread(tenant, external_ref=reference)  # from before the erasure, by its time
    holds.place(actor=tenant.actor, scope="external_ref", external_ref="first", reason="case", now=NOW())
    assert len(replay.find(workspace_id=tenant.workspace.pk)) == 2
    code, sentence = ended("--replay")
    assert code == 1
    assert "on legal hold" in sentence
    assert Thread.objects.get().external_ref == "first"


@pytest.mark.parametrize("option", ["--resume", "one person"])
def test_one_that_was_stopped_is_not_done(tenant: Tenant, option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM after the first batch."""
    for _ in range(3):
        old_thread(tenant, external_ref="first")
    monkeypatch.setattr(erasures, "BATCH", 1)
    destroy = erasures._destroy
    stops: list[Event] = []
    stopping = sweeper.stopping_on_signals

    def noted(stop: Event) -> Any:
        stops.append(stop)
        return stopping(stop)

    def then_stopped(*given: Any) -> None:
        destroy(*given)
        stops[-1].set()

    if option == "--resume":
        confirmed(tenant, "first")
    whom = [option] if option == "--resume" else [f"--workspace={tenant.workspace.wire_id}", "--external-ref=first"]
    with monkeypatch.context() as patch:
        patch.setattr(sweeper, "stopping_on_signals", noted)
        patch.setattr(erasures, "_destroy", then_stopped)
        code, sentence = ended(*whom)
    assert (code, states(), Thread.objects.count()) == (1, ["running"], 2)
    assert "--resume goes on" in sentence
    assert ended("--resume") == (0, "")
    assert states() == ["done"]
