"""How long the staff console takes at a million threads, page by page, and how many queries each page asks.

    python -m tests.bench.console DIRECTORY [--rounds 5] [--only held,bad] [--slow 300] [--served]

DIRECTORY holds the database that `python -m tests.bench.million --keep DIRECTORY` seeded; a server that runs on it
already is used as it is. The first time what staff filter by is put beside the threads (feedback, runs, tool uses,
labels, holds, policies), and the product's own functions count the days and make the forecast. Each page is asked
once to warm up and then `--rounds` times, through the site's middleware, as a superuser, as the owner of the largest
workspace, and as the owner of two whose thousand threads are all older than anybody else's newest. `--served` asks a
web process over HTTP, started as README says for production, and prints whatever took longer than `--slow` in any
round; where a page's time goes, and its queries, are seen without.
"""

import argparse
import re
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx

from tests.bench.million import serving

QUERIES, MILLISECONDS = 20, 300
LIST = "/admin/threads/thread/"
ID = "(lpad(to_hex((extract(epoch FROM {0}) * 1000)::bigint), 12, '0') || '7' || substr(md5(random()::text), 1, 3)"
ID += " || '8' || substr(md5(random()::text), 1, 15))::uuid"
# One thread in five is rated, one in a hundred badly; one in ten was answered by a run, a thirtieth of which failed.
FURNISH = (
    """
INSERT INTO threads_feedback (id, workspace_id, thread_id, message_id, author, rating, tags, text, created_at,
                              updated_at)
SELECT gen_random_uuid(), thread.workspace_id, thread.id, message.id, 'session:x',
       CASE WHEN hashtext(thread.id::text) % 100 = 0 THEN -1 ELSE 1 END, '{}', '', thread.created_at, thread.created_at
  FROM threads_thread AS thread
  JOIN threads_message AS message ON message.thread_id = thread.id AND message.position = 2
 WHERE hashtext(thread.id::text) % 5 = 0
""",
    f"""
INSERT INTO threads_run (id, workspace_id, thread_id, agent_id, number, status, provider, model, attempt, options,
                         ignored_tools, refused_tools, waiting, answer_id, error_code, error_message, finish_reason,
                         unpriced, estimated, last_seq, created_at, started_at, finished_at)
SELECT {ID.format("created_at")}, workspace_id, id, agent_id, 1,
       CASE WHEN failed THEN 'failed' ELSE 'succeeded' END, 'echo', 'echo', 1, '{{}}', '[]', '[]', false,
       gen_random_uuid(), CASE WHEN failed THEN 'provider_timeout' ELSE '' END, '', 'stop', 0, 0, 2, created_at,
       created_at + interval '200 ms', created_at + interval '1 s' * (0.4 + 6 * random())
  FROM (SELECT *, hashtext(id::text) % 300 = 0 AS failed FROM threads_thread
         WHERE hashtext(id::text) % 10 = 0 AND state = 'active') AS asked
""",
    """
INSERT INTO threads_tooluse (workspace_id, name, thread_id)
SELECT workspace_id, CASE WHEN hashtext(id::text) % 3 = 0 THEN 'lookup' ELSE 'refund' END, id FROM threads_thread
 WHERE hashtext(id::text) % 3 = 0 OR hashtext(id::text) % 1999 = 1
""",
    "UPDATE threads_thread SET labels = ARRAY['urgent'] WHERE hashtext(id::text) % 800 = 1",
    "UPDATE threads_thread SET assignee_id = '{staff}' WHERE hashtext(id::text) % 1000 = 2",
    "UPDATE threads_thread SET taken_over_at = now(), taken_over_by_id = '{staff}'"
    " WHERE hashtext(id::text) % 1500 = 3 AND state = 'active'",
    # One thread in ten was spoken in again, some days later.
    """
UPDATE threads_thread SET last_activity_at = least(now(), created_at + interval '1 day' * (random() * 40))
 WHERE hashtext(id::text) % 10 = 4
""",
    "VACUUM (ANALYZE) threads_thread, threads_feedback, threads_run, threads_tooluse",
)


