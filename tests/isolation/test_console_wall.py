"""Staff of one workspace before a console that forgot whose rows it lists."""

from typing import Any

import pytest
from django.contrib.admin import site as admin_site
from django.db import models

from tests.conftest import Tenant, make_user
from tests.console.conftest import furnish, signed_in
from tests.trust.matrix import wall_off
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Role

LISTS = (
    "threads/thread",
    "threads/run",
    "chat_sessions/chatsession",
    "agents/agent",
    "agents/tool",
    "workspaces/apikey",
)


def leaky(self: Any, queryset: models.QuerySet[Any], workspaces: Any) -> models.QuerySet[Any]:
    return queryset


@pytest.mark.parametrize("walled", [True, False])
def test_a_list_without_its_filter_shows_staff_only_their_workspace(
    tenant: Tenant, other_tenant: Tenant, monkeypatch: pytest.MonkeyPatch, walled: bool
) -> None:
    """Without the wall the same lists do show foreign rows: so the wall it is that keeps them back."""
    ours, theirs = furnish(tenant, "words of ours").pages(), furnish(other_tenant, "words of theirs").pages()
    olivia = make_user("olivia", tenant.workspace, Role.OWNER)
    User.objects.filter(pk=olivia.pk).update(is_staff=True)
    console = signed_in(User.objects.get(pk=olivia.pk))
    for admin in admin_site._registry.values():
        if hasattr(admin, "within"):
            monkeypatch.setattr(type(admin), "within", leaky)
            monkeypatch.setattr(type(admin), "apart", lambda self, request: ())  # which names workspaces, too
    if not walled:
        wall_off()
    for noun in LISTS:
        response = console.get(f"/admin/{noun}/")
        assert response.status_code == 200, noun
        page = response.content.decode()
        assert ours[f"{noun} page"] in page, noun
        assert (theirs[f"{noun} page"] in page) is not walled, noun
