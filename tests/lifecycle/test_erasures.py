"""An erasure from its list to its certificate: the code, crashes, the ledger, the command, the endpoints."""

import builtins
import json
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from django.core.management import CommandError, call_command

from chat_sessions.models import ChatSession
from tests.api.rest.conftest import open_session
from tests.conftest import Api, Tenant, make_user
from tests.lifecycle.conftest import old_thread
from tests.lifecycle.persons import MARK, NOW, erase, places, put_everywhere, written
from tests.lifecycle.persons import own_attachments as own_attachments  # fixture
from threadhub.launch import examination
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Role
from threads.actions.messages import Draft, append
from threads.lifecycle import holds
from threads.lifecycle.erasure import erasures, proof, replay, shared, traces
from threads.models import (
    Erasure,
    Message,
    Thread,
    Tombstone,
)

pytestmark = pytest.mark.django_db(transaction=True)


class TestCode:
    def test_it_is_for_exactly_that_list(self, tenant: Tenant) -> None:
        thread = old_thread(tenant, external_ref="r")
        actor = erasures.actors.system(tenant.workspace.pk)
        planned = erasures.plan(actor=actor, kind="external_ref", value="r", now=NOW())
        code = erasures.code_of(tenant.workspace.pk, planned.plan_hash)
        with pytest.raises(erasures.CodeWrong):
            erasures.confirm(actor=actor, erasure=planned, code="AAAA-AAAA", now=NOW())
        append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="one more")])
        with pytest.raises(erasures.ErasureChanged):
            erasures.confirm(actor=actor, erasure=planned, code=code, now=NOW())
        assert Message.objects.count() == 4
        again = erasures.plan(actor=actor, kind="external_ref", value="r", now=NOW())
        with pytest.raises(erasures.CodeWrong):
            erasures.confirm(actor=actor, erasure=again, code=code, now=NOW())

    def test_a_held_thread_blocks_all_of_it(self, tenant: Tenant) -> None:
        thread = old_thread(tenant, external_ref="r")
        old_thread(tenant, external_ref="r")
        hold = holds.place(actor=tenant.actor, scope="thread", target_id=thread.pk, reason="case", now=NOW())
        with pytest.raises(erasures.BlockedByHold, match=thread.wire_id):
            erase(tenant, "external_ref", "r")
        assert Thread.objects.count() == 2
        holds.release(actor=tenant.actor, hold=hold, now=NOW())
        assert erase(tenant, "external_ref", "r").state == "done"

    def test_a_hold_that_comes_meanwhile_stops_it_until_it_is_released(self, tenant: Tenant) -> None:
        old_thread(tenant, external_ref="r")
        actor = erasures.actors.system(tenant.workspace.pk)
        planned = erasures.plan(actor=actor, kind="external_ref", value="r", now=NOW())
        code = erasures.code_of(tenant.workspace.pk, planned.plan_hash)
        erasures.confirm(actor=actor, erasure=planned, code=code, now=NOW())
        hold = holds.place(actor=tenant.actor, scope="workspace", reason="case", now=NOW())
        with pytest.raises(erasures.BlockedByHold):
            erasures.proceed(workspace_id=tenant.workspace.pk, erasure_id=planned.pk)
        planned.refresh_from_db()
        assert planned.state == "blocked"
        assert Thread.objects.count() == 1
        holds.release(actor=tenant.actor, hold=hold, now=NOW())
        assert erasures.unfinished() == [(tenant.workspace.pk, planned.pk)]
        assert erasures.proceed(workspace_id=tenant.workspace.pk, erasure_id=planned.pk).state == "done"


class Crash(BaseException):
    """The process dies here."""


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (erasures.ledger, "write"),
        (erasures.purge, "destroy"),
        (erasures, "_add"),
        (shared, "clean"),
        (traces, "remove"),
        (traces, "files"),
        (traces, "account"),
        (traces, "forget_exports"),
        (proof, "mentions"),
        (proof, "certify"),
        (erasures.audit, "record"),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_whatever_instant_it_dies_at_the_next_run_finishes(
    api: Api, tenant: Tenant, archive_directory: str, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, when: str
) -> None:
    put_everywhere(api, tenant)
    actor = erasures.actors.system(tenant.workspace.pk)
    planned = erasures.plan(actor=actor, kind="external_ref", value=f"{MARK}-ref", now=NOW())
    code = erasures.code_of(tenant.workspace.pk, planned.plan_hash)
    erasures.confirm(actor=actor, erasure=planned, code=code, now=NOW())
    original = getattr(owner, name)

    def dies(*args: Any, **options: Any) -> Any:
        if when == "after":
            original(*args, **options)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, dies)
        if name == "clean":  # nothing to clean here
            erasures.proceed(workspace_id=tenant.workspace.pk, erasure_id=planned.pk)
        else:
            with pytest.raises(Crash):
                erasures.proceed(workspace_id=tenant.workspace.pk, erasure_id=planned.pk)
            planned.refresh_from_db()
            assert planned.state == "running"
    done = erasures.proceed(workspace_id=tenant.workspace.pk, erasure_id=planned.pk)
    assert (done.state, places(archive_directory)) == ("done", [])


