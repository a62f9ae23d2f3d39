"""Charts of days, drawn with SVG: one column a day, with a part of it inside."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True, slots=True)
class Column:
    """One day. `height` and `inner` are percents of the chart; `x` is its place, of 100 in all."""

    x: float
    width: float
    height: float
    inner: float
    told: str  # for a pointer and for a reader: "Nov 3: 12, 2 of them failed"

    @property
    def top(self) -> float:
        return 100 - self.height

    @property
    def inner_top(self) -> float:
        return 100 - self.inner


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    figure: str  # of the whole time, in one word
    caption: str
    columns: list[Column]
    nothing: str
    first_day: date
    last_day: date

    @property
    def is_empty(self) -> bool:
        return not any(column.height for column in self.columns)


def chart(
    *,
    title: str,
    figure: str,
    caption: str,
    days: list[date],
    values: Mapping[date, float],
    parts: Mapping[date, float] | None = None,
    told: Callable[[float, float], str],
    nothing: str = "Nothing in the last 30 days, as counted every five minutes.",
) -> Chart:
    """`parts` are inside `values`; `told(value, part)` says one day in words."""
    parts = parts or {}
    top = max((values.get(day, 0) for day in days), default=0) or 1
    step = 100 / len(days)
    columns = [
        Column(
            x=round(at * step, 2),
            width=round(step * 0.8, 2),
            height=round(100 * values.get(day, 0) / top, 2),
            inner=round(100 * parts.get(day, 0) / top, 2),
            told=f"{day:%b} {day.day}: {told(values.get(day, 0), parts.get(day, 0))}",
        )
        for at, day in enumerate(days)
    ]
    return Chart(title, figure, caption, columns, nothing, days[0], days[-1])


def days_from(first: date, count: int) -> list[date]:
    """So many days, the first one at the beginning."""
    return [first + timedelta(days=after) for after in range(count)]


def days_until(last: date, count: int) -> list[date]:
    """So many days, the last one at the end."""
    return [last - timedelta(days=ago) for ago in range(count - 1, -1, -1)]
