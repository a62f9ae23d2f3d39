"""Threads to ask in, and the asking."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from tests.conftest import Tenant
from tests.fakes.openai_server import FakeOpenAI
from threadhub.agents.providers import ProviderSettings
from threads.actions import threads
from threads.actions.messages import Draft
from threads.models import Run, Thread
from threads.runs.execute import execute
from threads.runs.start import Wish, start


@pytest.fixture
def thread(tenant: Tenant) -> Thread:
    return threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now())


@pytest.fixture
def model_server(settings: Any, tenant: Tenant) -> Iterator[FakeOpenAI]:
    """A model service under the test's command, which the tenant's agent asks."""
    with FakeOpenAI() as server:
        settings.PROVIDERS = ProviderSettings(openai_base_url=server.base_url)
        tenant.agent.provider, tenant.agent.model = "openai", "fake-1"
        tenant.agent.save()
        yield server


def ask(tenant: Tenant, thread: Thread, prompt: str, **wish: Any) -> Run:
    draft = Draft(role="user", content=prompt)
    return start(actor=tenant.actor, thread=thread, drafts=[draft], now=timezone.now(), wish=Wish(**wish)).run


def answer(tenant: Tenant, thread: Thread, prompt: str, **wish: Any) -> Run:
    """Ask and work it off; the run as it ended."""
    run = ask(tenant, thread, prompt, **wish)
    asyncio.run(execute(run_id=run.pk, workspace_id=run.workspace_id))
    run.refresh_from_db()
    return run


def conversation(thread: Thread) -> list[tuple[int, str, str | None]]:
    return list(thread.messages.order_by("position").values_list("position", "role", "content"))
