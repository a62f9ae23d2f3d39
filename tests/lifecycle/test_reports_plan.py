"""That the newest report is still the newest is asked of the trail by index, however much else it holds."""

from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tests.conftest import Tenant
from threadhub.isolation import scope
from threads.lifecycle import reports

pytestmark = pytest.mark.django_db

# The worker's own acts, as the reports are, and younger than them.
EVENTS = """
INSERT INTO audit_auditevent (id, workspace_id, created_at, actor, action, ids, details, face, request_id)
SELECT gen_random_uuid(), %s, now() + n * interval '1 second', 'system', 'thread.archive', ARRAY['thread_' || n], '{}',
       'worker', ''
  FROM generate_series(1, 20000) AS n
"""


def test_it_reads_no_more_events_than_it_needs(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace_id, now = tenant.workspace.pk, timezone.now()
    for number in range(20):
        reports.keep(workspace_id=workspace_id, kind="retention", cutoff=now, now=now, report={"taken": number})
    with connection.cursor() as cursor:
        cursor.execute(EVENTS, [workspace_id])
        cursor.execute("ANALYZE audit_auditevent")
    read: list[int] = []

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not sql.startswith("SELECT"):
            return execute(sql, params, many, context)
        with context["connection"].cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {sql}", params)
            nodes = [cursor.fetchone()[0][0]["Plan"]]
        while "Plans" in nodes[-1]:
            nodes += nodes[-1]["Plans"]
        read.append(max(int(node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) for node in nodes))
        return execute(sql, params, many, context)

    with scope.within(workspace_id), connection.execute_wrapper(explain):
        told = reports._newest_told(workspace_id)
    assert told is not None
    assert told[0] == 20
    assert read == [reports.LATELY]
