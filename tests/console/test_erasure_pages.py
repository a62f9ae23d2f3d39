"""The staff console erases a person and exports threads, as the commands and the API do."""

import io
import json
import re
import zipfile
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import Tenant, make_user
from tests.console.conftest import signed_in
from tests.console.retention import actions_of, text_of
from tests.lifecycle.conftest import archive_directory, old_thread  # noqa: F401  fixture
from threadhub.audit.models import AuditEvent
from threadhub.console.retention.erasures import said_of
from threadhub.workspaces.models import User, Workspace
from threadhub.workspaces.permissions import Role
from threads.lifecycle import acts, holds
from threads.lifecycle.erasure import erasures, proof
from threads.lifecycle.exporting import exports
from threads.models import Erasure, Export, Message, Thread

ERASURES = "/admin/threads/erasure/"
EXPORTS = "/admin/threads/export/"
PERSON = "customer 4711"
pytestmark = pytest.mark.django_db(transaction=True)


def make_staff(name: str, tenant: Tenant, role: str) -> User:
    user = make_user(name, tenant.workspace, role)
    User.objects.filter(pk=user.pk).update(is_staff=True)
    user.refresh_from_db()
    return user


def listed(client: Client, tenant: Tenant, **fields: str) -> Any:
    asked = {"workspace": str(tenant.workspace.pk), "subject": "external_ref", "value": PERSON, **fields}
    return client.post(f"{ERASURES}add/", asked)


def page_of(erasure: Erasure) -> str:
    return f"{ERASURES}{erasure.wire_id}/change/"


def erase_page(erasure: Erasure) -> str:
    return f"{ERASURES}{erasure.wire_id}/do/erase/"


class TestErasing:
    def test_from_the_list_to_the_certificate(self, olivia: User, tenant: Tenant) -> None:
        going = [old_thread(tenant, external_ref=PERSON, title="Their order"), old_thread(tenant, external_ref=PERSON)]
        acts.archive(actor=tenant.actor, thread=going[1], now=timezone.now())
        staying = old_thread(tenant, external_ref="somebody else")
        client = signed_in(olivia)
        assert listed(client, tenant).status_code == 302
        erasure = Erasure.objects.get()
        shown = text_of(client, page_of(erasure))
        assert "Nothing is erased before the code of this list is typed" in shown
        assert "Their order" in shown
        assert re.search(r"Threads 2\b.*Archived 1\b.*Messages 6\b", shown)
        assert Thread.objects.count() == 3
        code = erasures.code_of(tenant.workspace.pk, erasure.plan_hash)
        asked = text_of(client, erase_page(erasure))
        assert f"Type {code} to go on" in asked
        assert "2 threads, 1 archived, 6 messages" in asked
        assert client.post(erase_page(erasure), {"typed": "AAAA-AAAA"}).status_code == 200
        assert Erasure.objects.get().state == "planned"
        client.post(erase_page(erasure), {"typed": code})
        assert (Erasure.objects.get().state, Erasure.objects.get().confirmed_by) == ("running", f"user:{olivia.pk}")
        assert client.get(f"{ERASURES}{erasure.wire_id}/progress/").json() == {"status": "running", "done": 0}
        erasures.proceed(workspace_id=tenant.workspace.pk, erasure_id=erasure.pk)
        assert list(Thread.objects.all()) == [staying]
        assert "Genuine" in text_of(client, page_of(erasure))
        answer = client.get(f"{ERASURES}{erasure.wire_id}/certificate/")
        certificate = json.loads(answer.content)
        assert f'filename="{erasure.wire_id}.json"' in answer["Content-Disposition"]
        assert proof.signature({k: v for k, v in certificate.items() if k != "signature"}) == certificate["signature"]
        assert PERSON not in answer.content.decode()
        assert {"erasure.plan", "erasure.confirm", "erasure.done", "erasure.download"} <= set(actions_of(tenant))
        assert client.post(erase_page(erasure), {"typed": code}, follow=True).status_code == 200
        assert Erasure.objects.count() == 1

    def test_a_list_that_changed_is_not_erased(self, olivia: User, tenant: Tenant) -> None:
        old_thread(tenant, external_ref=PERSON)
        client = signed_in(olivia)
        listed(client, tenant)
        erasure = Erasure.objects.get()
        old_thread(tenant, external_ref=PERSON)
        code = erasures.code_of(tenant.workspace.pk, erasure.plan_hash)
        answer = client.post(erase_page(erasure), {"typed": code}, follow=True)
        assert b"nothing was erased" in answer.content
        assert (Thread.objects.count(), Erasure.objects.get().state) == (2, "planned")

    def test_what_is_held_is_said_and_refused(self, olivia: User, tenant: Tenant) -> None:
        thread = old_thread(tenant, external_ref=PERSON)
        holds.place(actor=tenant.actor, scope="thread", target_id=thread.pk, reason="x", now=timezone.now())
        client = signed_in(olivia)
        listed(client, tenant)
        erasure = Erasure.objects.get()
        assert "1 thread of this person is on legal hold" in text_of(client, page_of(erasure))
        code = erasures.code_of(tenant.workspace.pk, erasure.plan_hash)
        assert b"on legal hold" in client.post(erase_page(erasure), {"typed": code}, follow=True).content
        assert Message.objects.count() == 3

    @pytest.mark.parametrize(
        ("subject", "value"),
        [("external_ref", "nobody"), ("user", "user_1"), ("session", "x"), ("end_user", "\x00"), ("planet", "earth")],
    )
    def test_who_is_nobody_comes_back(self, olivia: User, tenant: Tenant, subject: str, value: str) -> None:
        assert listed(signed_in(olivia), tenant, subject=subject, value=value).status_code == 200
        assert not Erasure.objects.exists()

    def test_an_altered_certificate_shows(self, olivia: User, tenant: Tenant) -> None:
        old_thread(tenant, external_ref=PERSON)
        client = signed_in(olivia)
        listed(client, tenant)
        erasure = Erasure.objects.get()
        assert client.get(f"{ERASURES}{erasure.wire_id}/certificate/").status_code == 404
        client.post(erase_page(erasure), {"typed": erasures.code_of(tenant.workspace.pk, erasure.plan_hash)})
        done = erasures.proceed(workspace_id=tenant.workspace.pk, erasure_id=erasure.pk)
        Erasure.objects.update(certificate={**(done.certificate or {}), "account": "kept"})
        assert "not as it was signed" in text_of(client, page_of(erasure))


