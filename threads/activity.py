"""What a day brought, agent by agent, for figures that open as fast over twenty million messages as over none.

A day is counted anew every few minutes while it lasts, and once more when it is over: from the ranges of ids of that
day, since ids are UUIDv7 and stand in the order of making. What was deleted since stays counted.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from uuid import UUID

from django.db import connection

# Seconds at which a bucket of answer times ends; each is a quarter longer than the one before.
BOUNDS = [round(0.05 * 1.25**step, 4) for step in range(44)]  # 50 ms … 12 minutes
SETTLING = timedelta(minutes=30)  # so long after its end a day is still counted

COUNT_A_DAY = """
INSERT INTO threads_dailyactivity
       (id, workspace_id, agent_id, day, threads, messages, answers, failures, times, faults)
WITH asked AS (
    SELECT workspace_id, agent_id, status, provider, error_code,
           width_bucket(extract(epoch FROM finished_at - created_at)::float8, %(bounds)s::float8[]) AS bucket
      FROM threads_run
     WHERE id >= %(first)s AND id < %(next)s AND status IN ('succeeded', 'requires_action', 'failed', 'expired')
),
begun AS (
    SELECT workspace_id, agent_id, count(*) AS threads FROM threads_thread
     WHERE id >= %(first)s AND id < %(next)s AND state <> 'temporary'
     GROUP BY workspace_id, agent_id
),
said AS (
    SELECT thread.workspace_id, thread.agent_id, count(*) AS messages
      FROM threads_message AS message
      JOIN threads_thread AS thread ON thread.id = message.thread_id AND thread.workspace_id = message.workspace_id
     WHERE message.id >= %(first)s AND message.id < %(next)s AND thread.state <> 'temporary'
     GROUP BY thread.workspace_id, thread.agent_id
),
ended AS (
    SELECT workspace_id, agent_id,
           count(*) FILTER (WHERE status IN ('succeeded', 'requires_action')) AS answers,
           count(*) FILTER (WHERE status IN ('failed', 'expired')) AS failures
      FROM asked GROUP BY workspace_id, agent_id
),
times AS (
    SELECT workspace_id, agent_id, jsonb_object_agg(bucket, count) AS times
      FROM (SELECT workspace_id, agent_id, bucket, count(*) AS count FROM asked
             WHERE status = 'succeeded' GROUP BY workspace_id, agent_id, bucket) AS counted
     GROUP BY workspace_id, agent_id
),
faults AS (
    SELECT workspace_id, agent_id, jsonb_object_agg(fault, count) AS faults
      FROM (SELECT workspace_id, agent_id, provider || '/' || error_code AS fault, count(*) AS count FROM asked
             WHERE status IN ('failed', 'expired') GROUP BY workspace_id, agent_id, fault) AS counted
     GROUP BY workspace_id, agent_id
)
SELECT gen_random_uuid(), workspace_id, agent_id, %(day)s, coalesce(threads, 0), coalesce(messages, 0),
       coalesce(answers, 0), coalesce(failures, 0), coalesce(times, '{}'), coalesce(faults, '{}')
  FROM begun
  FULL JOIN said USING (workspace_id, agent_id)
  FULL JOIN ended USING (workspace_id, agent_id)
  LEFT JOIN times USING (workspace_id, agent_id)
  LEFT JOIN faults USING (workspace_id, agent_id)
ON CONFLICT (workspace_id, agent_id, day) DO UPDATE
   SET threads = greatest(threads_dailyactivity.threads, excluded.threads),
       messages = greatest(threads_dailyactivity.messages, excluded.messages),
       answers = greatest(threads_dailyactivity.answers, excluded.answers),
       failures = greatest(threads_dailyactivity.failures, excluded.failures),
       times = CASE WHEN excluded.answers >= threads_dailyactivity.answers
                    THEN excluded.times ELSE threads_dailyactivity.times END,
       faults = CASE WHEN excluded.failures >= threads_dailyactivity.failures
                     THEN excluded.faults ELSE threads_dailyactivity.faults END
"""


def count_recent(*, now: datetime) -> None:
    """Count today, and yesterday while it has just ended; in all workspaces that the scope shows."""
    today = now.astimezone(UTC)
    if today - SETTLING < datetime.combine(today.date(), time(), UTC):
        count(today.date() - timedelta(days=1))
    count(today.date())


def count(day: date) -> None:
    """Count one day (UTC) anew."""
    midnight = datetime.combine(day, time(), UTC)
    bounds = {"first": first_id_at(midnight), "next": first_id_at(midnight + timedelta(days=1))}
    with connection.cursor() as cursor:
        cursor.execute(COUNT_A_DAY, {"day": day, "bounds": BOUNDS, **bounds})


def first_id_at(moment: datetime) -> UUID:
    """The least UUIDv7 of a moment: a range of ids is a range of times, on the primary key."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def percentile(times: Iterable[Mapping[str, int]], share: float) -> float | None:
    """The seconds within which that share of the answers came, to the end of its bucket; None without answers."""
    counts = [0] * (len(BOUNDS) + 1)
    for each in times:
        for bucket, number in each.items():
            counts[int(bucket)] += number
    total = sum(counts)
    if not total:
        return None
    reached = next(at for at, sofar in enumerate(accumulate(counts)) if sofar >= share * total)
    return BOUNDS[min(reached, len(BOUNDS) - 1)]
