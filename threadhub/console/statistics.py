"""The charts of the front page, from what is counted by day: as fast over twenty million messages as over none."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, Q, Sum

from threadhub.agents.models import DailyUsage
from threadhub.console import display
from threadhub.console.charts import Chart, chart, days_from, days_until
from threadhub.console.retention import words
from threadhub.console.retention.figures import Bar, bars
from threadhub.lib.queues import count_workers
from threadhub.workspaces.models import Workspace
from threads import activity, counts
from threads.models import DailyActivity, RetentionForecast, Thread

DAYS = 30
SUMMED = 200  # workspaces whose counters are summed for one page
COUNTED = 10_000  # a figure beyond is shown as "10,000+"
ALIVE = timedelta(seconds=60)  # a worker without a heartbeat for so long is gone

TIMES_AND_FAULTS = """
SELECT 'time', day, bucket, sum(number::bigint)::bigint
  FROM threads_dailyactivity, jsonb_each_text(times) AS each(bucket, number)
 WHERE day >= %(first)s AND (%(everywhere)s OR workspace_id = ANY(%(workspaces)s))
 GROUP BY day, bucket
UNION ALL
SELECT 'fault', NULL, fault, sum(number::bigint)::bigint
  FROM threads_dailyactivity, jsonb_each_text(faults) AS each(fault, number)
 WHERE day >= %(recently)s AND (%(everywhere)s OR workspace_id = ANY(%(workspaces)s))
 GROUP BY fault
"""
# By the queue's indexes; each counted to a limit. Last, the workers' heartbeats, and since when the oldest job waits.
JOBS = """
SELECT queue_name, what, count(*), NULL::timestamptz FROM (
    (SELECT queue_name, 'due' AS what FROM procrastinate_jobs
      WHERE status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= %(now)s) LIMIT %(most)s)
    UNION ALL
    (SELECT queue_name, 'doing' FROM procrastinate_jobs WHERE status = 'doing' LIMIT %(most)s)
    UNION ALL
    (SELECT queue_name, 'failed' FROM procrastinate_jobs WHERE status = 'failed' LIMIT %(most)s)) AS job
 GROUP BY queue_name, what
UNION ALL
SELECT NULL, NULL, (SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat >= %(heard)s),
       (SELECT coalesce(job.scheduled_at, min(event.at)) FROM procrastinate_jobs AS job
          LEFT JOIN procrastinate_events AS event ON event.job_id = job.id
         WHERE job.status = 'todo' AND (job.scheduled_at IS NULL OR job.scheduled_at <= %(now)s)
         GROUP BY job.id ORDER BY job.id LIMIT 1)
"""
STORAGE = """
SELECT state, sum(messages)::bigint, sum(files)::bigint, max(made_at) FROM threads_storagesize
 WHERE %(everywhere)s OR workspace_id = ANY(%(workspaces)s)
 GROUP BY state
UNION ALL
SELECT 'archived', coalesce(sum(size), 0)::bigint, 0, NULL FROM threads_bundle
 WHERE removed_at IS NULL AND (%(everywhere)s OR workspace_id = ANY(%(workspaces)s))
"""
QUEUE_NAMES = {"runs": "Answers", "afterwards": "Titles and summaries", "upkeep": "Upkeep"}
WHATS = {"due": "waiting", "doing": "in hand", "failed": "failed"}
OF_A_STATE = """
SELECT '%s', count(*) FROM (
    SELECT 1 FROM threads_thread
     WHERE state = '%s' AND (%%(everywhere)s OR workspace_id = ANY(%%(workspaces)s)) LIMIT %%(most)s
) AS counted
"""


@dataclass(frozen=True, slots=True)
class Measure:
    """One bar of a chart whose figures are not whole numbers of one kind. `percent`: of the longest one."""

    label: str
    told: str
    percent: float
    alarming: bool = False


@dataclass(frozen=True, slots=True)
class Queue:
    """How the worker's queue is, over all workspaces."""

    jobs: list[Measure]
    oldest: datetime | None  # since when the oldest one that is due waits
    workers: int


@dataclass(frozen=True, slots=True)
class Statistics:
    charts: list[Chart]
    faults: list[Bar]  # of the last seven days, by provider and code
    states: list[Bar]
    forecast: Chart | None
    storage: list[Measure] | None
    measured_at: datetime | None  # when the live threads' part of it was
    queue: Queue | None


@dataclass(frozen=True, slots=True)
class Readable:
    """The workspaces whose threads, spending and retention the reader may see; None: of all."""

    threads: list[UUID] | None
    spending: list[UUID] | None
    retention: list[UUID] | None


