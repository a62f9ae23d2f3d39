"""The queue in the staff console, for superusers: what waits, what runs, what failed."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from procrastinate.contrib.django.models import ProcrastinateJob

# The pages of threads and of threads/lifecycle register themselves.
import threadhub.console.conversations.canned_answers
import threadhub.console.conversations.threads
import threadhub.console.retention.erasures
import threadhub.console.retention.exports
import threadhub.console.retention.holds
import threadhub.console.retention.jobs
import threadhub.console.retention.policies
import threadhub.console.retention.records
import threadhub.console.retention.system_policies
import threadhub.console.retention.workspaces  # noqa: F401
from threadhub.console import display
from threadhub.console.base import ConsoleAdmin, column
from threadhub.console.filters import by_column

# procrastinate registers its own page, whose filters count the whole table and take any lookup.
admin.site.unregister(ProcrastinateJob)

STATUSES = [(status, status) for status in ("todo", "doing", "succeeded", "failed", "cancelled", "aborted")]


@admin.register(ProcrastinateJob)
class JobAdmin(ConsoleAdmin):
    list_display = ("id", "task", "state_label", "queue_name", "attempts", "scheduled")
    list_filter = (by_column("status", "Status", STATUSES),)
    search_help_text = "Number of a job"
    fields = (("id", "state_label"), ("task_name", "queue_name"), ("attempts", "priority"), "scheduled", "arguments")
    readonly_fields = (
        "id", "state_label", "task_name", "queue_name", "attempts", "priority", "scheduled", "arguments",
    )  # fmt: skip

    def find(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        return (
            queryset.filter(pk=int(term)) if term.isascii() and term.isdigit() and len(term) < 19 else queryset.none()
        )

    @column("Task")
    def task(self, job: ProcrastinateJob) -> str:
        return str(job.task_name).rpartition(".")[2]

    @column("Status")
    def state_label(self, job: ProcrastinateJob) -> str:
        return display.badge(str(job.status))

    @column("Scheduled")
    def scheduled(self, job: ProcrastinateJob) -> str:
        return display.moment(job.scheduled_at)

    @column("Arguments")
    def arguments(self, job: ProcrastinateJob) -> str:
        return display.json_block(job.args)
