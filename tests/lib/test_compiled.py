"""Querysets that are compiled once give what they would give if they were built each time."""

import threading
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import close_old_connections, connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.transaction import TransactionManagementError

from tests.conftest import Tenant, make_tenant
from threadhub.agents.models import Agent, AgentTool, Tool
from threadhub.isolation import scope
from threadhub.lib.compiled import Compiled, NotCompilable

pytestmark = pytest.mark.django_db(transaction=True)


def agents_of(workspace_id: UUID) -> QuerySet[Agent]:
    found = Agent.objects.filter(workspace_id=workspace_id).select_related("workspace")
    return found.annotate(has_tools=Exists(AgentTool.objects.filter(agent=OuterRef("pk")))).order_by("name")


def shown(agents: Any) -> list[tuple[Any, ...]]:
    return [(agent.pk, agent.name, agent.created_at, agent.workspace.name, agent.has_tools) for agent in agents]


def test_rows_are_those_of_the_queryset(tenant: Tenant, django_assert_num_queries: Any) -> None:
    other = make_tenant("other")
    compiled = Compiled(agents_of)
    for each in (tenant, other, tenant):
        with scope.within(each.workspace.pk):
            expected = shown(agents_of(each.workspace.pk))
            with django_assert_num_queries(1):
                assert shown(compiled(workspace_id=each.workspace.pk)) == expected
            assert len(expected) == 1
    assert compiled(workspace_id=uuid4()) == []


def test_values_and_texts(tenant: Tenant) -> None:
    def named(workspace_id: UUID, name: str) -> Any:
        return Tool.objects.filter(workspace_id=workspace_id, name=name).values_list("name", "kind", "parameters")

    compiled = Compiled(named)
    known = list(Tool.objects.values_list("name", flat=True))
    assert known
    for name in known:
        expected = list(named(tenant.workspace.pk, name))
        assert compiled(workspace_id=tenant.workspace.pk, name=name) == expected
        assert len(expected) == 1
    assert compiled(workspace_id=tenant.workspace.pk, name="x' OR true --") == []


def test_what_is_no_parameter_is_said(tenant: Tenant) -> None:
    def unused(workspace_id: UUID, name: str) -> Any:
        return agents_of(workspace_id)

    def changed(name: str) -> Any:
        return Tool.objects.filter(name=name).exclude(description=f"about {name}")

    for build, values in ((unused, {"workspace_id": tenant.workspace.pk, "name": "x"}), (changed, {"name": "x"})):
        with pytest.raises(NotCompilable):
            Compiled(build)(**values)


def test_rows_are_locked_within_a_transaction_only(tenant: Tenant) -> None:
    compiled = Compiled(locked)
    with transaction.atomic():
        assert len(compiled(workspace_id=tenant.workspace.pk)) == 1
    with pytest.raises(TransactionManagementError):
        compiled(workspace_id=tenant.workspace.pk)


def locked(workspace_id: UUID) -> QuerySet[Agent]:
    return Agent.objects.filter(workspace_id=workspace_id).select_for_update()


def test_threads_have_connections_of_their_own(tenant: Tenant) -> None:
    compiled, found = Compiled(agents_of), []
    compiled(workspace_id=tenant.workspace.pk)

    def ask() -> None:
        with scope.within(tenant.workspace.pk):
            found.append((len(compiled(workspace_id=tenant.workspace.pk)), connection.connection))
        close_old_connections()
        connection.close()

    with scope.within(tenant.workspace.pk):
        compiled(workspace_id=tenant.workspace.pk)
        here = connection.connection
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert found[0][0] == 1
    assert found[0][1] is not here
