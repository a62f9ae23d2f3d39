"""What is left of the past, read-only: sweeps with their chained reports, bundles, tombstones."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.html import format_html, format_html_join

from threadhub.console import display, identities
from threadhub.console.base import ConsoleAdmin, column, created, shown_id
from threadhub.console.deeds import Deed
from threadhub.console.filters import CreatedFilter, OptionFilter, WorkspaceFilter, by_column, decoded
from threadhub.console.retention import words
from threadhub.lib import ids
from threadhub.workspaces.permissions import Permission
from threads.lifecycle import jobs, reports
from threads.models import Bundle, BundledThread, RetentionJob, RetentionPolicy, Sweep, Thread, Tombstone

REASONS = {
    "policy": "By a policy", "trash": "Its time in the trash was over", "client": "Deleted by a client",
    "command": "By hand", "erasure": "A person was erased",
}  # fmt: skip
KINDS = {
    "retention": "Policies applied", "archive": "Archived by hand", "trash": "Trash emptied", "restore": "Restored",
}  # fmt: skip


@admin.register(Sweep)
class SweepAdmin(ConsoleAdmin):
    reading = Permission.RETENTION_READ
    newest_by_workspace = True
    list_display = ("finished", "kind_label", "outcome", "ended", "place", "workspace")
    list_filter = (WorkspaceFilter, by_column("kind", "Kind", list(KINDS.items())), CreatedFilter)
    list_select_related = ("workspace",)
    search_help_text = "Id of a sweep"
    fields = (
        ("kind_label", "shown_id"), ("outcome", "ended"), ("cutoff_at", "finished"), ("planned", "skipped"),
        "failed", "unreadable", "census", "bundles", ("place", "chained"), "own_digest", "previous_digest",
    )  # fmt: skip
    readonly_fields = (
        "kind_label", "shown_id", "outcome", "ended", "cutoff_at", "finished", "planned", "skipped", "failed",
        "unreadable", "census", "bundles", "place", "chained", "own_digest", "previous_digest",
    )  # fmt: skip
    shown_id = staticmethod(shown_id)

    @column("Finished")
    def finished(self, sweep: Sweep) -> str:
        return display.moment(sweep.finished_at)

    @column("What")
    def kind_label(self, sweep: Sweep) -> str:
        return KINDS.get(sweep.kind, sweep.kind)

    @column("Done")
    def outcome(self, sweep: Sweep) -> str:
        counts = sweep.report.get("actions")
        return words.actions(counts) if counts is not None else words.count(int(sweep.report.get("taken", 0)), "thread")

    @column("Ended")
    def ended(self, sweep: Sweep) -> str:
        word = str(sweep.report.get("ended", ""))
        return display.badge("done" if word == "done" else "past", word or "–")

    @column("As of")
    def cutoff_at(self, sweep: Sweep) -> str:
        return display.moment(sweep.cutoff)

    @column("Planned")
    def planned(self, sweep: Sweep) -> str:
        return f"{sweep.report['planned']:,}" if isinstance(sweep.report.get("planned"), int) else "–"

    @column("Left alone")
    def skipped(self, sweep: Sweep) -> str:
        found = sweep.report.get("skipped") or {}
        return ", ".join(f"{words.SKIPPED.get(name, name)}: {count:,}" for name, count in found.items()) or "–"

    @column("Failed")
    def failed(self, sweep: Sweep) -> str:
        return format_html_join(" ", "<p>{}</p>", ((str(each),) for each in sweep.report.get("failed") or [])) or "–"

    @column("Policies that could not be read")
    def unreadable(self, sweep: Sweep) -> str:
        return (
            format_html_join(
                ", ", "{}", ((display.wire_id(str(each)),) for each in sweep.report.get("unreadable") or [])
            )
            or "–"
        )

    @column("Threads afterwards")
    def census(self, sweep: Sweep) -> str:
        found = sweep.report.get("counts") or {}
        return ", ".join(f"{count:,} {name}" for name, count in found.items() if name != "before") or "–"

    @column("Bundles written")
    def bundles(self, sweep: Sweep) -> str:
        names = sweep.report.get("bundles") or []
        links = ((f"/admin/threads/bundle/?q={name}", name[:16]) for name in map(str, names[:20]))
        return format_html_join(", ", '<a class="th-link" href="{}">{}</a>', links) or "–"

    @column("Number")
    def place(self, sweep: Sweep) -> str:
        return f"{sweep.number:,}"

    @column("Chain")
    def chained(self, sweep: Sweep) -> str:
        """Whether this report is as it was written, and follows the one before."""
        right = reports.digest(
            number=sweep.number, kind=sweep.kind, cutoff=sweep.cutoff, report=sweep.report, previous=sweep.previous
        )
        before = Sweep.objects.filter(workspace_id=sweep.workspace_id, number=sweep.number - 1)
        last = before.values_list("digest", flat=True).first() or ""
        if right == sweep.digest and last == sweep.previous:
            return display.badge("done", "As written, and follows the report before")
        return display.badge("failed", "Altered, or the report before is another one")

    @column("Digest")
    def own_digest(self, sweep: Sweep) -> str:
        return display.wire_id(sweep.digest)

    @column("Digest before")
    def previous_digest(self, sweep: Sweep) -> str:
        return display.wire_id(sweep.previous)


class BundleStateFilter(OptionFilter):
    title = "State"
    names = ("state",)

    def options(self) -> list[tuple[str, str]]:
        return [("there", "In use"), ("gone", "Emptied or rewritten")]

    def chosen(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        known = value in ("there", "gone")
        return queryset.filter(removed_at__isnull=value == "there") if known else queryset.none()


def _in_use(bundle: Any) -> bool:
    return bundle.removed_at is None


@admin.register(Bundle)
class BundleAdmin(ConsoleAdmin):
    reading = Permission.RETENTION_READ
    newest_by_workspace = True
    list_display = ("place", "state_label", "threads", "messages", "big", "made", "workspace")
    list_filter = (WorkspaceFilter, BundleStateFilter, CreatedFilter)
    list_select_related = ("workspace",)
    search_help_text = "Id or name of a bundle, or id of an archived thread"
    fields = (
        ("place", "state_label"), ("threads", "messages", "big"), "left", ("made", "shown_id"), "where", "own_sha",
        "manifest_sha", "previous_sha", "successor",
    )  # fmt: skip
    readonly_fields = (
        "place", "state_label", "threads", "messages", "big", "left", "made", "shown_id", "where", "own_sha",
        "manifest_sha", "previous_sha", "successor",
    )  # fmt: skip
    shown_id = staticmethod(shown_id)
    made = staticmethod(created)
    deeds = (
        Deed(
            name="verify",
            title="Verify",
            icon="fact_check",
            permission=Permission.RETENTION_READ,
            question=lambda bundle: f"Read all of bundle {bundle.number:,} again?",
            consequence="The worker compares hashes, sizes and counts of the file and of each thread in it with what "
            "was written. Nothing is changed.",
            done=lambda bundle: "The bundle is being read.",
            do=lambda actor, thing, now: jobs.verify_bundle(actor=actor, bundle=thing, now=now),
            applies=_in_use,
            danger=False,
            instead="Not now",
        ),
        Deed(
            name="restore",
            title="Restore threads",
            icon="unarchive",
            permission=Permission.THREAD_ARCHIVE,
            question=lambda bundle: (
                f"Make {words.count(bundle.thread_count, 'thread')} of bundle {bundle.number:,} active again?"
            ),
            consequence="Each is verified first, and comes back with its own ids, positions and times. No policy takes "
            "them again within a week. What fails stays archived and is told.",
            done=lambda bundle: "The threads are being restored.",
            do=lambda actor, thing, now: jobs.restore_bundle(actor=actor, bundle=thing, now=now),
            applies=_in_use,
            danger=False,
            instead="Leave them archived",
        ),
    )

    def find(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        thread_id = decoded(Thread.PREFIX, term)
        if thread_id is not None:
            where = BundledThread.objects.filter(thread_id=thread_id).order_by().values("bundle_id")
            return queryset.filter(pk__in=where)
        return queryset.filter(name=term)

    def after_deed(self, request: HttpRequest, deed: Deed, thing: Any, outcome: Any) -> HttpResponseBase | None:
        if not isinstance(outcome, RetentionJob):
            return None
        return redirect("admin:threads_retentionjob_change", outcome.wire_id)

    @column("Bundle")
    def place(self, bundle: Bundle) -> str:
        return f"Bundle {bundle.number:,}"

    @column("State")
    def state_label(self, bundle: Bundle) -> str:
        if bundle.removed_at is None:
            return display.badge("archived", "In use")
        return display.badge("past", "Rewritten" if bundle.superseded_by else "Emptied")

    @column("Threads")
    def threads(self, bundle: Bundle) -> str:
        return f"{bundle.thread_count:,}"

    @column("Messages")
    def messages(self, bundle: Bundle) -> str:
        return f"{bundle.message_count:,}"

    @column("Size")
    def big(self, bundle: Bundle) -> str:
        return words.size(bundle.size)

    @column("Still in it")
    def left(self, bundle: Bundle) -> str:
        rows = BundledThread.objects.filter(workspace_id=bundle.workspace_id, bundle_id=bundle.pk).order_by()
        here = list(rows.values_list("thread_id", flat=True)[:51])
        threads = list(Thread.objects.filter(pk__in=here[:50]).order_by("created_at", "pk"))
        links = ((display.link(each, display.shortened(each.title, 60) or "Untitled"),) for each in threads)
        listed = format_html_join("", "<li>{}</li>", links)
        more = format_html("<li>{}</li>", "and more") if len(here) > 50 else ""
        return format_html('<ul class="th-list">{}{}</ul>', listed, more) if here else "Nothing"

    @column("Path")
    def where(self, bundle: Bundle) -> str:
        return display.wire_id(bundle.path)

    @column("SHA-256 of the file")
    def own_sha(self, bundle: Bundle) -> str:
        return display.wire_id(bundle.sha256)

    @column("SHA-256 of the manifest")
    def manifest_sha(self, bundle: Bundle) -> str:
        return display.wire_id(bundle.manifest_sha256)

    @column("Manifest before")
    def previous_sha(self, bundle: Bundle) -> str:
        return display.wire_id(bundle.previous)

    @column("Rewritten into")
    def successor(self, bundle: Bundle) -> str:
        found = Bundle.objects.filter(pk=bundle.superseded_by).first() if bundle.superseded_by else None
        return display.link(found, f"Bundle {found.number:,}") if found else "–"


@admin.register(Tombstone)
class TombstoneAdmin(ConsoleAdmin):
    reading = Permission.RETENTION_READ
    told_by = ("purged_by",)
    list_display = ("thread", "why", "purged", "by", "messages", "workspace")
    list_filter = (WorkspaceFilter, by_column("reason", "Why", list(REASONS.items())))
    list_select_related = ("workspace",)
    search_help_text = "Id of a thread that is gone"
    fields = (("thread", "why"), ("purged", "by"), ("state", "messages", "files"), "policy", "own_evidence")
    readonly_fields = ("thread", "why", "purged", "by", "state", "messages", "files", "policy", "own_evidence")

    def find(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        return queryset.none()

    @column("Thread")
    def thread(self, stone: Tombstone) -> str:
        return display.wire_id(stone.wire_id)

    @column("Why")
    def why(self, stone: Tombstone) -> str:
        return REASONS.get(stone.reason, stone.reason)

    @column("Destroyed")
    def purged(self, stone: Tombstone) -> str:
        return display.moment(stone.purged_at)

    @column("By")
    def by(self, stone: Tombstone) -> str:
        return identities.told(stone, "purged_by")

    @column("It was")
    def state(self, stone: Tombstone) -> str:
        return display.badge(stone.state)

    @column("Messages")
    def messages(self, stone: Tombstone) -> str:
        return f"{stone.message_count:,}"

    @column("Files")
    def files(self, stone: Tombstone) -> str:
        return f"{stone.attachment_count:,}"

    @column("Policy")
    def policy(self, stone: Tombstone) -> str:
        return display.wire_id(ids.encode(RetentionPolicy.PREFIX, stone.policy_id)) if stone.policy_id else "–"

    @column("Evidence")
    def own_evidence(self, stone: Tombstone) -> str:
        return display.wire_id(stone.evidence)
