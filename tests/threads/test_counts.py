"""Counters of threads say what a count would find, whatever made, moved or removed the threads."""

import random
import threading
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone

from tests.conftest import Api, Tenant, access_token, make_user
from threadhub.agents import configure
from threadhub.agents.models import Agent
from threadhub.embedded import direct
from threadhub.isolation import scope
from threadhub.lib import ids
from threadhub.workspaces.permissions import Role
from threads import access, counts
from threads.actions import copy, threads
from threads.actions import messages as appending
from threads.actions.messages import Draft
from threads.lifecycle import acts, restore, trash
from threads.lifecycle.models import RetentionSettings
from threads.models import Thread, ThreadCount

WRITERS, WRITES = 8, 250
MAKE = """
INSERT INTO threads_thread (id, workspace_id, agent_id, metadata, state, origin, message_count, last_position)
SELECT gen_random_uuid(), %(workspace)s, (%(agents)s::uuid[])[1 + n %% 2], '{}', 'active', 'direct', 0, 0
  FROM generate_series(1, %(rows)s) AS n
"""
SOME = (
    "SELECT id FROM threads_thread WHERE workspace_id = %(workspace)s ORDER BY random() LIMIT 3 FOR UPDATE SKIP LOCKED"
)
CHANGES = (
    MAKE,
    f"UPDATE threads_thread SET state = 'archived', archived_at = now() WHERE state = 'active' AND id IN ({SOME})",
    f"UPDATE threads_thread SET state = 'active' WHERE state = 'archived' AND id IN ({SOME})",
    f"UPDATE threads_thread SET agent_id = (%(agents)s::uuid[])[1] WHERE id IN ({SOME})",
    f"DELETE FROM threads_thread WHERE id IN ({SOME})",
)


def new(tenant: Tenant, **fields: Any) -> Thread:
    return threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now(), **fields)


def counted_and_true(tenant: Tenant) -> tuple[list[int], list[int]]:
    """All, by agent, by state, by both: by the counters and by counting."""
    everything = access.visible(actor=tenant.actor)
    lists = [everything, everything.in_state("archived"), everything.in_state("active")]
    for agent in Agent.objects.filter(workspace=tenant.workspace):
        lists += [everything.with_agent(agent.pk), everything.with_agent(agent.pk).in_state("active")]
    assert all(each.counted is not None for each in lists)
    return [each.count() for each in lists], [len(each) for each in lists]


def agree(tenant: Tenant) -> bool:
    counted, true = counted_and_true(tenant)
    assert counted == true
    return True


def test_every_act_on_threads_is_counted(tenant: Tenant, other_tenant: Tenant) -> None:
    made = [new(tenant) for _ in range(6)]
    new(other_tenant)
    assert agree(tenant)
    assert access.visible(actor=tenant.actor).count() == 6
    appending.append(actor=tenant.actor, thread=made[0], drafts=[Draft(role="user", content="x")])
    made[0].refresh_from_db()
    acts.archive(actor=tenant.actor, thread=made[0], now=timezone.now())
    assert agree(tenant)
    made[0].refresh_from_db()
    restore.restore(actor=tenant.actor, thread=made[0], now=timezone.now())
    assert agree(tenant)
    made[0].refresh_from_db()
    copy.copy(actor=tenant.actor, thread=made[0], now=timezone.now())
    assert agree(tenant)
    threads.delete(actor=tenant.actor, thread=made[1], now=timezone.now())
    assert agree(tenant)
    RetentionSettings.objects.update_or_create(workspace=tenant.workspace, defaults={"trash_days": 30})
    for thread in made[2:4]:
        threads.delete(actor=tenant.actor, thread=thread, now=timezone.now())
    assert agree(tenant)
    assert access.visible(actor=tenant.actor).count() == 4
    trash.take_out(actor=tenant.actor, thread_id=made[2].pk, now=timezone.now(), grace=timedelta(days=1))
    assert agree(tenant)
    acts.purge_now(actor=tenant.actor, thread=made[3], now=timezone.now())
    assert agree(tenant)
    assert access.visible(actor=tenant.actor).count() == 5
    assert agree(other_tenant)


def test_askings_without_a_thread_are_not_counted(tenant: Tenant) -> None:
    thread = new(tenant)
    Thread.objects.filter(pk=thread.pk).update(state=Thread.State.TEMPORARY)
    assert agree(tenant)
    assert access.visible(actor=tenant.actor).count() == 0
    Thread.objects.filter(pk=thread.pk).delete()
    assert agree(tenant)


