"""A person is erased everywhere, or the erasure is not done."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import zstandard
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from chat_sessions.models import ChatSession
from tests.api.rest.conftest import open_session
from tests.conftest import Api, Tenant, make_user
from tests.lifecycle.conftest import old_thread
from threadhub.audit import verifying
from threadhub.audit.models import AuditEvent
from threadhub.launch import examination
from threadhub.workspaces.models import ApiKey, EndUser, User
from threadhub.workspaces.permissions import Role
from threads.actions import feedback
from threads.actions.messages import Draft, append
from threads.attachments import Upload
from threads.lifecycle import acts, candidates, holds, reading, restore, trash
from threads.lifecycle.bundles import audit_trail
from threads.lifecycle.erasure import erasures, proof, replay, shared, traces
from threads.models import (
    Attachment,
    Bundle,
    Erasure,
    Feedback,
    Message,
    Run,
    RunEvent,
    Summary,
    Thread,
    Tombstone,
)

MARK = "Zq7marker"
NOW = timezone.now
pytestmark = pytest.mark.django_db(transaction=True)
TEXTS = """
SELECT c.table_name, c.column_name FROM information_schema.columns AS c
  JOIN information_schema.tables AS t USING (table_schema, table_name)
 WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE'
   AND c.data_type IN ('text', 'character varying', 'json', 'jsonb', 'bytea', 'ARRAY')
"""


def places(directory: str, mark: str = MARK) -> list[str]:
    """Where the mark stands: every column of every table that can hold it, every file of the archive, every stored
    file. Letter case aside."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute(TEXTS)
        for table, column in cursor.fetchall():
            cursor.execute(
                f'SELECT count(*) FROM "{table}" WHERE "{column}"::text ILIKE %s OR "{column}"::text LIKE %s',
                [f"%{mark}%", f"%{mark.encode().hex()}%"],
            )
            if cursor.fetchone()[0]:
                found.append(f"{table}.{column}")
    for path in Path(directory).rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            if path.suffix == ".zst":
                data = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
            if mark.encode() in data:
                found.append(str(path))
    return found + [path for path in stored() if mark.encode() in content(path)]


def content(path: str) -> bytes:
    with default_storage.open(path) as file:
        data: bytes = file.read()
    return data


def stored(folder: str = "") -> list[str]:
    folders, names = default_storage.listdir(folder) if folder == "" or default_storage.exists(folder) else ([], [])
    return [f"{folder}/{name}".lstrip("/") for name in names] + [
        each for inner in folders for each in stored(f"{folder}/{inner}".lstrip("/"))
    ]


@pytest.fixture(autouse=True)
def own_attachments(settings: Any, tmp_path: Path) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path / "files")},
        },
    }
    (tmp_path / "files").mkdir()


def written(tenant: Tenant, thread: Thread, mark: str = MARK) -> Thread:
    """Everything of a thread that can hold words, with the mark in it."""
    call = [{"id": "c", "name": "t", "arguments": {"who": f"{mark} call"}}]
    drafts = [
        Draft(role="user", content=f"I am {mark}", extra={"x": f"{mark} extra"}),
        Draft(role="assistant", content=None, tool_calls=call),
        Draft(role="tool", tool_call_id="c", tool_result={"r": f"{mark} result"}, name="t"),
        Draft(role="user", content="file", uploads=[Upload(f"{mark}.txt", "text/plain", f"{mark} file".encode())]),
        Draft(role="assistant", content=f"Hello {mark}"),
    ]
    stored = append(actor=tenant.actor, thread=thread, drafts=drafts)
    number = Run.objects.filter(thread_id=thread.pk).count() + 1
    run = Run.objects.create(
        workspace_id=thread.workspace_id, thread=thread, agent=tenant.agent, number=number, status="succeeded",
        finished_at=NOW(), input={"m": f"{mark} input"}, context={"instructions": f"{mark} context"},
        options={"context": f"{mark} option"}, error_message=f"{mark} error",
    )  # fmt: skip
    RunEvent.objects.create(workspace_id=run.workspace_id, run=run, seq=1, type="text_delta", data={"t": mark})
    Summary.objects.create(workspace_id=run.workspace_id, thread=thread, from_position=1, to_position=2, text=mark)
    feedback.give(
        actor=tenant.actor, thread=thread, message=stored[-1], rating=1, now=NOW(), text=f"{mark} says", tags=[mark]
    )
    Thread.objects.filter(pk=thread.pk).update(title=f"{mark} title", metadata={"m": f"{mark} metadata"})
    thread.refresh_from_db()
    return thread


def erase(tenant: Tenant, kind: Any, value: Any) -> Erasure:
    actor = erasures.actors.system(tenant.workspace.pk)
    planned = erasures.plan(actor=actor, kind=kind, value=value, now=NOW())
    erasures.confirm(
        actor=actor, erasure=planned, code=erasures.code_of(tenant.workspace.pk, planned.plan_hash), now=NOW()
    )
    return erasures.proceed(workspace_id=tenant.workspace.pk, erasure_id=planned.pk)


