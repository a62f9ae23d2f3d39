"""What ends something asks first: deleting a thread, cancelling its run, ending its session."""

from typing import Any

from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone

from tests.conftest import Tenant
from tests.console.conftest import Everything
from threadhub.workspaces.models import User
from threads.lifecycle import preferences
from threads.models import Attachment, Message, Run, Summary, Thread


def test_deleting_asks_first_and_then_deletes_everything(
    console: Client, everything: Everything, django_capture_on_commit_callbacks: Any
) -> None:
    address = everything.pages()["threads/thread delete"]
    file = Attachment.objects.get().file.name
    assert "this is final" in console.get(address).content.decode()
    end_of_id = everything.thread.wire_id[-6:]
    for typed in ({}, {"typed": ""}, {"typed": end_of_id[:-1]}, {"typed": f"{end_of_id}X"}):
        assert "this is final" in console.post(address, typed).content.decode()
    assert Thread.objects.filter(pk=everything.thread.pk).exists()
    with django_capture_on_commit_callbacks(execute=True):
        answer = console.post(address, {"typed": end_of_id}, follow=True)
    assert "Deleted the thread" in answer.content.decode()
    for model in (Thread, Message, Run, Summary, Attachment):
        assert not model._default_manager.exists()
    assert not default_storage.exists(file)
    assert console.post(address).status_code == 404


def test_deleting_wants_nothing_typed_where_there_is_a_trash(
    console: Client, tenant: Tenant, everything: Everything
) -> None:
    address = everything.pages()["threads/thread delete"]
    preferences.change(actor=tenant.actor, now=timezone.now(), trash_days=1)
    asked = console.get(address).content.decode()
    assert "staff can bring it back for 1 day." in asked
    assert 'name="typed"' not in asked
    preferences.change(actor=tenant.actor, now=timezone.now(), trash_days=0)  # while somebody reads the question
    assert "this is final" in console.post(address).content.decode()
    assert Thread.objects.filter(pk=everything.thread.pk, state="active").exists()
    preferences.change(actor=tenant.actor, now=timezone.now(), trash_days=1)
    assert console.post(address).status_code == 302
    assert Thread.objects.filter(pk=everything.thread.pk, state="trashed").exists()


def test_deleting_needs_the_token_of_the_form(root: User, everything: Everything) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(root)
    assert client.post(everything.pages()["threads/thread delete"]).status_code == 403
    assert Thread.objects.filter(pk=everything.thread.pk).exists()


def test_a_live_run_is_cancelled_from_its_page(console: Client, everything: Everything) -> None:
    address = everything.pages()["threads/run cancel"]
    assert "Cancel run" in console.get(everything.pages()["threads/run page"]).content.decode()
    assert "is cancelled" in console.post(address, follow=True).content.decode()
    everything.run.refresh_from_db()
    assert everything.run.status == "cancelled"
    assert "already ended" in console.post(address, follow=True).content.decode()
    assert "Cancel run" not in console.get(everything.pages()["threads/run page"]).content.decode()


def test_a_chat_session_is_ended_from_its_page(console: Client, everything: Everything) -> None:
    console.post(everything.pages()["chat_sessions/chatsession end"])
    everything.session.refresh_from_db()
    assert everything.session.ended_at is not None