QUIET = f"""
INSERT INTO threads_thread (id, workspace_id, agent_id, title, metadata, state, origin, message_count, last_position,
                            created_at, updated_at)
SELECT {ID.format("moment")}, %(workspace)s, %(agent)s, 'Quiet number ' || n, '{{}}', 'active', 'direct', 0, 0, moment,
       moment
  FROM (SELECT n, now() - interval '60 days' + n * interval '1 minute' AS moment
          FROM generate_series(1, 1000) AS n) AS planned
"""


@dataclass(frozen=True, slots=True)
class Figure:
    who: str
    page: str
    median: float  # milliseconds, as all that follow
    worst: float
    database: float  # of the median: waiting for PostgreSQL
    processor: float  # and of Python itself
    queries: int  # the most of any round, the first one included
    status: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="words of pages' names with a comma between them")
    parser.add_argument("--slow", type=float, default=0, help="print only what takes longer, or asks too much")
    parser.add_argument("--served", action="store_true", help="over HTTP")
    wanted = parser.parse_args()
    with serving.database(wanted.home):
        from django.conf import settings

        settings.ALLOWED_HOSTS = ["testserver"]
        people = _people()
        _furnish(people["root"])
        if wanted.served:
            with serving.hub(wanted.home, workers=1) as hub:
                _ask_served(people, hub.port, wanted)
            return
        for who, person in people.items():
            client = _signed_in(person)
            for name, address in _pages_named(person, wanted.only):
                figure = _measure(client, who, name, address, wanted.rounds)
                if figure.median >= wanted.slow or figure.queries > QUERIES or figure.status >= 400:
                    _print(figure)


def _ask_served(people: dict[str, Any], port: int, wanted: argparse.Namespace) -> None:
    """Every page over HTTP, and what each single answer took."""
    times: list[float] = []
    for who, person in people.items():
        cookies = {name: morsel.value for name, morsel in _signed_in(person).cookies.items()}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", cookies=cookies, trust_env=False) as client:
            for name, address in _pages_named(person, wanted.only):
                for number in range(wanted.rounds):
                    began = time.perf_counter()
                    response = client.get(address, timeout=60)
                    times.append((time.perf_counter() - began) * 1000)
                    if times[-1] > wanted.slow or response.status_code != 200:
                        sys.stdout.write(f"{who:6} {name:44} {number} {times[-1]:6.0f} {response.status_code}\n")
                        sys.stdout.flush()
    at = statistics.quantiles(times, n=100)
    over = sum(each > MILLISECONDS for each in times)
    sys.stdout.write(f"{len(times)} answers: p50 {at[49]:.0f}, p95 {at[94]:.0f}, p99 {at[98]:.0f}, ")
    sys.stdout.write(f"slowest {max(times):.0f} ms; above {MILLISECONDS}: {over}\n")


def _pages_named(person: Any, words: str) -> Iterator[tuple[str, str]]:
    wanted = [word for word in words.split(",") if word]
    return ((name, address) for name, address in _pages(person) if not wanted or any(w in name for w in wanted))


def _measure(client: Any, who: str, name: str, address: str, rounds: int) -> Figure:
    from django.db import connection

    asked: list[float] = []

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            asked.append((time.perf_counter() - began) * 1000)

    times, waits, works, queries, status = [], [], [], 0, 0
    for number in range(rounds + 1):
        asked.clear()
        began, busy = time.perf_counter(), time.process_time()
        with connection.execute_wrapper(count):
            status = client.get(address).status_code
        queries = max(queries, len(asked))
        if number:
            times.append((time.perf_counter() - began) * 1000)
            works.append((time.process_time() - busy) * 1000)
            waits.append(sum(asked))
    median = statistics.median
    return Figure(who, name, median(times), max(times), median(waits), median(works), queries, status)