def put_everywhere(api: Api, tenant: Tenant) -> None:
    """Threads of a reference in every state, in bundles with others', a session, answers, log entries, the trail."""
    reference = f"{MARK}-ref"
    threads = [written(tenant, old_thread(tenant, external_ref=reference, messages=1)) for _ in range(5)]
    other = old_thread(tenant, external_ref="other")
    now = candidates.database_now()
    from django.db import transaction

    from threads.lifecycle.bundles import archive

    with transaction.atomic():
        archive.archive(workspace_id=tenant.workspace.pk, thread_ids=[threads[1].pk, other.pk], now=now)
        trash.put(workspace_id=tenant.workspace.pk, thread_ids=[threads[2].pk], now=now, days=9)
    acts.archive(actor=tenant.actor, thread=threads[3], now=now)
    trash.put(workspace_id=tenant.workspace.pk, thread_ids=[threads[3].pk], now=now, days=9)
    Thread.objects.filter(pk=threads[4].pk).update(state="temporary")
    # A thread that was archived and restored: its old file lies about for a day.
    again = acts.archive(actor=tenant.actor, thread=threads[0], now=now)
    restore.restore(actor=tenant.actor, thread=again, now=now)
    session = open_session(api, tenant, external_ref=reference, name=f"{MARK} Name", metadata={"m": MARK})
    assert session["id"]
    api.post(f"/agents/{tenant.agent.wire_id}/threads", {"external_ref": reference}, HTTP_IDEMPOTENCY_KEY=f"{MARK}-key")
    LogEntry.objects.create(
        user=tenant.owner, content_type=ContentType.objects.get_for_model(Thread), object_id=str(threads[0].pk),
        object_repr=f"{MARK} title", action_flag=2, change_message=f"{MARK} was here",
    )  # fmt: skip
    hold = holds.place(actor=tenant.actor, scope="external_ref", external_ref=reference, reason="x", now=now)
    holds.release(actor=tenant.actor, hold=hold, now=now)
    from threadhub import audit

    audit.record(actor=tenant.actor, action="test.note", ids=[], details={"ref": reference, "kept": "words"})


def test_nothing_is_left_of_a_reference_anywhere(api: Api, tenant: Tenant, archive_directory: str) -> None:
    put_everywhere(api, tenant)
    before = places(archive_directory)
    assert {"threads_message.content", "threads_hold.external_ref", "audit_auditevent.details"} <= set(before)
    assert any(place.endswith(".zst") for place in before)
    done = erase(tenant, "external_ref", f"{MARK}-ref")
    assert (done.state, done.person) == ("done", None)
    assert places(archive_directory) == []
    assert list(Thread.objects.values_list("external_ref", flat=True)) == ["other"]
    (kept,) = Thread.objects.all()
    assert len(list(reading.messages(kept))) == 3
    assert ChatSession.objects.count() == 0
    assert Tombstone.objects.filter(reason="erasure").count() == 6  # five, two of the API, less the temporary
    assert audit_trail.verify(workspace_id=tenant.workspace.pk).faults == []
    (read,) = verifying.verify(workspace_id=tenant.workspace.pk)
    assert isinstance(read, verifying.Verified)
    assert read.masked >= 1
    note = AuditEvent.objects.get(action="test.note")
    assert note.details == {"ref": None, "kept": "words"}
    certificate = done.certificate
    assert certificate is not None
    assert certificate["erased"]["whole_threads"] == 7
    assert certificate["verified"]["mentioned_by_others"] == {}
    assert proof.is_genuine(done)
    done.certificate = {**certificate, "erased": {}}
    assert not proof.is_genuine(done)


def test_a_session_is_its_visitor(api: Api, tenant: Tenant, archive_directory: str) -> None:
    put_everywhere(api, tenant)
    session = ChatSession.objects.get()
    erase(tenant, "session", session.pk)
    assert places(archive_directory) == []


def test_an_end_user_and_their_account_go(api: Api, tenant: Tenant, archive_directory: str) -> None:
    reference = f"{MARK}-person"
    path = f"/agents/{tenant.agent.wire_id}/threads"
    made = api.post(path, {"title": f"{MARK} t"}, HTTP_X_END_USER=reference).json()
    written(tenant, Thread.objects.get(title=f"{MARK} t"))
    assert made["id"]
    user = EndUser.objects.get().user
    done = erase(tenant, "end_user", reference)
    assert places(archive_directory) == []
    assert not User.objects.filter(pk=user.pk).exists()
    assert done.certificate is not None
    assert done.certificate["account"] == "removed"


