"""A page of the list of threads reads what it shows, and little more: with each filter alone, with those that are often
used together, and with words, as PostgreSQL plans it for a million threads.

There are THREADS rows, and statistics that say there are TIMES as many: so plans are those of a large table, and what
they read can be counted. A plan that goes through the table reads all THREADS.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from tests.conftest import Tenant, make_tenant
from tests.console.conftest import signed_in
from tests.console.threads import LIST
from threadhub.console import keyset
from threadhub.workspaces.models import Membership, User
from threadhub.workspaces.permissions import Role
from threads.lifecycle import holds
from threads.models import Feedback

THREADS, TIMES = 20_000, 50
MOST_ROWS = THREADS // 2  # by all statements of a page: fifty of what one thread in a hundred is are 5,000
QUERIES = 20
OF_THE_TEST = ("SAVEPOINT", "RELEASE", "SET LOCAL")  # whose transaction a view is a part of
LOOKED_THROUGH = 2_000  # where no index tells: a part of them, as it is of a million
BIG = ("threads_thread", "threads_message", "threads_feedback", "threads_tooluse", "threads_bundledthread")
UUID7 = (
    "(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')"
    " || '7' || substr(md5({0}), 1, 3) || '8' || substr(md5({0}), 4, 15))::uuid"
)
# The newest last, one each half minute; every second one is acme's. A hundredth is archived, few are in the trash.
SEED = [
    f"""
INSERT INTO threads_thread (
    id, workspace_id, agent_id, user_id, assignee_id, labels, external_ref, title, metadata, state, origin,
    message_count, last_position, created_at, updated_at, last_activity_at, trashed_at, purge_after, archived_at,
    taken_over_at)
SELECT {UUID7.format("'t' || n")}, (%(workspaces)s::uuid[])[1 + n %% 2], (%(agents)s::uuid[])[1 + n %% 2],
       CASE WHEN n %% 50 = 0 THEN %(user)s::uuid END, CASE WHEN n %% 997 = 0 THEN %(user)s::uuid END,
       CASE WHEN n %% 800 = 0 THEN ARRAY['urgent'] ELSE ARRAY[]::text[] END, 'customer-' || n %% 4000,
       (ARRAY['Order', 'Refund', 'Delivery'])[1 + n %% 3] || ' question ' || n, '{{}}',
       CASE WHEN n %% 100 = 7 THEN 'archived' WHEN n %% 1000 = 3 THEN 'trashed' ELSE 'active' END,
       'direct', 2, 2, at, at, at,
       CASE WHEN n %% 1000 = 3 THEN at END, CASE WHEN n %% 1000 = 3 THEN at + interval '30 days' END,
       CASE WHEN n %% 100 = 7 THEN at END, CASE WHEN n %% 1500 = 9 THEN at END
  FROM (SELECT n, now() - (%(threads)s - n) * interval '30 seconds' AS at
          FROM generate_series(1, %(threads)s) AS n) AS made
""",
    f"""
INSERT INTO threads_message (id, workspace_id, thread_id, position, role, kind, content, extra, partial, created_at)
SELECT {UUID7.format("id::text || n")}, workspace_id, id, n, (ARRAY['user', 'assistant'])[n], 'text',
       CASE n WHEN 1 THEN 'Where is my order? It should have come by now. Lighthouse ' || hashtext(id::text) %% 2000
              ELSE 'Let me look that up for you.' END, '{{}}', false, at
  FROM (SELECT id, workspace_id, created_at AS at FROM threads_thread) AS thread, generate_series(1, 2) AS n
""",
    """
INSERT INTO threads_tooluse (workspace_id, name, thread_id)
SELECT workspace_id, CASE WHEN hashtext(id::text) % 3 = 0 THEN 'often' ELSE 'rarely' END, id FROM threads_thread
 WHERE hashtext(id::text) % 3 = 0 OR hashtext(id::text) % 1999 = 1
""",
    """
INSERT INTO threads_feedback (id, workspace_id, thread_id, message_id, author, rating, tags, text)
SELECT gen_random_uuid(), workspace_id, thread_id, id, 'session:x',
       CASE WHEN hashtext(thread_id::text) % 100 = 0 THEN -1 ELSE 1 END, '{}', ''
  FROM threads_message WHERE position = 2 AND hashtext(thread_id::text) % 20 = 0
