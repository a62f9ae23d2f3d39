"""SQL of runs that the ORM cannot say in one round trip. Each statement names the index or lock it relies on."""

import json as lenient  # integers beyond 64 bits too, which are a model's to say
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.db import DatabaseError, connection

from threadhub.lib import json
from threads.models import Run
from threads.sql import array

# By the unique index on (thread, number), and by those of what is live and of what waits.
STANDING = """
SELECT coalesce((SELECT number FROM threads_run WHERE thread_id = %(thread)s AND workspace_id = %(workspace)s
                  ORDER BY number DESC LIMIT 1), 0),
       EXISTS (SELECT FROM threads_run WHERE thread_id = %(thread)s AND workspace_id = %(workspace)s
                  AND status IN ('queued', 'running')),
       EXISTS (SELECT FROM threads_run WHERE thread_id = %(thread)s AND workspace_id = %(workspace)s AND waiting)
"""


def standing(*, thread_id: UUID, workspace_id: UUID) -> tuple[int, bool, bool]:
    """Of a thread: the number of its newest run (0: it had none), whether any is live, and whether any waits for
    outputs or approvals."""
    with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute(STANDING, {"thread": thread_id, "workspace": workspace_id})
        number, any_live, any_waiting = cursor.fetchone()
    return number, any_live, any_waiting


# A lease of which less than an eighth is over stays: to write another one would write a row into each index of the runs
# (it has one of its own), and each piece of text would. Without text a worker renews after a quarter
# (runs/recorder.py), so more than half is left at any time. One that is too long, by another machine's clock, is put
# right.
RENEWED = """CASE WHEN lease_expires_at BETWEEN statement_timestamp() + make_interval(secs => %(lease)s::float8 * 0.875)
                                       AND statement_timestamp() + make_interval(secs => %(lease)s::float8)
       THEN lease_expires_at ELSE statement_timestamp() + make_interval(secs => %(lease)s::float8) END"""

# Events of a `run` of which `last_seq` counts them already.
STORED = """stored AS (
    INSERT INTO threads_runevent (run_id, workspace_id, seq, type, data, created_at)
    SELECT run.id, run.workspace_id, run.last_seq - %(count)s::int + event.number, event.type, event.data,
           statement_timestamp()
      FROM run, unnest(%(types)s::text[], %(data)s::jsonb[]) WITH ORDINALITY AS event (type, data, number)
)"""

# Relies on run's primary key and on its row lock: whoever ends the run (answer complete, cancelled, lost) takes the
# same lock, so nothing is stored after the end. Zero rows: the run is no longer running.
APPEND_EVENTS = f"""
WITH run AS (
    UPDATE threads_run
       SET last_seq = last_seq + %(count)s::int,
           lease_expires_at = {RENEWED}
     WHERE id = %(run)s::uuid AND workspace_id = %(workspace)s::uuid AND status = 'running'
 RETURNING id, workspace_id, last_seq
), {STORED}
SELECT pg_notify('run_events', run.id::text) FROM run
"""  # noqa: S608  constants


def append_events(
    *, run_id: UUID, workspace_id: UUID, events: Sequence[tuple[str, dict[str, Any]]], lease_seconds: float
) -> bool:
    """Store events of a running run, in one round trip, and see that its lease is long enough (RENEWED); False when the
    run is over."""
    with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]  # isolation/backend
        cursor.execute(
            APPEND_EVENTS,
            {
                "run": run_id,
                "workspace": workspace_id,
                "count": len(events),
                "lease": lease_seconds,
                "types": [type for type, _ in events],
                "data": [json.dumps(data).decode() for _, data in events],
            },
        )
        return cursor.fetchone() is not None


# As above, of several runs, and no lock is waited for: who ends many runs at once takes their rows in an order of its
# own. Runs whose row somebody has in hand are left out like those that are over. Arrays come as text: written item
# by item they took a quarter of the whole.
APPEND_EVENTS_OF_RUNS = f"""
WITH said AS (
    SELECT *
      FROM unnest(%(runs)s::text::uuid[], %(workspaces)s::text::uuid[], %(counts)s::text::int[]) WITH ORDINALITY
           AS said (id, workspace_id, count, place)
), live AS MATERIALIZED (
    SELECT run.id, run.workspace_id, said.count, said.place
      FROM said JOIN threads_run AS run ON run.id = said.id AND run.workspace_id = said.workspace_id
     WHERE run.status = 'running'
       FOR NO KEY UPDATE OF run SKIP LOCKED
), run AS (
    UPDATE threads_run AS run
       SET last_seq = run.last_seq + live.count,
           lease_expires_at = {RENEWED}
      FROM live
     WHERE run.id = live.id AND run.workspace_id = live.workspace_id
 RETURNING run.id, run.workspace_id, run.last_seq - live.count AS seq, live.place
), stored AS (
    INSERT INTO threads_runevent (run_id, workspace_id, seq, type, data, created_at)
    SELECT run.id, run.workspace_id, run.seq + event.number, event.type, event.data, statement_timestamp()
      FROM ROWS FROM (
               unnest(%(places)s::text::int[], %(numbers)s::text::int[], %(types)s::text::text[]),
               jsonb_array_elements(%(data)s::jsonb)
           ) AS event (place, number, type, data)
      JOIN run ON run.place = event.place
)
SELECT array_agg(place), pg_notify('run_events', string_agg(id::text, ','))
  FROM (SELECT id, place, (row_number() OVER () - 1) / %(told_together)s::int AS part FROM run) AS told
 GROUP BY part
"""  # noqa: S608
TOLD_TOGETHER = 200  # ids in a notification, of which PostgreSQL carries 7,999 bytes


