"""The rows of our lists are those that unfold would draw."""

from typing import Any

import pytest
from django.contrib.admin import site
from django.http import HttpRequest
from django.test import RequestFactory
from django.urls import resolve
from unfold.templatetags.unfold_list import results

from tests.console.conftest import Everything
from threadhub.console import rights, rows
from threadhub.isolation import scope
from threadhub.workspaces.models import User

QUERIES = ("", "?q=order", "?q=order+%3C%26%3E", "?q=%22Where+is%22")  # signs are no words, so they find what words do


def asked(root: User, model: Any, query: str) -> HttpRequest:
    request = RequestFactory().get(f"/admin/{model._meta.app_label}/{model._meta.model_name}/{query}")
    request.user = root
    request.session = {}  # type: ignore[assignment]
    request.resolver_match = resolve(request.path)
    rights.enter(request)
    return request


@pytest.mark.parametrize("query", QUERIES)
def test_each_list_shows_what_unfold_would_show(everything: Everything, root: User, query: str) -> None:
    shown: list[str] = []
    for model, admin in site._registry.items():
        with scope.nowhere():  # what the request enters ends with it
            changelist = admin.get_changelist_instance(asked(root, model, query))
            changelist.formset = None
            own = [str(row) for row in rows.of(changelist)]
            assert own == ["".join(map(str, row)) for row in results(changelist)], model
        shown += own
    assert len(shown) > (0 if query else 20)
    assert all("_changelist_filters=" in row for row in shown) == bool(query)
