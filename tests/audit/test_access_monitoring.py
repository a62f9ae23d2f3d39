"""Access out of the ordinary raises an alert, whichever processes it went through."""

import hmac
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection

from tests.conftest import Api, Tenant
from threadhub import access_webhook, audit
from threadhub.agents.tools.output import ToolOutput
from threadhub.audit import alerts, watching
from threadhub.audit.models import AccessAddress, AccessAlert, AccessCount, AuditEvent
from threadhub.lib import ids


@pytest.fixture(autouse=True)
def _counted_anew(settings: Any) -> Iterator[None]:
    settings.ACCESS_WINDOW_SECONDS = 86_400
    watching.forget()
    yield
    watching.forget()


def kinds() -> list[tuple[str, str]]:
    return list(AccessAlert.objects.order_by("id").values_list("kind", "actor"))


def test_walking_through_ids_raises_one_alert(api: Api, tenant: Tenant, settings: Any) -> None:
    settings.ACCESS_MISSING_LIMIT = 5
    for _ in range(3):
        api.get(f"/threads/{ids.encode('thread', ids.new())}")
    one = ids.encode("thread", ids.new())
    for _ in range(5):
        api.get(f"/threads/{one}")
    watching.flush()
    assert kinds() == []  # four distinct ids, however often each was asked for
    for _ in range(3):
        api.get(f"/threads/{ids.encode('thread', ids.new())}")
    assert watching.flush() == 1
    watching.flush()
    alert = AccessAlert.objects.get()
    assert (alert.kind, alert.actor, alert.count) == ("missing", tenant.actor.identity, 7)
    event = AuditEvent.objects.get(action="access.alert")
    assert event.ids == [alert.wire_id]


def test_a_burst_of_reads_raises_an_alert_by_kind_of_actor(
    api: Api, tenant: Tenant, alice: Any, as_user: Any, settings: Any
) -> None:
    settings.ACCESS_READS_LIMIT, settings.ACCESS_KEY_READS_LIMIT = 3, 100
    person = as_user(alice)
    for _ in range(3):
        assert person.get("/threads").status_code == 200
        assert api.get("/threads").status_code == 200
    watching.flush()
    assert kinds() == [("reads", f"user:{alice.pk}")]


def test_a_key_from_a_new_address_raises_an_alert(api: Api, tenant: Tenant) -> None:
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
        api.get("/threads", REMOTE_ADDR=address)
        watching.flush()
    alert = AccessAlert.objects.get()
    assert (alert.kind, alert.address) == ("new_address", "192.0.2.2")
    assert AccessAddress.objects.count() == 2


def test_a_request_writes_nothing_for_it(api: Api, django_assert_num_queries: Any) -> None:
    api.get("/threads")
    with connection.execute_wrapper(_no_write):
        assert api.get("/threads").status_code == 200
    assert not AccessCount.objects.exists()


def _no_write(execute: Any, sql: str, *args: Any) -> Any:
    assert not sql.startswith(("INSERT", "UPDATE")), sql
    return execute(sql, *args)


OTHER_PROCESS = """
import django
from django.conf import settings
settings.DATABASES["default"]["NAME"] = {database!r}
django.setup()
from uuid import UUID
from threadhub import audit
from threadhub.audit import watching
settings.ACCESS_WINDOW_SECONDS, settings.ACCESS_MISSING_LIMIT = 86_400, 10
for number in range(6):
    watching.missing(actor=audit.By({identity!r}, UUID({workspace!r})), path=f"/threads/{start}-{{number}}")
print(watching.flush())
"""


@pytest.mark.django_db(transaction=True)
def test_two_processes_add_up(tenant: Tenant) -> None:
    said = []
    for start in ("a", "b"):
        code = OTHER_PROCESS.format(
            database=connection.settings_dict["NAME"],
            identity=tenant.actor.identity,
            workspace=str(tenant.workspace.pk),
            start=start,
        )
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        said.append(int(done.stdout))
    assert said == [0, 1]
    assert AccessCount.objects.get(kind="missing").count == 12
    assert AccessAlert.objects.get().count == 12


def test_owners_see_alerts_and_others_do_not(
    api: Api, tenant: Tenant, other_tenant: Tenant, alice: Any, as_user: Any, settings: Any
) -> None:
    settings.ACCESS_MISSING_LIMIT = 1
    api.get(f"/threads/{ids.encode('thread', ids.new())}")
    watching.flush()
    (row,) = api.get("/access_alerts").json()["data"]
    assert row["kind"] == "missing"
    assert row["actor"] == ids.encode("key", tenant.actor.key_id)
    assert Api(other_tenant.key).get("/access_alerts").json()["data"] == []
    assert as_user(alice).get("/access_alerts").status_code == 403
    assert api.get("/access_alerts?kind=reads").json()["data"] == []


def test_an_alert_is_posted_signed_until_it_is_taken(tenant: Tenant, settings: Any, monkeypatch: Any) -> None:
    settings.ACCESS_ALERT_WEBHOOK, settings.ACCESS_ALERT_SECRET = "https://hooks.example.org/in", "s3cret"
    settings.ACCESS_MISSING_LIMIT = 1
    watching.missing(actor=audit.By("key:1", tenant.workspace.pk), path="/threads/1")
    watching.flush()
    posted: list[tuple[Any, Any]] = []
    answers = [True, False]

    async def call(self: Any, arguments: Any, *, call_id: str, guard: Any) -> ToolOutput:
        posted.append((self.headers, arguments))
        return ToolOutput(None, is_error=answers.pop(0))

    monkeypatch.setattr(access_webhook.HttpTool, "call", call)
    monkeypatch.setattr(access_webhook, "in_thread", lambda function: _awaited(function))
    assert async_to_sync(access_webhook.send_waiting)() == 0
    alert = AccessAlert.objects.get()
    assert (alert.attempts, alert.delivered_at) == (1, None)
    assert async_to_sync(access_webhook.send_waiting)() == 0  # not before its pause is over
    assert len(posted) == 1
    AccessAlert.objects.update(try_again_at=alert.created_at)
    assert async_to_sync(access_webhook.send_waiting)() == 1
    AccessAlert.objects.get(delivered_at__isnull=False, attempts=2)
    assert async_to_sync(access_webhook.send_waiting)() == 0

    headers, content = posted[-1]
    assert content["id"] == alert.wire_id
    moment, digest = (part.split("=")[1] for part in headers["Threadhub-Signature"].split(","))
    body = json.dumps(content, separators=(",", ":")).encode()
    assert hmac.compare_digest(hmac.new(b"s3cret", moment.encode() + b"." + body, "sha256").hexdigest(), digest)


def _awaited(function: Any) -> Any:
    from asgiref.sync import sync_to_async

    return sync_to_async(function)


def test_counts_are_forgotten_after_a_day(tenant: Tenant) -> None:
    watching.read(actor=tenant.actor)
    watching.flush()
    count = AccessCount.objects.get()
    assert alerts.forget_counts(now=count.window_start + alerts.KEPT) == 0
    assert alerts.forget_counts(now=count.window_start + alerts.KEPT * 1.01) == 1