""",
    """
INSERT INTO threads_bundle (id, workspace_id, number, name, path, size, sha256, manifest_sha256, previous, thread_count,
                            message_count)
SELECT id, id, 1, id, id, 1, '', '', '', 1, 1 FROM workspaces_workspace
""",
    """
INSERT INTO threads_bundledthread (thread_id, workspace_id, bundle_id, sha256, counts, frames, files, good, bad)
SELECT id, workspace_id, workspace_id, '', CASE WHEN rated THEN '{"feedback": 1}' ELSE '{}' END::jsonb, '[]', '[]',
       CASE WHEN rated AND NOT minded THEN 1 ELSE 0 END, CASE WHEN rated AND minded THEN 1 ELSE 0 END
  FROM (SELECT id, workspace_id, hashtext(id::text) % 4 = 0 AS rated, hashtext(id::text) % 40 = 0 AS minded
          FROM threads_thread WHERE state = 'archived') AS archived
""",
    "DELETE FROM threads_feedback WHERE thread_id IN (SELECT thread_id FROM threads_bundledthread)",
    # Of all tables, and whole: what other tests left in the statistics, or chance drew, would choose plans too.
    "SET LOCAL default_statistics_target = 1000",
    "ANALYZE",
]  # fmt: skip
QUIET = f"""
INSERT INTO threads_thread (
    id, workspace_id, agent_id, title, metadata, state, origin, message_count, last_position, created_at, updated_at)
SELECT {UUID7.format("'q' || n")}, %(tenant)s, %(agent)s, 'Quiet ' || n, '{{}}', 'active', 'direct', 0, 0, at, at
  FROM (SELECT n, now() - interval '60 days' + n * interval '1 second' AS at FROM generate_series(1, 200) AS n) AS made
"""
MORE = """
UPDATE pg_class SET reltuples = reltuples * %(times)s
 WHERE oid = ANY (%(tables)s::regclass[])
    OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = ANY (%(tables)s::regclass[]))
