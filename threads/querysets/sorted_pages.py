"""A page of threads in whichever order they are sorted, however deep it lies.

PostgreSQL, asked for the first fifty of few threads in the order of an index over all, may follow that index until it
has met fifty of them: through the whole table where these are the youngest or the oldest. So few are sorted by an
expression that no index has; many are met soon. By the time of their making they are in order where they are few.
"""

from django.contrib.postgres.expressions import ArraySubquery
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
    if offset >= DEEP:
        return list(_among(threads, threads[offset : offset + limit]))
    return list(threads[offset : offset + limit])


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
    return list(_among(threads, threads.reverse()[left - rows : left]))


def _among(threads: ThreadQuerySet, those: ThreadQuerySet) -> ThreadQuerySet:
    """`those`, ordered as `threads` are."""
    chosen = Thread.objects.filter(Among(F("pk"), ArraySubquery(those.values("pk"))))
    return chosen.order_by(*threads.query.order_by)