def asked_for(client: Client, tenant: Tenant, **fields: str) -> Any:
    wanted = {"workspace": str(tenant.workspace.pk), "scope": "workspace", "target": "", "format": "markdown"}
    return client.post(f"{EXPORTS}add/", {**wanted, "typed": tenant.workspace.name, **fields})


class TestExports:
    def test_it_is_asked_for_made_and_fetched(self, olivia: User, tenant: Tenant) -> None:
        thread = old_thread(tenant, external_ref=PERSON)
        old_thread(tenant)
        client = signed_in(olivia)
        asked_for(client, tenant, scope="external_ref", target=PERSON)
        export = Export.objects.get()
        page = f"{EXPORTS}{export.wire_id}"
        assert "1 thread · Markdown Queued" in text_of(client, f"{page}/change/")
        assert client.get(f"{page}/download/").status_code == 404
        assert client.get(f"{page}/progress/").json() == {"status": "queued", "done": 0}
        exports.make(workspace_id=tenant.workspace.pk, export_id=export.pk)
        assert "Threads in it 1" in text_of(client, f"{page}/change/")
        fetched = b"".join(client.get(f"{page}/download/").streaming_content)  # type: ignore[attr-defined]
        with zipfile.ZipFile(io.BytesIO(fetched)) as file:
            text = "".join(file.read(name).decode() for name in file.namelist())
        assert f"message 1 of {thread.pk}" in text
        assert {"export.make", "export.download"} <= set(actions_of(tenant))

    def test_a_list_reads_no_ids_of_what_is_exported(self, olivia: User, tenant: Tenant) -> None:
        for _ in range(2):
            old_thread(tenant)
        asked_for(signed_in(olivia), tenant)
        with CaptureQueriesContext(connection) as asked:
            shown = text_of(signed_in(olivia), EXPORTS)
        assert "Markdown Queued 2 – olivia" in shown
        assert not any('"threads_export"."selection",' in each["sql"] for each in asked)

    def test_a_fault_of_a_typed_word_is_tied_to_its_field(self, olivia: User, tenant: Tenant) -> None:
        hold = holds.place(actor=tenant.actor, scope="workspace", reason="A case.", now=timezone.now())
        page = (
            signed_in(olivia).post(f"/admin/threads/hold/{hold.wire_id}/do/release/", {"reason": ""}).content.decode()
        )
        (described,) = re.findall(r'name="reason"[^>]*aria-describedby="([^"]+)"', page)
        assert all(f'id="{each}"' in page for each in described.split())

    def test_what_has_expired_is_gone(self, olivia: User, tenant: Tenant) -> None:
        client = signed_in(olivia)
        asked_for(client, tenant)
        export = Export.objects.get()
        Export.objects.update(expires_at=timezone.now())
        assert export.wire_id not in text_of(client, EXPORTS)
        assert client.get(f"{EXPORTS}{export.wire_id}/download/").status_code == 404

    @pytest.mark.parametrize(
        "fields",
        [{"scope": "thread", "target": "thread_1"}, {"format": "pdf"}, {"scope": "agent"}, {"target": "x"},
         {"scope": "external_ref", "target": "\x00"}],
    )  # fmt: skip
    def test_what_is_not_there_comes_back(self, olivia: User, tenant: Tenant, fields: dict[str, str]) -> None:
        assert asked_for(signed_in(olivia), tenant, **fields).status_code == 200
        assert not Export.objects.exists()