class TestLedger:
    def test_a_database_from_before_the_erasure_is_told_again(
        self, api: Api, tenant: Tenant, archive_directory: str
    ) -> None:
        reference = f"{MARK}-ref"
        thread = written(tenant, old_thread(tenant, external_ref=reference))
        session = open_session(api, tenant, external_ref=reference, name=MARK)
        rows = {"thread": Thread.objects.get(pk=thread.pk), "session": ChatSession.objects.get()}
        first = erase(tenant, "external_ref", reference)
        assert examination.erasures().ok
        # What an older backup has: the person, and no erasure.
        Erasure.objects.all().delete()
        Tombstone.objects.all().delete()
        rows["session"].save(force_insert=True)
        rows["thread"].save(force_insert=True)
        newer = Thread.objects.create(workspace=tenant.workspace, agent=tenant.agent, external_ref=reference)
        assert session["id"]
        finding = examination.erasures()
        assert not finding.ok
        assert "--replay" in finding.detail
        out = StringIO()
        call_command("erase_person", "--replay", "--yes", "--json", stdout=out, stderr=StringIO())
        assert json.loads(out.getvalue())["erasure"] == first.wire_id
        assert list(Thread.objects.all()) == [newer]  # who comes back later is a new acquaintance
        assert ChatSession.objects.count() == 0
        assert examination.erasures().ok
        assert replay.find(workspace_id=tenant.workspace.pk) == []

    def test_it_says_nothing_of_the_person(self, tenant: Tenant, archive_directory: str) -> None:
        old_thread(tenant, external_ref=f"{MARK}-ref")
        erase(tenant, "external_ref", f"{MARK}-ref")
        (path,) = Path(archive_directory).glob("erasures/*/*.json")
        assert MARK not in path.read_text()
        assert json.loads(path.read_text())["digests"]


class TestCommand:
    def run(self, *options: str) -> dict[str, Any]:
        out = StringIO()
        call_command("erase_person", *options, "--json", stdout=out, stderr=StringIO())
        read: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
        return read

    def code(self, *options: str) -> int:
        with pytest.raises(CommandError) as ended:
            call_command("erase_person", *options, stdout=StringIO(), stderr=StringIO())
        return int(ended.value.returncode)

    def test_from_the_list_to_the_certificate(self, tenant: Tenant) -> None:
        old_thread(tenant, external_ref="r")
        whom = (f"--workspace={tenant.workspace.wire_id}", "--external-ref=r")
        listed = self.run(*whom, "--dry-run")
        assert (listed["counts"]["threads"], listed["counts"]["messages"]) == (1, 3)
        assert Erasure.objects.count() == 0
        assert self.code(*whom) == 2  # nobody there to type
        assert Erasure.objects.count() == 0
        assert self.code(*whom, "--code=AAAA-BBBB") == 1
        assert Thread.objects.count() == 1
        done = self.run(*whom, f"--code={listed['code']}")
        assert done["erased"]["whole_threads"] == 1
        assert self.run(f"--certificate={done['erasure']}")["signature"] == done["signature"]
        assert self.code(*whom, "--dry-run") == 1  # nobody any more
        Erasure.objects.update(certificate={"forged": True})
        assert self.code(f"--certificate={done['erasure']}") == 4

    @pytest.mark.parametrize("options", [["--yes"], ["--yes", "--code="], ["--yes", "--json"], []])
    def test_nothing_stands_for_the_code(self, tenant: Tenant, options: list[str]) -> None:
        old_thread(tenant, external_ref="r")
        out, whom = StringIO(), (f"--workspace={tenant.workspace.wire_id}", "--external-ref=r")
        with pytest.raises(CommandError, match=r"--dry-run.*--code") as ended:
            call_command("erase_person", *whom, *options, stdout=out, stderr=StringIO())
        assert (ended.value.returncode, out.getvalue()) == (2, "")
        assert (Erasure.objects.count(), Thread.objects.count()) == (0, 1)

    @pytest.mark.parametrize("options", [["--yes"], []])
    def test_at_a_terminal_it_is_typed(
        self, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, options: list[str]
    ) -> None:
        old_thread(tenant, external_ref="r")
        whom = (f"--workspace={tenant.workspace.wire_id}", "--external-ref=r")
        typed = ["", "AAAA-BBBB", self.run(*whom, "--dry-run")["code"]]
        monkeypatch.setattr(sys, "stdin", Mock(isatty=lambda: True))
        monkeypatch.setattr(builtins, "input", lambda: typed.pop(0))
        assert (self.code(*whom, *options), self.code(*whom, *options), Thread.objects.count()) == (1, 1, 1)
        assert self.run(*whom, *options)["erased"]["whole_threads"] == 1
        assert (typed, Thread.objects.count()) == ([], 0)

    def test_wrong_usage_does_nothing(self, tenant: Tenant) -> None:
        old_thread(tenant, external_ref="r")
        assert self.code("--yes") == 2
        assert self.code("--external-ref=r", "--yes") == 2
        assert Thread.objects.count() == 1

    def test_resume_finishes(self, tenant: Tenant) -> None:
        old_thread(tenant, external_ref="r")
        actor = erasures.actors.system(tenant.workspace.pk)
        planned = erasures.plan(actor=actor, kind="external_ref", value="r", now=NOW())
        code = erasures.code_of(tenant.workspace.pk, planned.plan_hash)
        erasures.confirm(actor=actor, erasure=planned, code=code, now=NOW() - timedelta(hours=2))
        assert not examination.erasures().ok
        assert self.run("--resume", "--yes")["erasure"] == planned.wire_id
        assert examination.erasures().ok