def test_copy_is_counted(tenant: Tenant) -> None:
    thread = new(tenant)
    columns = "id, workspace_id, agent_id, metadata, state, origin, message_count, last_position"
    with connection.cursor() as cursor, cursor.copy(f"COPY threads_thread ({columns}) FROM STDIN") as rows:
        for _ in range(20):
            rows.write_row([ids.new(), thread.workspace_id, thread.agent_id, "{}", "active", "direct", 0, 0])
    assert agree(tenant)
    assert access.visible(actor=tenant.actor).count() == 21


def test_many_threads_change_their_state_in_one_step_of_each_counter(tenant: Tenant, other_tenant: Tenant) -> None:
    other_agent = configure.create(actor=tenant.actor, name="another", provider="echo")
    mine = [new(tenant).pk for _ in range(20)] + [new(other_tenant).pk for _ in range(3)]
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE steps (subject uuid, state text) ON COMMIT DROP")
        cursor.execute(
            "CREATE FUNCTION step() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " INSERT INTO steps VALUES (NEW.subject, NEW.state); RETURN NULL; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER step AFTER INSERT OR UPDATE ON threads_threadcount FOR EACH ROW EXECUTE FUNCTION step()"
        )
        with scope.as_owner():
            cursor.execute("UPDATE threads_thread SET state = 'archived' WHERE id = ANY (%s)", [mine])
        cursor.execute("SELECT state, count(*) FROM steps GROUP BY state")
        assert dict(cursor.fetchall()) == {"active": 4, "archived": 4}  # two workspaces, an agent in each
        cursor.execute("UPDATE threads_thread SET agent_id = %s WHERE id = ANY (%s)", [other_agent.pk, mine[:5]])
        taken_back = transaction.savepoint()
        cursor.execute("UPDATE threads_thread SET state = 'active' WHERE id = ANY (%s)", [mine[:10]])
        transaction.savepoint_rollback(taken_back)
        cursor.execute("UPDATE threads_thread SET state = state, agent_id = agent_id")
    assert agree(tenant)
    assert agree(other_tenant)


def test_threads_of_very_many_agents_are_counted_in_parts(tenant: Tenant) -> None:
    agents = Agent.objects.bulk_create(
        Agent(workspace=tenant.workspace, name=f"agent {number}", provider="echo") for number in range(150)
    )
    Thread.objects.bulk_create(
        Thread(workspace=tenant.workspace, agent=agents[number % 150], origin="direct") for number in range(300)
    )
    Thread.objects.filter(workspace=tenant.workspace).update(state="archived", archived_at=timezone.now())
    assert agree(tenant)
    Thread.objects.filter(workspace=tenant.workspace).update(agent=agents[0])
    assert agree(tenant)


@pytest.mark.parametrize("first", ["title = 'a'", "state = 'archived'"])
@pytest.mark.parametrize("then", ["title = 'b'", "state = 'archived'"])
def test_two_updates_in_one_query_are_counted(tenant: Tenant, first: str, then: str) -> None:
    threads = [new(tenant).pk for _ in range(6)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH one AS (UPDATE threads_thread SET {first} WHERE id = ANY (%s) RETURNING id)"
            f" UPDATE threads_thread SET {then} WHERE id = ANY (%s)",
            [threads[:2], threads[2:]],
        )
    assert agree(tenant)


def test_an_append_touches_no_counter(tenant: Tenant) -> None:
    thread = new(tenant)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'counted'; END $$"
        )
        cursor.execute("CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON threads_threadcount EXECUTE FUNCTION refuse()")
    appending.append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="x")])
    with pytest.raises(Exception, match="counted"):
        new(tenant)


def narrowed(tenant: Tenant) -> list[Any]:
    everything = access.visible(actor=tenant.actor)
    return [
        everything.filter(title="x"),
        everything.exclude(title="x"),
        everything.with_external_ref("x"),
        everything.titled_like("x"),
        everything.with_metadata({"a": 1}),
        everything.of_user(tenant.owner.pk),
        everything.created_from(timezone.now()),
        everything.with_agent(tenant.agent.pk).filter(title="x"),
        everything[:1],
        everything.none(),
        everything & Thread.objects.filter(title="x"),
        everything.filter(title="x").in_state("active"),
    ]


