"""A page of threads in whichever order they are sorted, however deep it lies.

PostgreSQL, asked for the first fifty of few threads in the order of an index over all, may follow that index until it
has met fifty of them: through the whole table where these are the youngest or the oldest. So few are sorted by an
expression that no index has; many are met soon. By the time of their making they are in order where they are few.

By `updated` the index has the order to ten minutes (`updated_about`): it alone says in which ten minutes a deep page
begins, and only their threads and those of the page are read.
"""

from datetime import datetime

from django.contrib.postgres.expressions import ArraySubquery
from django.db import connection
from django.db.models import F
from django.db.models.expressions import OrderBy
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact

from threadhub.lib.any_of import Among
from threads.models import Thread
from threads.querysets.threads import ThreadQuerySet

FEW = 50_000  # sorted in some ninety milliseconds; following an index past all others takes a second or two
INDEXED = ("agent_id", "user_id", "external_ref")  # each with its threads in the order of their making
DEEP = 500  # from here on ids are looked up first, in the index alone
# Of the first threads of an order: the ten minutes of the last of them, and how many of them are outside of these.
TEN_MINUTES = """
SELECT updated_about, sum(number) OVER () - number
  FROM (SELECT updated_about, count(*) AS number FROM ({first}) AS first GROUP BY updated_about) AS parts
 ORDER BY updated_about {backwards} LIMIT 1
"""


def page(threads: ThreadQuerySet, *, offset: int, limit: int) -> list[Thread]:
    """The `limit` threads after the first `offset` of an ordered queryset; none past its end."""
    if offset < DEEP and _by_time(threads):
        return list(threads[offset : offset + limit])
    counted = threads.still_counted()
    narrowed = counted is None or counted.agent_id is not None
    if narrowed or offset >= DEEP:
        number = counted.number() if counted else threads.order_by()[: FEW + 1].count()
        if offset >= number and (counted or number <= FEW):
            return []
        if number <= FEW and narrowed:
            return list(_sorted(threads)[offset : offset + limit])
        if counted and offset > number // 2:
            return _from_the_end(threads, number - offset, limit)
    return _deep(threads, offset, limit) if offset >= DEEP else list(threads[offset : offset + limit])


def _by_time(threads: ThreadQuerySet) -> bool:
    """Whether the index of what they are narrowed by has the order as well."""
    first = next(iter(threads.query.order_by), None)
    if not isinstance(first, OrderBy) or first.expression != F("created_at"):
        return False
    exact = (each for each in threads.query.where.children if isinstance(each, Exact))
    return any(getattr(each.lhs, "target", None) and each.lhs.target.attname in INDEXED for each in exact)


def _sorted(threads: ThreadQuerySet) -> ThreadQuerySet:
    """The same in the same order, by an expression that is in no index, so that none is followed."""
    first, *others = threads.query.order_by
    assert isinstance(first, OrderBy)  # noqa: S101  as the dialects order them
    value = Coalesce(first.expression, first.expression)
    alone = OrderBy(value, first.descending, first.nulls_first, first.nulls_last)
    return threads.order_by(alone, *others)


def _from_the_end(threads: ThreadQuerySet, left: int, limit: int) -> list[Thread]:
    """Of the last `left` the first `limit`."""
    rows = min(left, limit)
    return _deep(threads, left - rows, rows, backwards=True)


def _deep(threads: ThreadQuerySet, offset: int, limit: int, *, backwards: bool = False) -> list[Thread]:
    """The page as it stands in the list; `backwards`: the offset is from its end."""
    turned = threads.reverse() if backwards else threads
    first = next(iter(threads.query.order_by), None)
    if isinstance(first, OrderBy) and first.expression == F("updated_about"):
        descending = first.descending != backwards
        about, before = _ten_minutes(turned.order_by(first)[: offset + 1], descending=descending)
        if about is not None:
            there = turned.filter(**{f"updated_about__{'lte' if descending else 'gte'}": about})
            found = list(there[offset - before : offset - before + limit])
            return found[::-1] if backwards else found
    return list(_among(threads, turned[offset : offset + limit]))


def _ten_minutes(threads: ThreadQuerySet, *, descending: bool) -> tuple[datetime | None, int]:
    """The `updated_about` of the last of these, and how many have another. None where there is none."""
    first, values = threads.values("updated_about").query.sql_with_params()
    backwards = "ASC NULLS FIRST" if descending else "DESC NULLS LAST"
    with connection.cursor() as cursor:
        cursor.execute(TEN_MINUTES.format(first=first, backwards=backwards), values)
        about, before = cursor.fetchone() or (None, 0)
    return about, int(before)


def _among(threads: ThreadQuerySet, those: ThreadQuerySet) -> ThreadQuerySet:
    """`those`, ordered as `threads` are."""
    chosen = Thread.objects.filter(Among(F("pk"), ArraySubquery(those.values("pk"))))
    return chosen.order_by(*threads.query.order_by)