class TestHttp:
    def test_an_owner_erases(self, tenant: Tenant, as_user: Any, worker: None) -> None:
        import time

        old_thread(tenant, external_ref="r")
        owner = as_user(tenant.owner)
        planned = owner.post("/erasures", {"subject": "external_ref", "value": "r"})
        assert planned.status_code == 201, planned.content
        body = planned.json()
        assert (body["state"], body["plan"]["counts"]["threads"], body["certificate"]) == ("planned", 1, None)
        wrong = owner.post(f"/erasures/{body['id']}/confirm", {"code": "AAAA-AAAA"})
        assert (wrong.status_code, wrong.json()["code"]) == (422, "erasure_code_wrong")
        confirmed = owner.post(f"/erasures/{body['id']}/confirm", {"code": body["code"]})
        assert confirmed.status_code == 202, confirmed.content
        deadline = time.monotonic() + 30
        while (read := owner.get(f"/erasures/{body['id']}").json())["state"] != "done":
            assert time.monotonic() < deadline, read
            time.sleep(0.1)
        assert read["certificate"]["erased"]["whole_threads"] == 1
        assert (read["code"], len(read["signature"])) == (None, 64)
        again = owner.post(f"/erasures/{body['id']}/confirm", {"code": body["code"]})
        assert (again.status_code, again.json()["code"]) == (409, "erasure_confirmed")
        assert owner.get("/erasures").json()["data"] == [read]

    def test_a_hold_is_423(self, tenant: Tenant, as_user: Any) -> None:
        old_thread(tenant, external_ref="r")
        holds.place(actor=tenant.actor, scope="workspace", reason="case", now=NOW())
        owner = as_user(tenant.owner)
        body = owner.post("/erasures", {"subject": "external_ref", "value": "r"}).json()
        assert body["plan"]["held"] == 1
        refused = owner.post(f"/erasures/{body['id']}/confirm", {"code": body["code"]})
        assert (refused.status_code, refused.json()["code"]) == (423, "blocked_by_hold")

    def test_nobody_else_may(self, api: Api, tenant: Tenant, mallory: User, as_user: Any) -> None:
        old_thread(tenant, external_ref="r")
        body = {"subject": "external_ref", "value": "r"}
        admin = as_user(make_user("ada", tenant.workspace, Role.ADMIN))
        assert {api.post("/erasures", body).status_code, admin.post("/erasures", body).status_code} == {403}
        made = as_user(tenant.owner).post("/erasures", body).json()
        strange = as_user(mallory)
        assert strange.get(f"/erasures/{made['id']}").status_code == 404
        assert strange.post("/erasures", body).status_code == 404
        assert as_user(tenant.owner).post("/erasures", {**body, "x": 1}).status_code == 422
        assert as_user(tenant.owner).post("/erasures", {"subject": "user", "value": "r"}).status_code == 422