def test_what_is_narrowed_further_is_counted_one_by_one(tenant: Tenant) -> None:
    new(tenant), new(tenant)
    for each in narrowed(tenant):
        assert each.count() == len(each)


@pytest.mark.parametrize("part", [1, 4, 100])
def test_between_two_moments_either_side_is_counted(tenant: Tenant, part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "PART", part)
    second = Agent.objects.create(workspace=tenant.workspace, name="second", provider="echo")
    begin, step = timezone.now(), timedelta(microseconds=1)
    moments = [begin + number * step for number in range(12)]
    for number, moment in enumerate(moments):
        made = new(tenant)
        agent = (tenant.agent, second)[number % 3 == 0]
        state = ("active", "archived")[number % 4 == 0]
        Thread.objects.filter(pk=made.pk).update(created_at=moment, agent=agent, state=state)
    everything = access.visible(actor=tenant.actor)
    for threads_ in (everything, everything.with_agent(second.pk), everything.in_state("archived")):
        for moment in (begin - step, *moments, moments[-1] + step):
            ends = [threads_.created_from(moment), threads_.created_before(moment), threads_.created_until(moment)]
            ends += [ends[0].created_before(moments[8]), ends[0].created_until(moments[8])]
            ends += [ends[0].created_from(moments[5]), ends[1].created_until(moments[5])]
            for each in ends:
                assert each.count() == len(each)


def test_of_most_threads_those_outside_are_read(tenant: Tenant) -> None:
    """Falsified, the counter shows in the answer."""
    for _ in range(30):
        new(tenant)
    with scope.as_owner():
        ThreadCount.objects.filter(subject=tenant.workspace.pk).update(number=77)
    everything = access.visible(actor=tenant.actor)
    assert everything.created_from(timezone.now() - timedelta(days=1)).count() == 77
    assert everything.created_until(timezone.now()).count() == 77


def test_who_does_not_see_all_is_told_of_what_they_see(tenant: Tenant) -> None:
    new(tenant)
    alice = make_user("alice", tenant.workspace, Role.MEMBER)
    assert Api(access_token(alice)).get("/threads").json()["count"] == 0
    assert Api(tenant.key).get("/threads").json()["count"] == 1


def test_a_list_is_counted_by_counters(tenant: Tenant, api: Api) -> None:
    """Falsified, they are what the list says: so nothing else was asked."""
    new(tenant)
    with scope.as_owner():
        ThreadCount.objects.filter(subject=tenant.workspace.pk).update(number=77)
        ThreadCount.objects.filter(subject=tenant.agent.pk).update(number=78)
    assert api.get("/threads").json()["count"] == 77
    agent = tenant.agent.wire_id
    for path in (f"/threads?agentId={agent}", f"/agents/{agent}/threads", "/threads?state=active&agentId=" + agent):
        assert api.get(path).json()["count"] == 78, path
    assert api.get("/threads?state=archived").json()["count"] == 0
    assert api.get("/threads?title=nothing").json()["count"] == 0


def test_thousands_of_writes_at_once_are_counted(transactional_db: None, tenant: Tenant) -> None:
    second = Agent.objects.create(workspace=tenant.workspace, name="second", provider="echo")
    values = {"workspace": tenant.workspace.pk, "agents": [tenant.agent.pk, second.pk], "rows": 4}
    faults: list[Exception] = []

    def write(seed: int) -> None:
        chance = random.Random(seed)
        try:
            with psycopg.connect(**direct.parameters(), autocommit=True) as own:
                own.execute("SET threadhub.door = 'migration'")
                for _ in range(WRITES):
                    with own.transaction(force_rollback=chance.random() < 0.1):
                        for sql in chance.sample(CHANGES, chance.randint(1, 2)):
                            own.execute(sql, values)
        except psycopg.Error as error:
            faults.append(error)

    everyone = [threading.Thread(target=write, args=(n,)) for n in range(WRITERS)]
    for each in everyone:
        each.start()
    for each in everyone:
        each.join()
    assert faults == []
    assert agree(tenant)
    assert access.visible(actor=tenant.actor).exists()  # how many is a matter of who came first
    assert ThreadCount.objects.filter(workspace=tenant.workspace).values("slot").distinct().count() > 1
