"""How PostgreSQL finds a member's threads beside a limited agent: by index, however many there are."""

from django.db import connection
from django.utils import timezone

from tests.conftest import Tenant
from threadhub.agents import configure
from threadhub.agents.models import Agent
from threadhub.isolation import scope
from threadhub.workspaces import keys
from threadhub.workspaces.models import ApiKey, User
from threads.models import Thread

ROWS = """
INSERT INTO threads_thread
       (id, workspace_id, agent_id, user_id, title, metadata, state, origin, message_count, last_position, created_at)
SELECT gen_random_uuid(), %s, CASE WHEN n %% 4 = 0 THEN %s::uuid ELSE %s::uuid END,
       CASE WHEN n %% 20 < 2 THEN %s::uuid ELSE %s::uuid END,
       'number ' || n, '{}', 'active', 'direct', 0, 0, now() - n * interval '1 second'
  FROM generate_series(1, 20000) AS n
"""


def test_a_members_list_beside_a_limited_agent_is_read_by_index(tenant: Tenant, alice: User) -> None:
    closed = configure.create(actor=tenant.actor, name="Closed", provider="echo", allowed_roles=["admin"])
    assert Agent.objects.get(pk=closed.pk).limited
    _, key = keys.create(workspace=tenant.workspace, user=alice, name="hers", kind=ApiKey.Kind.PERSONAL)
    actor = keys.authenticate(secret=key, now=timezone.now())
    named = [tenant.workspace.pk, closed.pk, tenant.agent.pk, alice.pk, tenant.owner.pk]
    with connection.cursor() as cursor:
        cursor.execute(ROWS, named)
        cursor.execute("ANALYZE threads_thread, agents_agent")
    with scope.within(tenant.workspace.pk):
        page = Thread.objects.visible_to(actor).order_by("-created_at", "-id")[:51]
        plan = page.explain(analyze=True)
        assert len(page) == 51
        assert closed.pk not in {thread.agent_id for thread in page}
    assert "Index Scan using thread_by_user on threads_thread" in plan, plan
    assert "Seq Scan on threads_thread " not in plan, plan
