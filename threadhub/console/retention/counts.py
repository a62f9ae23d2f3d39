"""A page that waits for the worker to count what is due: how far it is, and then the page itself."""

from typing import Any

from django.urls import reverse

from threadhub.console.retention import words
from threads.lifecycle.models import AskedWork
from threads.models import RetentionJob


def context(job: AskedWork, *, progress_url: str) -> dict[str, Any]:
    """For console/counting.html."""
    return {
        "job": job,
        "percent": round(100 * job.done / job.planned) if job.planned else 100,
        "ended": words.ended(job.ended) if job.ended else "",
        "progress_url": progress_url,
    }


def progress_of(job: RetentionJob) -> str:
    """Where the page's script asks how far it is."""
    return reverse("admin:threads_retentionjob_progress", args=(job.wire_id,))
