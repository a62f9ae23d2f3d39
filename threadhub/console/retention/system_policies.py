"""The installation's policies in the staff console: made, previewed and enabled as a workspace's are."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from threadhub import audit
from threadhub.console import display
from threadhub.console.base import column
from threadhub.console.filters import by_column
from threadhub.console.retention.policies import EnabledFilter, PolicyPages, deeds_of
from threadhub.console.retention.policy_forms import ACTIONS, TermsForm
from threads.lifecycle import system_counting, system_policies
from threads.lifecycle.plan import Effect
from threads.models import SystemCount, SystemPolicy


@admin.register(SystemPolicy)
class SystemPolicyAdmin(PolicyPages):
    """For superusers: they count in every workspace."""

    form = TermsForm
    noun = "system_policy"
    list_display = ("told", "called", "state_label", "when", "acts", "made")
    list_filter = (by_column("action", "What happens", ACTIONS), EnabledFilter)
    deeds = deeds_of(system_policies)

    def acting(self, request: HttpRequest, thing: Any) -> Any:
        return audit.By(f"user:{request.user.pk}")

    def within(self, queryset: QuerySet[Any], workspaces: list[UUID]) -> QuerySet[Any]:
        return queryset.none()

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.progress_view)
        name = "threads_systempolicy_progress"
        return [path("<str:object_id>/progress/", view, name=name), *super().get_urls()]

    def progress_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """How far the policy's count is, for the script of the page."""
        policy = self.thing(request, object_id)
        job = policy and SystemCount.objects.filter(policy=policy).first()
        if job is None:
            raise Http404
        return JsonResponse(job.as_json())

    def counted(self, request: HttpRequest, policy: Any) -> SystemCount | None:
        if system_counting.is_small():
            return None
        return system_counting.latest(actor=self.acting(request, policy), policy=policy, now=timezone.now())

    def count_again(self, request: HttpRequest, policy: Any) -> None:
        system_counting.ask(actor=self.acting(request, policy), policy=policy, now=timezone.now())

    def stop_counting(self, request: HttpRequest, policy: Any) -> None:
        system_counting.stop(actor=self.acting(request, policy), policy=policy)

    def progress_of(self, policy: Any, job: SystemCount) -> str:
        return reverse("admin:threads_systempolicy_progress", args=(policy.wire_id,))

    def effect_of(self, request: HttpRequest, policy: Any, counted: SystemCount | None) -> Effect:
        actor = self.acting(request, policy)
        if counted is None:
            return system_policies.preview(actor=actor, policy=policy)
        effect = system_counting.effect_of(job=counted)
        system_policies.looked_at(actor=actor, policy=policy, effect=effect, cutoff=counted.cutoff)
        return effect

    def save_model(self, request: HttpRequest, obj: SystemPolicy, form: Any, change: bool) -> None:
        actor, now = self.acting(request, obj), timezone.now()
        if change:
            system_policies.change(actor=actor, policy=obj, now=now, **form.terms())
        else:
            obj.pk = system_policies.create(actor=actor, now=now, **form.terms()).pk
        obj.refresh_from_db()

    @column("Acts from")
    def acts(self, policy: SystemPolicy) -> str:
        return display.moment(policy.acts_from if policy.enabled else None)