class Said(NamedTuple):
    """Events of a run, each a type and its data."""

    run_id: UUID
    workspace_id: UUID
    events: Sequence[tuple[str, dict[str, Any]]]


def append_events_of_runs(*, said: Sequence[Said], lease_seconds: float) -> set[UUID]:
    """Store events of different runs in one round trip; returns those of which they were stored. Of the others nothing
    is known: `append_events` says whether they are over."""
    numbered = [
        (place, number, type, data)
        for place, each in enumerate(said, 1)
        for number, (type, data) in enumerate(each.events, 1)
    ]
    places, numbers, types, data = zip(*numbered, strict=True) if numbered else ((), (), (), ())
    with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute(
            APPEND_EVENTS_OF_RUNS,
            {
                "runs": array(each.run_id for each in said),
                "workspaces": array(each.workspace_id for each in said),
                "counts": array(len(each.events) for each in said),
                "lease": lease_seconds,
                "told_together": TOLD_TOGETHER,
                "places": array(places),
                "numbers": array(numbers),
                "types": array(types),
                "data": json.dumps(data).decode(),
            },
        )
        return {said[place - 1].run_id for together, _ in cursor.fetchall() for place in together}


# By run's primary key; its row is locked. What of it changes while it is worked on, its events and that its readers are
# told, in one round trip.
SAVE_RUN = f"""
WITH run AS (
    UPDATE threads_run
       SET status = %(status)s::text, attempt = %(attempt)s::int, input = %(input)s::jsonb,
           required_action = %(required_action)s::jsonb, waiting = %(waiting)s::bool,
           error_code = %(error_code)s::text, error_message = %(error_message)s::text,
           finish_reason = %(finish_reason)s::text, input_tokens = %(input_tokens)s::int,
           output_tokens = %(output_tokens)s::int, cached_tokens = %(cached_tokens)s::int, cost = %(cost)s::numeric,
           unpriced = %(unpriced)s::int, estimated = %(estimated)s::int, started_at = %(started_at)s::timestamptz,
           finished_at = %(finished_at)s::timestamptz, last_seq = %(last_seq)s::int,
           lease_expires_at = CASE WHEN %(lease)s::float8 IS NULL THEN lease_expires_at
                                   ELSE statement_timestamp() + make_interval(secs => %(lease)s::float8) END
     WHERE id = %(id)s::uuid AND workspace_id = %(workspace_id)s::uuid
 RETURNING id, workspace_id, last_seq
), {STORED}
SELECT pg_notify('run_events', id::text) FROM run
"""  # noqa: S608
SAVED = (
    "id", "workspace_id", "status", "attempt", "input", "required_action", "waiting", "error_code", "error_message",
    "finish_reason", "input_tokens", "output_tokens", "cached_tokens", "cost", "unpriced", "estimated", "started_at",
    "finished_at", "last_seq",
)  # fmt: skip


def save_run(run: Run, *, events: Sequence[tuple[str, dict[str, Any]]], lease_seconds: float | None = None) -> None:
    """Save a run whose row is locked, with its newest events, which its `last_seq` counts already; with a lease of so
    long, or with that which it has. Raises DatabaseError where there is no such row."""
    row = {name: getattr(run, name) for name in SAVED}
    for name in ("input", "required_action"):
        row[name] = None if row[name] is None else lenient.dumps(row[name])
    # As texts: numbers of another size, or none at all, would make it another statement to be planned.
    texts = {name: None if value is None else str(value) for name, value in row.items()}
    with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute(
            SAVE_RUN,
            {
                **texts,
                "lease": None if lease_seconds is None else str(lease_seconds),
                "count": str(len(events)),
                "types": [type for type, _ in events],
                "data": [json.dumps(data).decode() for _, data in events],
            },
        )
        if cursor.fetchone() is None:
            raise DatabaseError(f"There is no run {run.id} to be saved.")


# By run's primary key.
NOTE_CONTEXT = """
UPDATE threads_run SET context = %(context)s::jsonb WHERE id = %(run)s::uuid AND workspace_id = %(workspace)s::uuid
"""


def note_context(*, run_id: UUID, workspace_id: UUID, context: dict[str, Any]) -> None:
    """Keep what a run's model is given."""
    with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute(NOTE_CONTEXT, {"run": run_id, "workspace": workspace_id, "context": lenient.dumps(context)})