def test_a_member_leaves_nothing_and_keeps_what_is_elsewhere(
    tenant: Tenant, other_tenant: Tenant, archive_directory: str
) -> None:
    user = make_user(f"{MARK}una", tenant.workspace, Role.MEMBER)
    Thread.objects.create(workspace=tenant.workspace, agent=tenant.agent, user=user, title=f"{MARK} mine")
    assert erase(tenant, "user", user.pk).certificate["account"] == "removed"  # type: ignore[index]
    assert places(archive_directory) == []
    both = make_user(f"{MARK}bea", tenant.workspace, Role.MEMBER)
    from threadhub.workspaces import memberships

    memberships.join(workspace=other_tenant.workspace, user=both, role=Role.MEMBER)
    Thread.objects.create(workspace=other_tenant.workspace, agent=other_tenant.agent, user=both, title="there")
    assert erase(tenant, "user", both.pk).certificate["account"] == "kept"  # type: ignore[index]
    both.refresh_from_db()
    assert (both.username, Thread.objects.get(user=both).title) == (f"{MARK}bea", "there")


def test_a_servers_key_outlives_whoever_made_it(tenant: Tenant, archive_directory: str) -> None:
    maker = make_user(f"{MARK}max", tenant.workspace, Role.ADMIN)
    ApiKey.objects.filter(kind="workspace").update(user=maker)
    done = erase(tenant, "user", maker.pk)
    assert done.certificate is not None
    assert done.certificate["account"] == "emptied"
    assert places(archive_directory) == []
    assert Api(tenant.key).get("/threads").status_code == 200


def test_the_last_owner_stays(tenant: Tenant) -> None:
    from threadhub.workspaces.memberships import LastOwner

    with pytest.raises(LastOwner):
        erase(tenant, "user", tenant.owner.pk)
    assert User.objects.filter(pk=tenant.owner.pk).exists()


@pytest.mark.parametrize("where", ["live", "archived", "trashed"])
def test_their_part_in_threads_of_others_goes_and_the_rest_stays(
    tenant: Tenant, archive_directory: str, where: str
) -> None:
    user = make_user(f"{MARK}una", tenant.workspace, Role.ADMIN)
    thread = old_thread(tenant, messages=2)
    asked = Run.objects.create(
        workspace_id=thread.workspace_id, thread=thread, agent=tenant.agent, number=1, status="succeeded",
        finished_at=NOW(), user_id=user.pk,
    )  # fmt: skip
    append(
        actor=tenant.actor,
        thread=thread,
        drafts=[
            Draft(role="user", content=f"{MARK} asks", uploads=[Upload("a.txt", "text/plain", MARK.encode())]),
            Draft(role="assistant", content=f"To {MARK}", run_id=asked.pk),
            Draft(role="user", content="mine"),
            Draft(role="assistant", content="yours"),
        ],
    )
    Summary.objects.create(workspace_id=thread.workspace_id, thread=thread, from_position=1, to_position=4, text=MARK)
    answer = Message.objects.get(content="yours")
    Feedback.objects.create(
        workspace_id=thread.workspace_id, thread=thread, message=answer, author=f"user:{user.pk}", rating=1, text=MARK
    )
    other = old_thread(tenant, messages=2)
    if where != "live":
        from django.db import transaction

        from threads.lifecycle.bundles import archive

        with transaction.atomic():
            archive.archive(workspace_id=tenant.workspace.pk, thread_ids=[thread.pk, other.pk], now=NOW())
    if where == "trashed":
        trash.put(workspace_id=tenant.workspace.pk, thread_ids=[thread.pk], now=NOW(), days=3)
    done = erase(tenant, "user", user.pk)
    assert places(archive_directory) == []
    thread.refresh_from_db()
    assert thread.state == {"live": "active"}.get(where, where)
    assert thread.message_count == 4
    if where == "trashed":
        thread.state = "archived"
    said = [message.content for message in reading.messages(thread)]
    assert said[2:] == ["mine", "yours"]
    assert len(said) == 4
    assert Attachment.objects.count() == 0
    assert stored() == []
    assert done.certificate is not None
    assert done.certificate["erased"]["messages_elsewhere"] == 2
    assert audit_trail.verify(workspace_id=tenant.workspace.pk).faults == []


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
        assert self.code(*whom, "--code=AAAA-BBBB") == 1
        assert Thread.objects.count() == 1
        done = self.run(*whom, f"--code={listed['code']}")
        assert done["erased"]["whole_threads"] == 1
        assert self.run(f"--certificate={done['erasure']}")["signature"] == done["signature"]
        assert self.code(*whom, "--dry-run") == 1  # nobody any more
        Erasure.objects.update(certificate={"forged": True})
        assert self.code(f"--certificate={done['erasure']}") == 4

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


def test_a_bundle_that_nothing_is_left_in_is_gone(tenant: Tenant, archive_directory: str) -> None:
    acts.archive(actor=tenant.actor, thread=old_thread(tenant, external_ref="r"), now=NOW())
    erase(tenant, "external_ref", "r")
    assert Bundle.objects.filter(removed_at__isnull=True).count() == 0
    assert list(Path(archive_directory).rglob("*.zst")) == []
