"""How threads were rated that an older version archived, which did not keep it beside them: read once from their
bundles, for the lists of the console."""

from threading import Event

from threads.lifecycle.bundles.reader import ThreadReader
from threads.lifecycle.bundles.verify import Damaged
from threads.lifecycle.bundles.writer import Written
from threads.models import BundledThread


def read_missing(*, stop: Event | None = None) -> int:
    """Look where nobody has; returns of how many threads it is known now. What cannot be read stays as it is:
    verification names it."""
    unread = BundledThread.objects.filter(good__isnull=True, counts__has_key="feedback").order_by("thread_id")
    known = 0
    for entry in unread.select_related("bundle").iterator():
        if stop is not None and stop.is_set():
            break
        found = Written(entry.thread_id, entry.sha256, 0)
        try:
            for record in ThreadReader(entry, entry.bundle.path).records("feedback"):
                found.rate(record["rating"])
        except Damaged:
            continue
        # Restored and archived again meanwhile, it is known already.
        known += unread.filter(pk=entry.pk).update(good=found.good, bad=found.bad)
    return known