def _print(figure: Figure) -> None:
    over = figure.median > MILLISECONDS or figure.queries > QUERIES or figure.status >= 400
    times = (figure.median, figure.worst, figure.database, figure.processor)
    line = f"{figure.who:6} {figure.page:44} {' '.join(f'{each:6.0f}' for each in times)} {figure.queries:4}"
    sys.stdout.write(f"{line}{'  <--' if over else ''}\n")
    sys.stdout.flush()


# --- who asks for what


def _people() -> dict[str, Any]:
    """A superuser, the owner of the largest workspace, and the owner of two quiet ones."""
    from django.db import connection

    from threadhub.agents.models import Agent
    from threadhub.isolation import scope
    from threadhub.workspaces import memberships
    from threadhub.workspaces.models import User, Workspace
    from threadhub.workspaces.permissions import Role

    with scope.as_owner():
        root = User.objects.filter(username="bench root").first() or User.objects.create_superuser("bench root")
        owner = User.objects.filter(username="bench owner").first()
        if owner is None:
            owner = User.objects.create_user("bench owner", is_staff=True)
            memberships.join(workspace=Workspace.objects.get(name="large"), user=owner, role=Role.OWNER)
        quiet = User.objects.filter(username="bench quiet").first()
        if quiet is None:
            quiet = User.objects.create_user("bench quiet", is_staff=True)
            for name in ("quiet one", "quiet two"):
                workspace = Workspace.objects.create(name=name)
                agent = Agent.objects.create(workspace=workspace, name=name, provider="echo")
                memberships.join(workspace=workspace, user=quiet, role=Role.OWNER)
                with connection.cursor() as cursor:
                    cursor.execute(QUIET, {"workspace": workspace.pk, "agent": agent.pk})
    return {"root": root, "owner": owner, "quiet": quiet}


def _signed_in(person: Any) -> Any:
    from django.test import Client

    from threadhub.isolation import scope

    client = Client()
    with scope.as_owner():
        client.force_login(person)
    return client


def _furnish(staff: Any) -> None:
    """What filters ask for, once; what the product counts is counted by the product."""
    from django.db import connection
    from django.utils import timezone

    from threadhub.isolation import scope
    from threads import activity
    from threads.lifecycle import forecast
    from threads.models import DailyActivity, Feedback, Hold, RetentionForecast

    now = timezone.now()
    with scope.as_owner(), connection.cursor() as cursor:
        if not Feedback.objects.exists():
            for statement in FURNISH:
                sql = statement.replace("{staff}", str(staff.pk))
                _timed(statement.split()[0:3], partial(cursor.execute, sql))
        if not Hold.objects.exists():
            _timed(["policies", "and", "holds"], lambda: _govern(now))
        if not DailyActivity.objects.exists():
            for ago in range(30):
                _timed(["day", str(ago)], partial(activity.count, now.date() - timedelta(days=ago)))
        if not RetentionForecast.objects.exists():
            _timed(["forecast"], lambda: forecast.make_due(now=now))


def _govern(now: datetime) -> None:
    """A policy in force and fifty holds in each workspace."""
    from threadhub.workspaces import actor as actors
    from threadhub.workspaces.models import Workspace
    from threads.lifecycle import holds, policies

    for workspace in Workspace.objects.all():
        actor = actors.system(workspace.pk)
        policy = policies.create(actor=actor, now=now, action="archive", days=60, name="Old ones")
        policies.preview(actor=actor, policy=policy)
        policies.enable(actor=actor, policy=policies.get(actor=actor, policy_id=policy.pk), now=now)
        for number in range(0, 50_000, 1_000):
            holds.place(actor=actor, scope="external_ref", external_ref=f"customer-{number}", reason="court", now=now)


def _timed(what: list[str], do: Any) -> None:
    began = time.monotonic()
    do()
    sys.stderr.write(f"{' '.join(what)}: {time.monotonic() - began:.1f} s\n")


