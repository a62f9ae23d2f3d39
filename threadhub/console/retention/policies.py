"""Policies in the staff console: told in plain language, previewed, enabled after the preview was looked at."""

from typing import Any

from django.contrib import admin
from django.db.models import Case, F, OuterRef, QuerySet, Subquery, TextField, Value, When
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.enums import ActionVariant

from threadhub.agents.models import Agent
from threadhub.console import display, rights
from threadhub.console.base import ConsoleAdmin, column, created, shown_id
from threadhub.console.deeds import Deed
from threadhub.console.filters import OptionFilter, WorkspaceFilter, by_column
from threadhub.console.retention import counts, figures, words
from threadhub.console.retention.policy_forms import ACTIONS, PolicyForm
from threadhub.workspaces.permissions import Permission
from threads.lifecycle import counting, policies
from threads.lifecycle.plan import Effect
from threads.models import RetentionJob, RetentionPolicy, RetentionSettings, Thread


class EnabledFilter(OptionFilter):
    title = "State"
    names = ("state",)

    def options(self) -> list[tuple[str, str]]:
        return [("enabled", "In force or in grace"), ("disabled", "Disabled")]

    def chosen(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        known = value in ("enabled", "disabled")
        return queryset.filter(enabled=value == "enabled") if known else queryset.none()


def _looked_at(policy: Any) -> bool:
    return not policy.enabled and policy.previewed_terms == policies.terms_hash(policy)


def _removable(policy: Any) -> bool:
    protects = policy.action == "retain" and policy.acts_from is not None and policy.acts_from > timezone.now()
    return not (protects or (policy.enabled and policy.action == "retain"))


def _found_then(policy: Any) -> str:
    count = words.count(policy.previewed_count or 0, "thread")
    when = display.moment(policy.previewed_at)
    seen = format_html("The preview of {} found {}.", when, count) if policy.previewed_at else ""
    if policy.action == "retain":
        return format_html("It protects at once. {}", seen)
    rest = "It removes nothing before its grace is over; until then it can be disabled without a trace."
    return format_html("{} {}", seen, rest)


def deeds_of(domain: Any) -> tuple[Deed, ...]:
    """What is done to a policy, by the functions of a module of the domain."""
    return (
        Deed(
            name="enable",
            title="Enable",
            icon="play_circle",
            permission=Permission.RETENTION_WRITE,
            question=lambda policy: f"Put this policy in force? {words.sentence(policy)}",
            consequence=_found_then,
            done=lambda policy: "The policy is in force.",
            do=lambda actor, thing, now: domain.enable(actor=actor, policy=thing, now=now),
            applies=_looked_at,
            danger=False,
            instead="Leave it disabled",
        ),
        Deed(
            name="disable",
            title="Disable",
            icon="pause_circle",
            permission=Permission.RETENTION_WRITE,
            question=lambda policy: f"Take this policy out of force? {words.sentence(policy)}",
            consequence=lambda policy: (
                "It goes on protecting until a grace is over, so that nothing is lost by a mistake."
                if policy.action == "retain"
                else "It removes nothing more, from now on. What it has removed stays removed."
            ),
            done=lambda policy: "The policy is disabled.",
            do=lambda actor, thing, now: domain.disable(actor=actor, policy=thing, now=now),
            applies=lambda policy: policy.enabled,
            danger=False,
            instead="Leave it in force",
        ),
        Deed(
            name="remove",
            title="Remove policy",
            icon="delete",
            permission=Permission.RETENTION_WRITE,
            question=lambda policy: f"Remove this policy? {words.sentence(policy)}",
            consequence="Threads live by the other policies from then on. Its deeds stay in the sweeps' reports.",
            done=lambda policy: "The policy is removed.",
            do=lambda actor, thing, now: domain.delete(actor=actor, policy=thing, now=now),
            applies=_removable,
            removes=True,
        ),
    )


class PolicyPages(ConsoleAdmin):
    """What the pages of a workspace's and of the installation's policies share."""

    may_be_added = True
    may_be_changed = True
    list_select_related: Any = ()
    searched = ("name",)
    search_help_text = "Name or id"
    readonly_fields = ("shown_id", "told", "state_label", "when", "previewed", "made")
    shown_id = staticmethod(shown_id)
    made = staticmethod(created)
    terms = (("action", "days"), "counted_from", "name")
    narrowing = ("Only some threads", {"fields": ("origin", "external_ref_prefix", "metadata")})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        about = ("workspace", "scope", "agent", "thread") if self.model is RetentionPolicy else ()
        if obj is None:
            return ((None, {"fields": (*about, *self.terms)}), self.narrowing)
        facts = (None, {"fields": ("told", ("state_label", "when"), ("previewed", "made"), ("shown_id",))})
        if not self.has_change_permission(request, obj):
            return (facts,)
        return (facts, ("Terms", {"fields": (*about, *self.terms)}), self.narrowing)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        scoped = obj is not None and self.model is RetentionPolicy
        return (*self.readonly_fields, "workspace") if scoped else tuple(self.readonly_fields)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.preview_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_preview"
        return [path("<str:object_id>/preview/", view, name=name), *super().get_urls()]

    def deeds_of(self, request: HttpRequest, thing: Any) -> list[dict[str, Any]]:
        look = {
            "title": "Preview",
            "icon": "search",
            "variant": ActionVariant.PRIMARY,
            "attrs": {},
            "path": self._preview_of(thing),
        }
        return [look, *super().deeds_of(request, thing)]

    def preview_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What the policy would do now. Looking at it allows to enable it."""
        policy = self.thing(request, object_id)
        if policy is None:
            raise Http404
        may_stop = rights.of(request).may(self.writing, self.workspace_of(policy))
        if request.method == "POST":
            if "again" in request.POST:
                self.count_again(request, policy)
            elif "stop" in request.POST and may_stop:
                self.stop_counting(request, policy)
            return redirect(request.path)
        job = self.counted(request, policy)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Preview",
            "sentence": words.sentence(policy),
            "back": self.address_of(policy),
            "may_stop": may_stop,
        }
        if job is not None and job.ended != "done":
            context |= counts.context(job, progress_url=self.progress_of(policy, job))
            return TemplateResponse(request, "console/counting.html", context)
        effect = self.effect_of(request, policy, job)
        policy = self.thing(request, object_id)
        context |= {
            "policy": policy,
            "state": words.state(policy, timezone.now()),
            "figures": figures.of_policy(effect),
            "counted": job,
            "actions_detail": super().deeds_of(request, policy),
        }
        return TemplateResponse(request, "console/preview.html", context)

    def counted(self, request: HttpRequest, policy: Any) -> Any:
        """The job that counts, where there is too much to count at once."""
        raise NotImplementedError

    def count_again(self, request: HttpRequest, policy: Any) -> None:
        """Whatever was counted."""
        raise NotImplementedError

    def stop_counting(self, request: HttpRequest, policy: Any) -> None:
        """The count that goes on."""
        raise NotImplementedError

    def progress_of(self, policy: Any, job: Any) -> str:
        """Where the page's script asks how far the job is."""
        raise NotImplementedError

    def effect_of(self, request: HttpRequest, policy: Any, counted: Any) -> Effect:
        """What the policy does: as it was counted, else counted now. Somebody looks at it."""
        raise NotImplementedError

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        self.message_user(request, "The policy is made, disabled. See what it would do, then enable it.")
        return redirect(self._preview_of(obj))

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        self.message_user(request, "The policy is changed, and disabled by that. See what it would do, then enable it.")
        return redirect(self._preview_of(obj))

    def _preview_of(self, policy: Any) -> str:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_preview"
        return reverse(name, args=(policy.wire_id,))

    @column("Policy")
    def told(self, policy: Any) -> str:
        return words.sentence(policy)

    @column("Name")
    def called(self, policy: Any) -> str:
        return display.shortened(policy.name, 60) or "–"

    @column("State")
    def state_label(self, policy: Any) -> str:
        return display.badge(*words.state(policy, timezone.now()))

    @column("Next run")
    def when(self, policy: Any) -> str:
        """Of one of the installation: where nobody chose otherwise."""
        schedule = getattr(policy, "schedule", RetentionSettings.Schedule.DAILY)
        return words.next_run(policy, schedule=schedule, zone=getattr(policy, "zone", "UTC"), now=timezone.now())

    @column("Looked at")
    def previewed(self, policy: Any) -> str:
        return display.moment(policy.previewed_at)


@admin.register(RetentionPolicy)
class RetentionPolicyAdmin(PolicyPages):
    reading = Permission.RETENTION_READ
    newest_by_workspace = True
    writing = Permission.RETENTION_WRITE
    form = PolicyForm
    noun = "retention_policy"
    list_display = ("told", "called", "state_label", "when", "workspace")
    list_filter = (WorkspaceFilter, by_column("action", "What happens", ACTIONS), EnabledFilter)
    list_select_related = ("workspace",)
    deeds = deeds_of(policies)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        target = OuterRef("target_id")
        named = Case(
            When(scope="agent", then=Subquery(Agent.objects.filter(pk=target).order_by().values("name")[:1])),
            When(scope="thread", then=Subquery(_titles(target))),
            default=Value(None),
            output_field=TextField(),
        )
        chosen = RetentionSettings.objects.filter(workspace_id=OuterRef("workspace_id"))
        zone = Coalesce(Subquery(chosen.values("time_zone")), Value("UTC"))
        schedule = Coalesce(Subquery(chosen.values("schedule")), Value(RetentionSettings.Schedule.DAILY.value))
        shown: QuerySet[Any] = super().get_queryset(request).annotate(target_name=named, zone=zone, schedule=schedule)
        return shown

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """With the agents of workspaces where the reader may write policies."""
        base = super().get_form(request, obj, change, **kwargs)
        if "agent" in base.base_fields:
            allowed = rights.of(request).workspaces(self.writing)
            several = allowed is None or len(allowed) > 1
            base.base_fields["agent"].label_from_instance = lambda agent: (
                f"{agent.name} · {agent.workspace.name}" if several else agent.name
            )
        return base

    def counted(self, request: HttpRequest, policy: Any) -> RetentionJob | None:
        if counting.is_small(workspace_id=policy.workspace_id):
            return None
        actor = rights.of(request).actor(policy.workspace_id)
        return counting.latest(actor=actor, now=timezone.now(), policy=policy)

    def count_again(self, request: HttpRequest, policy: Any) -> None:
        counting.ask(actor=rights.of(request).actor(policy.workspace_id), now=timezone.now(), policy=policy)

    def stop_counting(self, request: HttpRequest, policy: Any) -> None:
        actor, now = rights.of(request).actor(policy.workspace_id), timezone.now()
        counting.stop(actor=actor, now=now, policy=policy)

    def progress_of(self, policy: Any, job: RetentionJob) -> str:
        return counts.progress_of(job)

    def effect_of(self, request: HttpRequest, policy: Any, counted: RetentionJob | None) -> Effect:
        actor = rights.of(request).actor(policy.workspace_id)
        if counted is None:
            return policies.preview(actor=actor, policy=policy).effect_of(policy.pk)
        plan = counting.plan_of(job=counted)
        policies.looked_at(actor=actor, policy=policy, made=plan)
        return plan.effect_of(policy.pk)

    def save_model(self, request: HttpRequest, obj: RetentionPolicy, form: Any, change: bool) -> None:
        actor, now = rights.of(request).actor(obj.workspace_id), timezone.now()
        if change:
            policies.change(actor=actor, policy=obj, now=now, **form.terms())
        else:
            obj.pk = policies.create(actor=actor, now=now, **form.terms()).pk
        obj.refresh_from_db()


def _titles(target: Any) -> QuerySet[Any]:
    return (
        Thread.objects.filter(pk=target)
        .order_by()
        .values(name=Coalesce(F("title"), Value("Untitled", TextField())))[:1]
    )
