"""A server's key is looked up once in some seconds, and what changes about it counts at once."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from tests.conftest import Api, Tenant
from threadhub import audit
from threadhub.embedded import direct
from threadhub.workspaces import keys, known_keys
from threadhub.workspaces.models import ApiKey, User

MINUTE = timedelta(minutes=1)
HARMLESS = {"last_used_at", "usage_count", "name", "prefix", "created_at"}  # nobody is let in or kept out by these


@pytest.fixture
def hearing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a process that hears of changes."""
    known_keys.forget()
    monkeypatch.setattr(known_keys, "_heard_until", float("inf"))
    yield
    known_keys.forget()


def find(secret: str) -> Any:
    return known_keys.find(secret=secret, now=timezone.now())


def test_a_known_key_needs_no_look_up(tenant: Tenant, hearing: None, django_assert_num_queries: Any) -> None:
    assert find(tenant.key) is None
    actor = known_keys.look_up(secret=tenant.key, now=timezone.now())
    assert actor == tenant.actor
    with django_assert_num_queries(0):
        assert find(tenant.key) == actor


def test_it_is_looked_up_again_after_some_seconds(
    tenant: Tenant, hearing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_keys, "KNOWN_SECONDS", -1.0)
    known_keys.look_up(secret=tenant.key, now=timezone.now())
    assert find(tenant.key) is None


def test_who_has_heard_nothing_for_a_second_knows_no_key(
    tenant: Tenant, hearing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_keys.look_up(secret=tenant.key, now=timezone.now())
    monkeypatch.setattr(known_keys, "_heard_until", time.monotonic())
    assert find(tenant.key) is None
    known_keys.forget()
    known_keys.look_up(secret=tenant.key, now=timezone.now())
    assert not known_keys._known


@pytest.mark.parametrize("kind", [ApiKey.Kind.PERSONAL, ApiKey.Kind.END_USER])
def test_a_key_of_a_person_is_looked_up_each_time(tenant: Tenant, hearing: None, kind: ApiKey.Kind) -> None:
    """What it may do depends on more than its own row."""
    _, secret = keys.create(workspace=tenant.workspace, user=tenant.owner, name="k", kind=kind)
    known_keys.look_up(secret=secret, now=timezone.now())
    assert find(secret) is None


def test_it_ends_when_it_expires_and_an_old_secret_with_its_overlap(tenant: Tenant, hearing: None) -> None:
    now = timezone.now()
    key, old = keys.create(workspace=tenant.workspace, user=tenant.owner, name="k", expires_at=now + 10 * MINUTE)
    _, new = keys.rotate(key=key, overlap=MINUTE, now=now)
    for secret in (old, new):
        known_keys.look_up(secret=secret, now=now)
    assert known_keys.find(secret=old, now=now + MINUTE) is None
    assert known_keys.find(secret=new, now=now + MINUTE) is not None
    assert known_keys.find(secret=new, now=now + 10 * MINUTE) is None


def test_what_was_read_before_a_change_is_not_kept(
    tenant: Tenant, hearing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look-up read the key as it was; the change was told before the look-up's end."""
    read = keys.find

    def read_and_hear(**asked: Any) -> ApiKey:
        key = read(**asked)
        known_keys.forget()
        return key

    monkeypatch.setattr(keys, "find", read_and_hear)
    known_keys.look_up(secret=tenant.key, now=timezone.now())
    assert find(tenant.key) is None


def test_every_column_that_decides_is_told_of(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname FROM pg_trigger JOIN pg_attribute ON attrelid = tgrelid AND attnum = ANY (tgattr)"
            " WHERE tgname = 'api_key_changes'"
        )
        told = {name for (name,) in cursor.fetchall()}
    assert told == {field.column for field in ApiKey._meta.concrete_fields} - HARMLESS


def revoke(key: ApiKey) -> None:
    keys.revoke(key=key, now=timezone.now(), by=audit.By("system", key.workspace_id))


def deactivate(key: ApiKey) -> None:
    User.objects.filter(pk=key.user_id).update(is_active=False)


def delete_user(key: ApiKey) -> None:
    User.objects.filter(pk=key.user_id).delete()


def bind(key: ApiKey) -> None:
    key.scopes = ["read"]
    key.save()


@pytest.mark.parametrize("change", [revoke, deactivate, delete_user, bind])
def test_who_listens_forgets_a_changed_key(
    transactional_db: None, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, change: Callable[[ApiKey], None]
) -> None:
    """With a real connection that hears, as each web process has one."""
    user = User.objects.create_user("another")
    key, secret = keys.create(workspace=tenant.workspace, user=user, name="k")
    with listening():
        assert Api(secret).get("/threads").status_code == 200
        assert until(lambda: find(secret) is not None or not known_keys.look_up(secret=secret, now=timezone.now()))
        change(key)
        assert until(lambda: find(secret) is None)
        assert Api(secret).get("/agents").status_code == (200 if change is bind else 401)


def test_noting_a_use_is_not_told(transactional_db: None, tenant: Tenant) -> None:
    with psycopg.connect(**direct.parameters(), autocommit=True) as hearer:
        hearer.execute(f"LISTEN {known_keys.CHANNEL}")
        ApiKey.objects.update(last_used_at=None)
        assert tenant.actor
        ApiKey.objects.update(name="new")
        connection.cursor().execute(f"NOTIFY {known_keys.CHANNEL}, 'last'")
        assert [each.payload for each in hearer.notifies(timeout=10, stop_after=1)] == ["last"]


class listening:
    """`known_keys` hears in a thread of its own while the `with` lasts."""

    def __enter__(self) -> None:
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.work)
        self.thread.start()
        assert until(lambda: time.monotonic() < known_keys._heard_until)

    def __exit__(self, *error: Any) -> None:
        self.over.set()
        self.thread.join(10)
        known_keys._heard_until = 0.0
        known_keys.forget()

    def work(self) -> None:
        known_keys.hear(lambda: self.over.is_set())


def until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether it comes to be so by then."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
