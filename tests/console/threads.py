"""How tests ask for pages of threads, and what those show."""

import re
from html import unescape
from typing import Any

from django.test import Client
from django.utils import timezone

from tests.conftest import Tenant
from threads.actions import threads
from threads.models import Thread

LIST = "/admin/threads/thread/"


def make(tenant: Tenant, title: str | None, **fields: Any) -> Thread:
    return threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now(), title=title, **fields)


def titles(client: Client, **query: str) -> list[str]:
    """The titles on a page of the list, in order."""
    html = client.get(LIST, query).content.decode()
    cells = re.findall(r'<th class="field-titled.*?(?:<span class="th-(?:excerpt|label)|</th>)', html, re.S)
    return [unescape(re.sub(r"<[^>]+>|<span.*$", "", cell).strip()) for cell in cells]


def page(client: Client, thread: Thread, query: str = "") -> str:
    return client.get(f"{LIST}{thread.wire_id}/change/{query}").content.decode()


def positions(html: str) -> list[int]:
    return [int(text) for text in re.findall(r'class="th-position"[^>]*>#(\d+)<', html)]