"""


@pytest.fixture
def many(tenant: Tenant, olivia: User) -> dict[str, str]:
    """filter: address, of each filter that the list has."""
    other = make_tenant("other")
    told = {
        "workspaces": [tenant.workspace.pk, other.workspace.pk], "agents": [tenant.agent.pk, other.agent.pk],
        "user": olivia.pk, "threads": THREADS,
    }  # fmt: skip
    with connection.cursor() as cursor:
        for number, sql in enumerate(SEED):
            cursor.execute(sql, told if number < 2 else None)
        for index in ("thread_title", "message_text", "thread_labels", "thread_metadata"):
            cursor.execute("SELECT gin_clean_pending_list(%s)", [index])
        cursor.execute(MORE, {"times": TIMES, "tables": list(BIG)})
    holds.place(actor=tenant.actor, scope="external_ref", external_ref="customer-5", reason="court", now=timezone.now())
    day = timezone.now().date() - timedelta(days=2)
    return {
        "workspace": f"workspace={tenant.workspace.wire_id}", "agent": f"agent={tenant.agent.wire_id}",
        "active": "state=active", "archived": "state=archived", "trash": "state=trashed",
        "with a person": "handled=person", "with the agent": "handled=agent",
        "mine": "assigned=me", "anybody's": "assigned=anybody",
        "nobody's": "assigned=nobody", "bad": "rating=bad", "good": "rating=good", "not rated": "rating=none",
        "often": "tool=often", "rarely": "tool=rarely", "never": "tool=never", "held": "held=yes",
        "not held": "held=no", "some days": f"created_from={day}&created_to={day}", "long ago": "created_to=2020-01-01",
        "active days": f"active_from={day}&active_to={day}",
        "user": f"user={olivia.username}", "nobody": "user=nobody", "reference": "external_ref=customer-12",
        "label": "label=urgent", "no label": "label=none", "common word": "q=order", "two words": "q=order lighthouse",
        "rare word": "q=777", "no word": "q=zzznothing", "title": "q=Refund",
        "beginning of a reference": "q=customer-1",
    }  # fmt: skip


@contextmanager
def explained() -> Iterator[list[dict[str, Any]]]:
    """What the statements of a request read: the nodes of their plans, executed as the request sees rows."""
    nodes: list[dict[str, Any]] = []

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if re.match(r"\s*(SELECT|WITH)", sql) and any(table in sql for table in BIG):
            with context["connection"].cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {sql}", params)
                found = list(_walk(cursor.fetchone()[0][0]["Plan"]))
            nodes.extend({**node, "sql": sql} for node in found)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        yield nodes


def _walk(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _walk(child)


def read_by(node: dict[str, Any]) -> int:
    """The rows that a node took out of a big table or one of its indexes."""
    names = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    if node.get("Relation Name") not in BIG and "Index" not in node["Node Type"]:
        return 0
    return int(sum(node.get(name, 0) for name in names) * node["Actual Loops"])


def through_keys(node: dict[str, Any]) -> bool:
    """Those of all workspaces, for those of some: no row that it gives tells of the others."""
    condition = node.get("Index Cond", "")
    return (
        node.get("Index Name") == "threads_thread_pkey"
        and not re.search(r"(?<!workspace_)\bid\b", condition)
        and ("workspace_id" in condition)
    )


def faults(client: Client, query: str, page: str = LIST, *, few: bool = False) -> list[str]:
    """`few`: the client may read few of the threads."""
    queries: list[str] = []

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not sql.startswith(("EXPLAIN", *OF_THE_TEST)):
            queries.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count), explained() as nodes:
        assert client.get(f"{page}?{query}").status_code == 200
    scans = [node["sql"] for node in nodes if node["Node Type"] == "Seq Scan" and node["Relation Name"] in BIG]
    read = sum(read_by(node) for node in nodes)
    found = [f"{query}: scans a table, {sql[-400:]}" for sql in scans]
    found += [f"{query}: goes through all keys, {node['sql'][-400:]}" for node in nodes if few and through_keys(node)]
    found += [f"{query}: reads {read} rows"] if read > MOST_ROWS else []
    return found + ([f"{query}: {len(queries)} queries"] if len(queries) > QUERIES else [])


def test_no_filter_and_no_search_goes_through_a_table(
    console: Client, olivia: User, many: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyset, "LOOKED_THROUGH", LOOKED_THROUGH)
    often = (
        "workspace",
        "active",
        "mine",
        "bad",
        "some days",
        "rarely",
        "user",
        "reference",
        "common word",
        "rare word",
    )
    pairs = {frozenset(pair) for pair in product(("archived", "bad"), often) if pair[0] != pair[1]}
    pairs |= {frozenset(("good", "active days")), frozenset(("often", "active days")), frozenset(("bad", "two words"))}
    asked = [
        "",
        "q=&rating=bad",
        "q=&tool=rarely",
        *many.values(),
        *("&".join(many[each] for each in sorted(pair)) for pair in pairs),
    ]
    found = []
    for client in (console, signed_in(olivia)):
        for query in asked:
            found += faults(client, query)
    assert found == []


def test_few_threads_that_are_not_what_is_asked_for_are_not_looked_for_among_all(
    console: Client, olivia: User, many: dict[str, str]
) -> None:
    """PostgreSQL follows the list's order here, wherever it may: a page of these is never full."""
    Feedback.objects.filter(thread__user=olivia).delete()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_sort = off")
    found = []
    for client in (console, signed_in(olivia)):
        for one, other in (("user", "good"), ("user", "bad"), ("label", "archived"), ("label", "good")):
            found += faults(client, f"{many[one]}&{many[other]}")
    assert found == []


def test_staff_of_quiet_workspaces_do_not_go_through_those_of_others(many: dict[str, str]) -> None:
    """Their newest threads are old, and all that were made since are of others."""
    quiet = make_tenant("quiet")
    with connection.cursor() as cursor:
        cursor.execute(QUIET, {"tenant": quiet.workspace.pk, "agent": quiet.agent.pk})
        cursor.execute("ANALYZE threads_thread")
        cursor.execute(MORE, {"times": TIMES, "tables": ["threads_thread"]})
    both = make_tenant("both").workspace
    Membership.objects.create(workspace=both, user=quiet.owner, role=Role.OWNER)
    User.objects.filter(pk=quiet.owner.pk).update(is_staff=True)
    client = signed_in(quiet.owner)
    found = faults(client, "", "/admin/", few=True)
    for name in ("", "active", "archived", "some days", "reference", "common word", "rare word"):
        found += faults(client, many.get(name, ""), few=True)
    assert found == []
