"""Forgetting what no longer limits anybody."""

from datetime import datetime, timedelta

from threadhub.isolation.scope import Door, by_door
from threadhub.limits.models import KnownAddress, RateBucket, StreamPlaces

FULL_AGAIN = timedelta(hours=1)  # any bucket is, after a minute
KNOWN_FOR = timedelta(days=90)


@by_door(Door.UPKEEP)
def forget_old(*, now: datetime) -> int:
    """Remove full buckets, addresses not seen for long, and what dead processes held; returns how many."""
    buckets, _ = RateBucket.objects.filter(refilled_at__lt=now - FULL_AGAIN).delete()
    addresses, _ = KnownAddress.objects.filter(seen_at__lt=now - KNOWN_FOR).delete()
    places, _ = StreamPlaces.objects.filter(seen_at__lt=now - FULL_AGAIN).delete()
    return buckets + addresses + places