def read(*, of: Readable, now: datetime, with_queue: bool) -> Statistics:
    """What the reader may see, and nothing where that is of no workspace."""
    workspaces = of.threads
    days = days_until(now.astimezone(UTC).date(), DAYS)
    sums = _sums(workspaces, days[0])
    times, faults = _times_and_faults(workspaces, days)
    storage, measured_at = _storage(of.retention) if of.retention != [] else (None, None)
    return Statistics(
        charts=[
            _counted("Threads begun", "threads", "thread", days, sums),
            _counted("Messages", "messages", "message", days, sums),
            _answers(days, sums),
            _answer_times(days, times),
            _counted("Agents that answered", "agents", "agent", days, sums, whole=False),
            *([_cost(of.spending, days)] if of.spending != [] else []),
        ],
        faults=bars(faults),
        states=_states(workspaces),
        forecast=_forecast(of.retention, days_from(days[-1], DAYS)) if of.retention != [] else None,
        storage=storage,
        measured_at=measured_at,
        queue=_queue(now) if with_queue else None,
    )


def within(queryset: Any, workspaces: list[UUID] | None) -> Any:
    return queryset if workspaces is None else queryset.filter(workspace_id__in=workspaces)


def _sums(workspaces: list[UUID] | None, first: date) -> dict[date, dict[str, int]]:
    rows = within(DailyActivity.objects.filter(day__gte=first), workspaces).order_by().values("day")
    sums = rows.annotate(
        agents=Count("agent", distinct=True, filter=Q(answers__gt=0)),  # before `answers` means the sum
        **{name: Sum(name) for name in ("threads", "messages", "answers", "failures")},
    )
    return {row.pop("day"): row for row in sums}


def _times_and_faults(
    workspaces: list[UUID] | None, days: list[date]
) -> tuple[dict[date, dict[str, int]], dict[str, int]]:
    """Answers by day and bucket of their time; faults by provider and code."""
    times: defaultdict[date, dict[str, int]] = defaultdict(dict)
    faults: dict[str, int] = {}
    told: dict[str, Any] = {
        "first": days[0],
        "recently": days[-7],
        "everywhere": workspaces is None,
        "workspaces": workspaces or [],
    }
    with connection.cursor() as cursor:
        cursor.execute(TIMES_AND_FAULTS, told)
        for kind, day, key, number in cursor.fetchall():
            if kind == "time":
                times[day][key] = number
            else:
                faults[key.strip("/").replace("/", ": ")] = number
    return times, faults


def _counted(
    title: str, name: str, noun: str, days: list[date], sums: dict[date, dict[str, int]], *, whole: bool = True
) -> Chart:
    values = {day: float(row[name]) for day, row in sums.items()}
    total = sum(values.values()) if whole else max(values.values(), default=0)
    return chart(
        title=title,
        figure=f"{int(total):,}",
        caption="in 30 days" if whole else "on the best day",
        days=days,
        values=values,
        told=lambda value, _: _number(value, noun),
    )


def _answers(days: list[date], sums: dict[date, dict[str, int]]) -> Chart:
    failures = {day: float(row["failures"]) for day, row in sums.items()}
    both = {day: float(row["answers"] + row["failures"]) for day, row in sums.items()}
    whole, failed = sum(both.values()), sum(failures.values())
    fate = f"and {int(failed):,} failed ({failed / whole:.1%})" if failed else "none failed"
    return chart(
        title="Answers",
        figure=f"{int(whole - failed):,}",
        caption=f"in 30 days, {fate}",
        days=days,
        values=both,
        parts=failures,
        told=lambda value, part: f"{_number(value - part, 'answer')}, {int(part):,} failed",
    )


def _answer_times(days: list[date], times: dict[date, dict[str, int]]) -> Chart:
    half = {day: activity.percentile([each], 0.5) or 0 for day, each in times.items()}
    most = {day: activity.percentile([each], 0.95) or 0 for day, each in times.items()}
    p50, p95 = activity.percentile(times.values(), 0.5), activity.percentile(times.values(), 0.95)
    return chart(
        title="Answer times",
        figure=f"{_seconds(p50 or 0)}",
        caption=f"half of them; 95 % within {_seconds(p95 or 0)}",
        days=days,
        values=most,
        parts=half,
        told=lambda value, part: f"half within {_seconds(part)}, 95 % within {_seconds(value)}",
    )


def _cost(workspaces: list[UUID] | None, days: list[date]) -> Chart:
    rows = within(DailyUsage.objects.filter(day__gte=days[0]), workspaces).order_by().values("day")
    costs = {row["day"]: row["cost"] or Decimal() for row in rows.annotate(cost=Sum("cost"))}
    return chart(
        title="Cost",
        figure=display.money(sum(costs.values(), Decimal())),
        caption="in 30 days, of what has a price",
        days=days,
        values={day: float(cost) for day, cost in costs.items()},
        told=lambda value, _: display.money(Decimal(str(value))),
    )


