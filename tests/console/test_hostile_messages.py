"""What is told after something was done may repeat what somebody wrote: it is text there too."""

from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from tests.conftest import Tenant
from tests.console.addresses import models
from tests.console.conftest import furnish
from tests.console.hostile_site import pages_of, spread
from tests.console.test_hostile_text import MARK, ROUNDS, Page
from tests.lifecycle.conftest import archive_directory  # noqa: F401  fixture
from threadhub.workspaces.models import ApiKey
from threads.models import Run

# Whose messages have a title or a name in them.
REPEATING = {
    "agents/tool remove", "threads/cannedanswer remove", "threads/thread delete", "workspaces/apikey limit",
    "workspaces/apikey revoke", "workspaces/invitation withdraw",
}  # fmt: skip
SAVED = {"agents/agent page", "threads/cannedanswer page", "threads/retentionsettings page"}


def asked(form: Any) -> dict[str, Any]:
    """What somebody sends who fills a question's form in, and types what it wants typed."""
    return {name: getattr(field, "wanted", None) or "7" for name, field in form.fields.items()}


def as_it_stands(form: Any) -> dict[str, Any]:
    """What the browser sends of a form in which nothing was changed."""
    sent = {name: form[name].value() for name in form.fields}
    sent = {name: value for name, value in sent.items() if value is not None and value is not False}
    return {name: "on" if value is True else value for name, value in sent.items()} | {"allowed_origins": ""}


def told(client: Client, address: str, data: dict[str, Any]) -> tuple[Page, bool]:
    """The page that somebody sees after a POST, and whether its message says MARK; what was done is taken back."""
    with transaction.atomic():
        answer = client.post(address, data, follow=True)
        transaction.set_rollback(True)
    return Page(answer.content.decode()), any(MARK in str(message) for message in answer.context["messages"])


@pytest.mark.parametrize("payload", ROUNDS, ids=range(5))
def test_after_every_deed(payload: str, console: Client, tenant: Tenant) -> None:
    pages = pages_of(spread(tenant, payload))
    # What only our own code writes has to have its form where a deed goes on with it.
    ApiKey.objects.update(scopes=["read"])
    Run.objects.update(input=None)
    repeated = set()
    for noun, admin in models().items():
        for deed in admin.deeds:
            address = pages[name := f"{noun} {deed.name}"]
            page, repeats = told(console, address, asked(console.get(address).context["form"]))
            assert page.alive == [], name
            repeated |= {name} if repeats else set()
    assert repeated >= REPEATING


@pytest.mark.parametrize("payload", ROUNDS[:2], ids=range(2))
def test_after_every_form(payload: str, console: Client, tenant: Tenant) -> None:
    pages = pages_of(spread(tenant, payload))
    repeated = set()
    for noun, admin in models().items():
        if admin.may_be_changed:
            address = pages[name := f"{noun} page"]
            page, repeats = told(console, address, as_it_stands(console.get(address).context["adminform"].form))
            assert page.alive == [], name
            repeated |= {name} if repeats else set()
    assert repeated >= SAVED


@pytest.mark.parametrize("payload", ROUNDS[:2], ids=range(2))
def test_after_what_was_made(payload: str, console: Client, tenant: Tenant) -> None:
    pages, workspace = furnish(tenant, "Plain").pages(), str(tenant.workspace.pk)
    for noun, form in {
        "agents/agent": {"name": payload[:200], "provider": "echo"},
        "threads/cannedanswer": {"title": payload[:80], "text": payload},
        "workspaces/workspace": {"name": payload[:200], "external_ref_policy": "warn"},
        "workspaces/apikey": {"name": payload[:200], "username": tenant.owner.username, "scopes": ["read"]},
    }.items():
        page, _ = told(console, pages[f"{noun} add"], {"workspace": workspace, **form})
        assert page.alive == [], noun
        assert noun == "workspaces/apikey" or MARK in page.text, noun  # whose page shows the secret and no more
