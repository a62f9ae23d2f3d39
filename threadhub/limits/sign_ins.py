"""Wrong passwords: how many may be tried.

By one address for one name, RATE_LIMIT_SIGN_IN a minute; by one address for all names, five times as many; for one
name from all addresses ten times as many. That last limit does not hold an address from which this user has signed in
before: others may use up a name's tries, but not lock its user out. Only failures count: a right password gives
its tries back.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from threadhub import audit
from threadhub.limits import rates, sql
from threadhub.limits.models import KnownAddress
from threadhub.limits.rates import RateLimited
from threadhub.limits.subjects import Subject, digest, network_of

OF_ADDRESS = 5
OF_NAME = 10


@contextmanager
def tried(username: str) -> Iterator[None]:
    """One try of a password, from the address of the present request; what is raised inside is a failure.

    Raises RateLimited before anything is looked at.
    """
    address = network_of(audit.origin.get().address)
    spent = _spend(username, address)
    yield
    for subject in spent:
        rates.give_back(subject)
    if spent:
        sql.know(_known(username, address))


def _spend(username: str, address: str) -> list[Subject]:
    quota = settings.RATE_LIMIT_SIGN_IN
    spent = []
    for subject in (
        Subject("sign_in", f"{address} {username}", quota),
        Subject("sign_in_address", address, quota * OF_ADDRESS),
        Subject("sign_in_name", username, quota * OF_NAME),
    ):
        allowance = rates.spend(subject)
        if allowance is None:
            continue
        if not allowance.allowed and not (subject.policy == "sign_in_name" and _is_known(username, address)):
            raise RateLimited(
                "Too many attempts to sign in. Please wait before the next one.", retry_after=allowance.retry_after
            )
        if allowance.allowed:
            spent.append(subject)
    return spent


def _is_known(username: str, address: str) -> bool:
    return KnownAddress.objects.filter(pk=_known(username, address)).exists()


def _known(username: str, address: str) -> bytes:
    return digest("known", address, username)
