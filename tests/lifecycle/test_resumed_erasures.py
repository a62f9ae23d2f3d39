"""`erase_person --resume` and `--replay`: one that cannot go on keeps nobody waiting, and the exit code says so."""

from io import StringIO
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.conftest import Tenant
from tests.lifecycle.conftest import old_thread
from tests.lifecycle.persons import NOW
from threadhub.workspaces.memberships import LastOwner
from threads.lifecycle import holds, sweeper
from threads.lifecycle.erasure import erasures, proof, replay
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
    assert f"{two[0].wire_id}: Threads of this person are on legal hold" in sentence
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

    whom = [option]
    if option == "--resume":
        confirmed(tenant, "first")
    else:
        actor = erasures.actors.system(tenant.workspace.pk)
        _, listed = erasures.look(actor=actor, kind="external_ref", value="first")
        code = erasures.code_of(tenant.workspace.pk, listed.hash)
        whom = [f"--workspace={tenant.workspace.wire_id}", "--external-ref=first", f"--code={code}"]
    with monkeypatch.context() as patch:
        patch.setattr(sweeper, "stopping_on_signals", noted)
        patch.setattr(erasures, "_destroy", then_stopped)
        code, sentence = ended(*whom)
    assert (code, states(), Thread.objects.count()) == (1, ["running"], 2)
    assert "--resume goes on" in sentence
    assert ended("--resume") == (0, "")
    assert states() == ["done"]


class TestOlderTable:
    """The ledger's file is younger than the table, as after the restore of a backup."""

    @pytest.fixture
    def erased(self, tenant: Tenant) -> Erasure:
        old_thread(tenant, external_ref="first")
        done = erasures.proceed(workspace_id=tenant.workspace.pk, erasure_id=confirmed(tenant, "first").pk)
        old_thread(tenant, external_ref="first")  # from before the erasure, by its time
        return done

    def test_what_was_only_planned_then_is_done(self, tenant: Tenant, erased: Erasure) -> None:
        Erasure.objects.filter(pk=erased.pk).update(
            state="planned", confirmed_at=None, confirmed_by="", finished_at=None, certificate=None, digests=[], key=""
        )
        assert len(replay.find(workspace_id=tenant.workspace.pk)) == 1
        assert ended("--replay") == (0, "")
        row = Erasure.objects.get()
        assert (row.pk, row.state, row.confirmed_at) == (erased.pk, "done", erased.confirmed_at)
        assert Thread.objects.count() == 0
        assert replay.find(workspace_id=tenant.workspace.pk) == []

    def test_who_owns_the_workspace_alone_now_is_left_and_named(
        self, tenant: Tenant, erased: Erasure, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def nobody_else(actor: Any, person: Any) -> None:
            raise LastOwner

        monkeypatch.setattr(erasures, "keep_an_owner", nobody_else)
        code, sentence = ended("--replay")
        assert (code, Thread.objects.count()) == (1, 1)
        assert erased.wire_id in sentence

    def test_a_file_that_cannot_be_read_is_named(self, tenant: Tenant, erased: Erasure, archive_directory: str) -> None:
        Erasure.objects.all().delete()
        (file,) = Path(archive_directory).glob("erasures/*/*.json")
        file.write_text("{}")
        code, sentence = ended("--replay")
        assert code == 1
        assert f"The ledger of erasures cannot be read: erasures/{file.parent.name}/{file.name}" in sentence


def test_a_certificate_that_is_not_as_it_was_signed_has_its_own_code(
    tenant: Tenant, two: list[Erasure], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "is_genuine", lambda erasure: False)
    code, sentence = ended("--resume")
    assert code == 4
    assert two[0].wire_id in sentence