def _pages(person: Any) -> Iterator[tuple[str, str]]:
    from threadhub.agents.models import Agent
    from threadhub.isolation import scope
    from threadhub.workspaces.models import User, Workspace
    from threads.models import Thread

    with scope.as_owner():
        large = Workspace.objects.get(name="large")
        agent = Agent.objects.filter(workspace=large).earliest("pk")
        user = User.objects.filter(username__startswith="large ").earliest("pk").username
        some = list(Thread.objects.filter(workspace=large, state="active").order_by("-pk")[:1000])
    yield "overview", "/admin/"
    filters = _filters(large.wire_id, agent.wire_id, user)
    yield "threads", LIST
    for name, query in filters.items():
        yield f"threads: {name}", f"{LIST}?{query}"
    if person.username == "bench quiet":
        yield from _other_pages(person, agent.wire_id)
        return
    for (one, first), (two, second) in combinations(filters.items(), 2):
        if _named(first).isdisjoint(_named(second)) and not (first.startswith("q=") and "workspace" not in one):
            yield f"threads: {one} + {two}", f"{LIST}?{first}&{second}"
    yield "threads: deep", f"{LIST}?p={_cursor(some[-1], days=60)}"
    yield "transcript", f"{LIST}{some[0].wire_id}/change/"
    yield "transcript window", f"{LIST}{some[0].wire_id}/window/?at=3"
    yield "next thread", f"{LIST}{some[0].wire_id}/step/older/"
    yield from _other_pages(person, agent.wire_id)


def _filters(workspace: str, agent: str, user: str) -> dict[str, str]:
    today = datetime.now(UTC).date()
    day, week, old = (today - timedelta(days=ago) for ago in (2, 9, 70))
    return {
        "workspace": f"workspace={workspace}", "agent": f"agent={agent}", "active": "state=active",
        "archived": "state=archived", "trash": "state=trashed", "with a person": "handled=person",
        "with the agent": "handled=agent", "mine": "assigned=me", "anybody's": "assigned=anybody",
        "nobody's": "assigned=nobody", "bad": "rating=bad", "good": "rating=good", "not rated": "rating=none",
        "often a tool": "tool=lookup", "rarely a tool": "tool=refund", "held": "held=yes", "not held": "held=no",
        "a day": f"created_from={day}&created_to={day}", "a week": f"created_from={week}&created_to={day}",
        "old": f"created_to={old}", "active on a day": f"active_from={day}&active_to={day}",
        "active since": f"active_from={old}", "active until": f"active_to={old}",
        "user": f"user={user}", "reference": "external_ref=customer-12",
        "label": "label=urgent", "rare word": "q=778899", "common word": "q=conversation", "two words": "q=number+77",
        "a word in ten": "q=often", "in a hundred": "q=sometimes", "in a thousand": "q=rarely",
        "in ten thousand": "q=hardly", "a word of old": "q=formerly", "two of them": "q=often+sometimes",
        "no word": "q=zzznothing",
    }  # fmt: skip


def _named(query: str) -> set[str]:
    return {pair.partition("=")[0] for pair in query.split("&")}


def _cursor(thread: Any, *, days: int) -> str:
    from threads.activity import first_id_at

    return f"o.{first_id_at(thread.created_at - timedelta(days=days)).hex}"


def _other_pages(person: Any, agent: str) -> Iterator[tuple[str, str]]:
    """Every other list that this person may see, and what retention shows of a workspace."""
    from django.contrib import admin

    from threadhub.isolation import scope
    from threadhub.workspaces.models import Workspace

    for model in admin.site._registry:
        label = f"{model._meta.app_label}/{model._meta.model_name}"
        if label != "threads/thread" and (
            person.is_superuser or not re.match("workspaces/user|procra|.*system", label)
        ):
            yield f"list of {label}", f"/admin/{label}/"
    if person.username == "bench quiet":
        return
    yield "agent", f"/admin/agents/agent/{agent}/change/"
    yield "agent's history", f"/admin/agents/agent/{agent}/history/"
    with scope.as_owner():
        large = Workspace.objects.get(name="large").wire_id
    yield "retention of a workspace", f"/admin/threads/retentionsettings/{large}/change/"
    yield "apply", f"/admin/threads/retentionsettings/{large}/apply/"


if __name__ == "__main__":
    main()
