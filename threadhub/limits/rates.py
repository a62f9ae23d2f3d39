"""Token buckets in PostgreSQL, shared by all processes, of which each process borrows a share.

A bucket holds a minute's quota at most and refills evenly. A process takes a thirty-second part of the quota at a
time and counts it down in memory, so most requests cost no statement; what it has not used after some seconds goes
back with its next turn. Tokens are granted once, whoever grants: all processes together never let in more than the
bucket gave.
"""

import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from threadhub.lib.errors import Exhausted
from threadhub.limits import sql
from threadhub.limits.subjects import MINUTE, Subject

SHARES = 32
LARGEST_SHARE = 64
LEASE_SECONDS = 5.0
REMEMBERED = 20_000  # subjects of one process


class RateLimited(Exhausted):
    """Too many requests. Please wait before the next one."""

    code = "rate_limited"


@dataclass(frozen=True, slots=True)
class Allowance:
    """Where a subject stands after a request. `left` is what this process knows of, `reset` the seconds until the
    bucket is full again."""

    policy: str
    quota: int
    allowed: bool
    left: int
    reset: int

    @property
    def retry_after(self) -> int:
        """Seconds until there is one token more, at least 1."""
        return max(1, math.ceil(MINUTE / self.quota))


@dataclass(slots=True)
class _Lease:
    tokens: int = 0
    until: float = 0.0  # by the monotonic clock, as the next
    empty_until: float = 0.0
    shared: float = 0.0  # left in the bucket when it was last asked


_lock = threading.Lock()
_leases: OrderedDict[tuple[bytes, int], _Lease] = OrderedDict()


def spend(subject: Subject) -> Allowance | None:
    """Count one request; None for who has no limit. Whoever calls refuses what is not allowed."""
    if subject.quota <= 0:
        return None
    with _lock:
        lease = _lease_of(subject)
        now = time.monotonic()
        if lease.tokens and now < lease.until:
            lease.tokens -= 1
            return _allowance(subject, lease, True)
        if now < lease.empty_until:
            return _allowance(subject, lease, False)
        back, lease.tokens = lease.tokens, 0
    share = min(LARGEST_SHARE, max(1, subject.quota // SHARES))
    granted, shared = sql.take(id=subject.id, quota=subject.quota, window=MINUTE, share=share, back=back)
    with _lock:
        lease.shared = shared
        if granted:
            lease.tokens += granted - 1
            lease.until = time.monotonic() + LEASE_SECONDS
        else:
            lease.empty_until = time.monotonic() + (1 - shared) * MINUTE / subject.quota
        return _allowance(subject, lease, bool(granted))


def require(subject: Subject) -> Allowance | None:
    """As `spend`. Raises RateLimited."""
    allowance = spend(subject)
    if allowance is not None and not allowance.allowed:
        raise RateLimited(retry_after=allowance.retry_after)
    return allowance


def give_back(subject: Subject) -> None:
    """Take one request back, which was none of those to be counted."""
    with _lock:
        lease = _lease_of(subject)
        lease.tokens += 1
        lease.until = time.monotonic() + LEASE_SECONDS


def forget() -> None:
    """Drop what this process borrowed: for one that starts anew."""
    with _lock:
        _leases.clear()


def _lease_of(subject: Subject) -> _Lease:
    """Called under the lock. Who has not asked for long is forgotten, and with them a share at most."""
    key = subject.id, subject.quota  # a changed quota begins anew
    lease = _leases.get(key)
    if lease is None:
        lease = _leases[key] = _Lease()
    _leases.move_to_end(key)
    while len(_leases) > REMEMBERED:
        _leases.popitem(last=False)
    return lease


def _allowance(subject: Subject, lease: _Lease, allowed: bool) -> Allowance:
    left = min(subject.quota, lease.tokens + int(lease.shared)) if allowed else 0
    reset = math.ceil((subject.quota - left) * MINUTE / subject.quota)
    return Allowance(subject.policy, subject.quota, allowed, left, reset)
