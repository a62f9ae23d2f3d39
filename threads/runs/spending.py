"""What a run has spent: on its row and in the agent's day, moved together, so that the days add up to the runs."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from threadhub.agents import usage
from threadhub.agents.models import DailyUsage
from threadhub.agents.usage import Amount
from threads.models import Run

SPENT_FIELDS = ("input_tokens", "output_tokens", "cached_tokens", "cost", "unpriced", "estimated")


@dataclass(slots=True)
class Spent:
    """Of a run in one worker: all of it, and the part that no row knows yet.

    Only differences are written, under the run's lock: whoever else wrote to the row, nothing is counted twice.
    """

    total: Amount = field(default_factory=Amount)
    _new: Amount | None = None
    _first: bool = True  # this run is not counted yet

    @classmethod
    def of(cls, run: Run) -> "Spent":
        """What a run had spent when it was taken."""
        return cls(amount_of(run), _first=run.input_tokens is None)

    @property
    def unrecorded(self) -> bool:
        return self._new is not None

    def add(self, amount: Amount) -> None:
        """One call of the model."""
        self.total.add(amount)
        self._new = self._new or Amount()
        self._new.add(amount)

    def put_on(self, locked: Run) -> None:
        """Add what is new to a locked run, which the caller saves."""
        self._first = locked.input_tokens is None
        both = amount_of(locked)
        both.add(self._new or Amount())
        for name in SPENT_FIELDS:
            setattr(locked, name, getattr(both, name))

    def record(self, run: Run, *, now: datetime) -> None:
        """Add what is new to the agent's day, at the end of the transaction of `put_on`."""
        if self._new is None and not self._first:
            return
        usage.record(
            agent=run.agent,
            provider=run.provider,
            model=run.model,
            purpose=DailyUsage.Purpose.ANSWER,
            amount=self._new or Amount(),
            count=int(self._first),
            now=now,
        )
        self._new, self._first = None, False


def of_lost(run: Run, text: str) -> Amount:
    """What the last asking of a run has used whose worker died while the model spoke: an estimate."""
    given = (run.context or {}).get("tokens", 0)
    return usage.estimated(input_tokens=given, characters=len(text), provider=run.provider, model=run.model)


def charge(locked: Run, amount: Amount, *, now: datetime) -> None:
    """Put on a locked run, and on the agent's day, what nobody else will. At the end of the transaction."""
    spent = Spent.of(locked)
    spent.add(amount)
    spent.put_on(locked)
    locked.save(update_fields=SPENT_FIELDS)
    spent.record(locked, now=now)


def amount_of(run: Run) -> Amount:
    """What a run's row says that it has spent."""
    tokens = (run.input_tokens or 0, run.output_tokens or 0, run.cached_tokens or 0)
    return Amount(*tokens, run.cost, run.unpriced, run.estimated)


def tokens_of(run: Run) -> dict[str, Any]:
    """For the event that tells it."""
    return {
        "input_tokens": run.input_tokens,
        "output_tokens": run.output_tokens,
        "cached_tokens": run.cached_tokens,
    }
