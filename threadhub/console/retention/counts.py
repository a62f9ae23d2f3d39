"""A page that waits for the worker to count what is due: how far it is, and then the page itself."""

from typing import Any

from django.urls import reverse

from threadhub.console.retention import words
from threads.models import RetentionJob


def context(job: RetentionJob) -> dict[str, Any]:
    """For console/counting.html."""
    return {
        "job": job,
        "percent": round(100 * job.done / job.planned) if job.planned else 100,
        "ended": words.ended(job.ended) if job.ended else "",
        "progress_url": reverse("admin:threads_retentionjob_progress", args=(job.wire_id,)),
    }
