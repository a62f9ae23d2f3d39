"""An alert on its way to the installation's webhook: through the guard, over a real connection, until it is taken."""

import asyncio
import hmac
import json
from asyncio import StreamWriter
from typing import Any

import pytest

from tests.conftest import Tenant
from tests.tools.service import Received, answer, service
from threadhub import audit
from threadhub.access_webhook import send_waiting
from threadhub.audit import watching
from threadhub.audit.models import AccessAlert
from threadhub.lib.asynchronous import in_thread


def due() -> None:
    AccessAlert.objects.update(try_again_at=AccessAlert.objects.get().created_at)


@pytest.mark.django_db(transaction=True)
def test_it_is_signed_guarded_and_sent_again_until_it_is_taken(tenant: Tenant, settings: Any) -> None:
    settings.ACCESS_ALERT_SECRET, settings.ACCESS_MISSING_LIMIT = "s3cret", 1
    watching.forget()
    watching.missing(actor=audit.By("key:1", tenant.workspace.pk), path="/threads/1")
    assert watching.flush() == 1
    statuses = [500, 204]

    async def reply(request: Received, writer: StreamWriter) -> None:
        await answer(status=statuses.pop(0))(request, writer)

    async def deliver() -> list[Received]:
        async with service(reply) as receiver:
            settings.ACCESS_ALERT_WEBHOOK = receiver.url("/in")
            settings.TOOL_ALLOWED_NETWORKS = ""
            assert await send_waiting() == 0
            assert receiver.connections == 0  # the guard lets nobody reach this machine unless it is allowed
            settings.TOOL_ALLOWED_NETWORKS = "127.0.0.0/8"
            for taken in (0, 1):
                await in_thread(due)()
                assert await send_waiting() == taken
            await in_thread(due)()
            assert await send_waiting() == 0  # taken once, it is not sent again
            return receiver.requests

    first, second = asyncio.run(deliver())
    alert = AccessAlert.objects.get(delivered_at__isnull=False, attempts=3)
    assert first.body == second.body
    assert json.loads(second.body)["id"] == alert.wire_id
    for request in (first, second):
        assert (request.method, request.target) == ("POST", "/in")
        moment, digest = (part.split("=")[1] for part in request.headers["threadhub-signature"].split(","))
        signed = hmac.new(b"s3cret", moment.encode() + b"." + request.body, "sha256").hexdigest()
        assert hmac.compare_digest(signed, digest)
    watching.forget()