def _forecast(workspaces: list[UUID] | None, days: list[date]) -> Chart:
    """What is past is not foretold any more."""
    foretold = within(RetentionForecast.objects.filter(day__gte=days[0]), workspaces).order_by().values("day", "action")
    values: defaultdict[date, float] = defaultdict(float)
    purged: defaultdict[date, float] = defaultdict(float)
    for row in foretold.annotate(number=Sum("threads")):
        values[row["day"]] += row["number"]
        if row["action"] == "purge":
            purged[row["day"]] += row["number"]
    total, gone = sum(values.values()), sum(purged.values())
    return chart(
        title="Due for retention",
        figure=f"{int(total):,}",
        caption=f"threads in 30 days, {int(gone):,} of them for ever",
        days=days,
        values=values,
        parts=purged,
        told=lambda value, part: f"{_number(value, 'thread')}, {int(part):,} of them for ever",
        nothing="Nothing in the next 30 days, as things stand.",
    )


def _states(workspaces: list[UUID] | None) -> list[Bar]:
    """Threads by state: by the counters, which know no trash; that, and more than SUMMED workspaces, to COUNTED."""
    among = workspaces
    if among is None:
        among = list(Workspace.objects.order_by().values_list("pk", flat=True)[: SUMMED + 1])
    known = counts.by_state(workspaces=among) if len(among) <= SUMMED else {}
    states = (Thread.State.ACTIVE, Thread.State.ARCHIVED, Thread.State.TRASHED)
    found = known | _counted_to_a_limit(workspaces, [state for state in states if state not in known])
    return bars(
        {
            f"{state.label}{', or more' if state not in known and found[state] > COUNTED else ''}": (
                found[state] if state in known else min(found[state], COUNTED)
            )
            for state in states
        }
    )


def _counted_to_a_limit(workspaces: list[UUID] | None, states: list[Thread.State]) -> dict[str, int]:
    told: dict[str, Any] = {"everywhere": workspaces is None, "workspaces": workspaces or [], "most": COUNTED + 1}
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(OF_A_STATE % (state, state) for state in states), told)
        return dict(cursor.fetchall())


def _storage(workspaces: list[UUID] | None) -> tuple[list[Measure], datetime | None]:
    """What live threads take, as measured once a day; what archived ones take, by the catalogue."""
    told: dict[str, Any] = {"everywhere": workspaces is None, "workspaces": workspaces or []}
    with connection.cursor() as cursor:
        cursor.execute(STORAGE, told)
        found = {state: (said, files, made_at) for state, said, files, made_at in cursor.fetchall()}
    sizes: dict[str, int] = {"Archived: bundles": found["archived"][0]}
    for state, name in ((Thread.State.ACTIVE, "Active"), (Thread.State.TRASHED, "In the trash")):
        sizes[f"{name}: messages"], sizes[f"{name}: files"], _ = found.get(state.value, (0, 0, None))
    longest = max(sizes.values()) or 1
    ranked = sorted(sizes.items(), key=lambda each: -each[1])
    bars = [Measure(label, words.size(size), 100 * size / longest) for label, size in ranked if size]
    return bars, max((made_at for _, _, made_at in found.values() if made_at), default=None)


def _queue(now: datetime) -> Queue:
    with connection.cursor() as cursor:
        cursor.execute(JOBS, {"now": now, "heard": now - ALIVE, "most": COUNTED + 1})
        *jobs, (_, _, heartbeats, oldest) = sorted(cursor.fetchall(), key=lambda row: row[0] is None)
    found = {(queue, what): count for queue, what, count, _ in jobs}
    longest = max(found.values(), default=0) or 1
    bars = [
        Measure(
            f"{name}: {said}",
            bounded(found.get((queue, what), 0)),
            100 * found.get((queue, what), 0) / longest,
            alarming=what == "failed" and (queue, what) in found,
        )
        for queue, name in QUEUE_NAMES.items()
        for what, said in WHATS.items()
    ]
    return Queue(bars, oldest, count_workers(heartbeats))


def bounded(count: int) -> str:
    """A number that was counted to COUNTED at most."""
    return f"{count:,}" if count <= COUNTED else f"{COUNTED:,}+"


def _number(value: float, noun: str) -> str:
    return f"{int(value):,} {noun}{'' if value == 1 else 's'}"


def _seconds(value: float) -> str:
    return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"
