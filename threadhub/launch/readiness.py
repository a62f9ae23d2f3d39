"""Whether what was started does its work: the web server answers, and a worker takes jobs."""

import http.client
import time
from collections.abc import Callable

from django.db import connection

from threadhub import tasks
from threadhub.launch.address import Address
from threadhub.lib.errors import Failed

SECONDS = 120.0  # a slow machine with cold files; an ordinary one needs three
POLL_SECONDS = 0.05


class NotReady(Failed):
    """The hub did not get ready in time; its log above says why."""

    code = "not_ready"


def until_ready(address: Address, *, check: Callable[[], None]) -> None:
    """Return once both do. `check` is called all the while; what it raises ends the waiting. Raises NotReady."""
    deadline = time.monotonic() + SECONDS
    job_id = tasks.greet.defer()
    _until(lambda: is_job_done(job_id), deadline, check, "No worker took a job")
    _until(lambda: _answers(address), deadline, check, f"{address.url}/health did not answer")


def is_job_done(job_id: int) -> bool:
    """Whether a worker has taken and finished the job: then it is gone from the queue."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM procrastinate_jobs WHERE id = %s", [job_id])
        return cursor.fetchone() is None


def _until(ready: Callable[[], bool], deadline: float, check: Callable[[], None], complaint: str) -> None:
    while not ready():
        check()
        if time.monotonic() > deadline:
            raise NotReady(f"{complaint} within {SECONDS:.0f} seconds.")
        time.sleep(POLL_SECONDS)


def _answers(address: Address) -> bool:
    asking = http.client.HTTPConnection(address.reachable_ip, address.port, timeout=5)
    try:
        asking.request("GET", "/health")
        return asking.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asking.close()
