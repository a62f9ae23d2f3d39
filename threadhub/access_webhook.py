"""Posting access alerts to the installation's webhook, through the guard of outgoing requests."""

from django.conf import settings
from django.utils import timezone

from threadhub.agents.calling import guard
from threadhub.agents.tools.http_tool import HttpTool
from threadhub.audit import alerts
from threadhub.audit.models import AccessAlert
from threadhub.lib import json
from threadhub.lib.asynchronous import in_thread


async def send_waiting() -> int:
    """Post what waits; returns how many the receiver took. What it did not take is tried again later."""
    taken = 0
    for alert in await in_thread(alerts.untold)(now=timezone.now()):
        delivered = await _send(alert)
        note = alerts.told if delivered else alerts.failed
        await in_thread(note)(alert=alert, now=timezone.now())
        taken += delivered
    return taken


async def _send(alert: AccessAlert) -> bool:
    content = alerts.payload(alert)
    signed = alerts.signature(json.dumps(content), secret=settings.ACCESS_ALERT_SECRET, now=timezone.now())
    hook = HttpTool(url=settings.ACCESS_ALERT_WEBHOOK, headers={"Threadhub-Signature": signed}, max_redirects=0)
    output = await hook.call(content, call_id=alert.wire_id, guard=guard())
    return not output.is_error
