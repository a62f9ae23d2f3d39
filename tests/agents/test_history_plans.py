"""How PostgreSQL finds a page of an agent's history: by index, however much else the workspace's trail holds."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from tests.conftest import Tenant
from threadhub.agents import changes, configure, versions
from threadhub.isolation import scope

pytestmark = pytest.mark.django_db

EVENTS = """
INSERT INTO audit_auditevent (id, workspace_id, created_at, actor, action, ids, details, face, request_id)
SELECT gen_random_uuid(), %(workspace)s, now() + n * interval '1 second', 'system',
       CASE WHEN n %% 2 = 0 THEN 'api_key.create' ELSE 'agent.update' END,
       CASE WHEN n %% 2 = 0 THEN ARRAY['key_' || n, %(agent)s, 'user_' || n] ELSE ARRAY['agent_' || n %% 100] END,
       CASE WHEN n %% 2 = 0 THEN '{"kind": "end_user"}' ELSE '{"active": [true, false]}' END::jsonb, 'api', ''
  FROM generate_series(1, 20000) AS n
"""
VERSIONS = """
INSERT INTO agents_agentversion (id, workspace_id, agent_id, number, values, changed, author, created_at)
SELECT gen_random_uuid(), %(workspace)s, %(agent)s, 100 + n, '{}', '[]', '', now() + n * interval '1 second'
  FROM generate_series(1, 5000) AS n
"""


def read_by(found: QuerySet[Any]) -> int:
    """The rows that the first page takes out of the table or its index."""
    sql, params = found.order_by("-created_at", "-pk")[:21].query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {sql}", params)
        nodes = [cursor.fetchone()[0][0]["Plan"]]
    while "Plans" in nodes[-1]:
        nodes += nodes[-1]["Plans"]
    return max(int(node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) for node in nodes)


@pytest.mark.parametrize("of_agent", [changes.of_agent, versions.of_agent], ids=["events", "versions"])
def test_a_page_reads_little_more_than_it_shows(tenant: Tenant, of_agent: Callable[..., QuerySet[Any]]) -> None:
    actor, agent = tenant.actor, tenant.agent
    for number in range(30):
        configure.change(actor=actor, agent=agent, now=timezone.now(), allowed_origins=[f"https://a{number}.example"])
    with connection.cursor() as cursor:
        cursor.execute(EVENTS, {"workspace": tenant.workspace.pk, "agent": agent.wire_id})
        cursor.execute(VERSIONS, {"workspace": tenant.workspace.pk, "agent": agent.pk})
        cursor.execute("ANALYZE audit_auditevent, agents_agentversion")
    with scope.within(tenant.workspace.pk):
        assert read_by(of_agent(actor=actor, agent=agent)) <= 50