class TestRights:
    def test_admins_may_export_and_not_erase_members_neither(self, tenant: Tenant) -> None:
        old_thread(tenant, external_ref=PERSON)
        admin = signed_in(make_staff("ada", tenant, Role.ADMIN))
        assert listed(admin, tenant).status_code == 403
        assert admin.get(ERASURES).status_code == 403
        assert asked_for(admin, tenant).status_code == 302
        export = Export.objects.get()
        member = signed_in(make_staff("mia", tenant, Role.MEMBER))
        assert asked_for(member, tenant).status_code == 403
        exports.make(workspace_id=tenant.workspace.pk, export_id=export.pk)
        assert member.get(f"{EXPORTS}{export.wire_id}/download/").status_code in (302, 403, 404)
        assert (Erasure.objects.count(), Export.objects.count()) == (0, 1)

    def test_others_workspaces_are_not_there(self, olivia: User, tenant: Tenant, other_tenant: Tenant) -> None:
        old_thread(other_tenant, external_ref=PERSON)
        client = signed_in(olivia)
        assert listed(client, other_tenant).status_code == 200
        assert asked_for(client, other_tenant).status_code == 200
        assert (Erasure.objects.count(), Export.objects.count()) == (0, 0)
        actor = erasures.actors.system(other_tenant.workspace.pk)
        theirs = erasures.plan(actor=actor, kind="external_ref", value=PERSON, now=timezone.now())
        export = exports.ask(actor=actor, format="csv", now=timezone.now())
        exports.make(workspace_id=other_tenant.workspace.pk, export_id=export.pk)
        for path in (
            f"{ERASURES}{theirs.wire_id}/certificate/", f"{ERASURES}{theirs.wire_id}/progress/", erase_page(theirs),
            f"{EXPORTS}{export.wire_id}/download/", f"{EXPORTS}{export.wire_id}/progress/",
        ):  # fmt: skip
            assert client.get(path).status_code == 404, path
        assert theirs.wire_id not in text_of(client, ERASURES)
        assert client.get(page_of(theirs)).status_code == 302


def test_what_there_is_of_a_person_is_counted_in_words() -> None:
    counts = {"whole_threads": 1, "messages": 2, "keys": 1, "bundles": 0, "runs_elsewhere": 1}
    assert said_of(counts) == "1 thread, 2 messages, 1 API key, 1 question in threads of others"
    assert said_of({}) == "nothing"


def test_an_export_of_no_thread_asks_which(console: Client, tenant: Tenant) -> None:
    data = {"workspace": str(tenant.workspace.pk), "scope": "thread", "target": " ", "format": "html"}
    data["typed"] = tenant.workspace.name
    assert "Say which one." in console.post("/admin/threads/export/add/", data).content.decode()
    data["target"] = "nonsense"
    assert "The workspace has none such." in console.post("/admin/threads/export/add/", data).content.decode()


def test_an_export_wants_the_name_typed_and_where_it_is_asked_a_reason(console: Client, tenant: Tenant) -> None:
    add, name = "/admin/threads/export/add/", tenant.workspace.name
    data = {"workspace": str(tenant.workspace.pk), "scope": "workspace", "target": "", "format": "html"}
    assert "This field is required." in console.post(add, data).content.decode()
    assert f"Type exactly: {name}" in console.post(add, {**data, "typed": name.upper()}).content.decode()
    Workspace.objects.filter(pk=tenant.workspace.pk).update(transcript_reason=True)
    assert "wants to know why" in console.post(add, {**data, "typed": name, "reason": " ab "}).content.decode()
    assert not Export.objects.exists()
    assert console.post(add, {**data, "typed": name, "reason": "A court  asks"}).status_code == 302
    assert AuditEvent.objects.get(action="export.make").details == {"threads": 0, "reason": "A court asks"}
