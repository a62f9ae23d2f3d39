"""SQL that the ORM cannot say. Each statement names the index or lock it relies on."""

from datetime import date
from typing import Any
from uuid import UUID

from django.db import connection

from threadhub.lib import ids

# Relies on the unique index daily_usage_once; touches no indexed column of a row that is there, so it stays a HOT
# update. Two workers that end runs of one agent at once wait for each other's commit here, so callers come last.
ADD_USAGE = """
INSERT INTO agents_dailyusage AS usage
       (id, workspace_id, agent_id, day, provider, model, purpose, count,
        input_tokens, output_tokens, cached_tokens, cost, unpriced, estimated)
VALUES (%(id)s, %(workspace)s, %(agent)s, %(day)s, %(provider)s, %(model)s, %(purpose)s, %(count)s,
        %(input_tokens)s, %(output_tokens)s, %(cached_tokens)s, %(cost)s, %(unpriced)s, %(estimated)s)
ON CONFLICT (workspace_id, agent_id, day, provider, model, purpose) DO UPDATE
   SET count = usage.count + excluded.count,
       input_tokens = usage.input_tokens + excluded.input_tokens,
       output_tokens = usage.output_tokens + excluded.output_tokens,
       cached_tokens = usage.cached_tokens + excluded.cached_tokens,
       cost = CASE WHEN usage.cost IS NULL THEN excluded.cost ELSE usage.cost + coalesce(excluded.cost, 0) END,
       unpriced = usage.unpriced + excluded.unpriced,
       estimated = usage.estimated + excluded.estimated
"""


def add_usage(
    *,
    workspace_id: UUID,
    agent_id: UUID | None,
    day: date,
    provider: str,
    model: str,
    purpose: str,
    count: int,
    amounts: dict[str, Any],
) -> None:
    """Add to a row of DailyUsage, made where there is none yet."""
    with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]  # isolation/backend
        cursor.execute(
            ADD_USAGE,
            {
                "id": ids.new(),
                "workspace": workspace_id,
                "agent": agent_id,
                "day": day,
                "provider": provider,
                "model": model,
                "purpose": purpose,
                "count": str(count),  # texts: numbers of another size, or none, would make it another statement
                **{name: None if amount is None else str(amount) for name, amount in amounts.items()},
            },
        )


# Budgets are few; of usage it reads the rows of one day or month by the index daily_usage_by_day, or of one agent by
# daily_usage_once.
BUDGETS_AND_USE = """
SELECT budget.*, coalesce(sum(usage.input_tokens + usage.output_tokens), 0) AS used_tokens, sum(usage.cost) AS used_cost
  FROM agents_budget AS budget
  LEFT JOIN agents_dailyusage AS usage
    ON usage.workspace_id = budget.workspace_id AND (budget.agent_id IS NULL OR usage.agent_id = budget.agent_id)
   AND usage.day >= CASE budget.period WHEN 'day' THEN %(day)s::date ELSE %(month)s::date END
 WHERE budget.workspace_id = %(workspace)s AND (budget.agent_id IS NULL OR budget.agent_id = %(agent)s)
 GROUP BY budget.id, budget.workspace_id
 ORDER BY budget.period, budget.id
"""
