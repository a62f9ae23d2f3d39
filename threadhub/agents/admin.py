"""Agents and tools in the staff console. Agents are made and changed by the domain's own functions."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.postgres.forms import SimpleArrayField
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.datastructures import MultiValueDict
from django.utils.html import format_html
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextareaWidget,
    UnfoldBooleanSwitchWidget,
)

from threadhub.agents import browsers, budgets, calling, configure, leaving, toolbox
from threadhub.agents.builtin_tools import BUILTIN_TOOLS
from threadhub.agents.models import Agent, Tool
from threadhub.agents.origins import MAX_LENGTH, MAX_ORIGINS, validate
from threadhub.console import display, once, rights
from threadhub.console.agent_budget import BudgetFields, BudgetSection
from threadhub.console.agent_history import HistoryPages
from threadhub.console.agent_trial import TrialPages
from threadhub.console.base import ConsoleAdmin, column, created, shown_id
from threadhub.console.deeds import Deed
from threadhub.console.filters import OptionFilter, WorkspaceFilter, by_column
from threadhub.lib.errors import Invalid
from threadhub.workspaces.models import ApiKey, User
from threadhub.workspaces.permissions import Permission, Role


class ActiveFilter(OptionFilter):
    title = "Active"
    names = ("active",)

    def options(self) -> list[tuple[str, str]]:
        return [("yes", "Active"), ("no", "Disabled")]

    def chosen(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(active=value == "yes") if value in ("yes", "no") else queryset.none()


class AgentForm(BudgetFields):
    """An agent. Which tools it can have depends on its workspace, so a new one gets them in a second step."""

    seen = forms.CharField(required=False, widget=forms.HiddenInput)  # when the agent that the page shows was changed
    its_tools = forms.ModelMultipleChoiceField(
        label="Tools", queryset=Tool.objects.none(), required=False, widget=UnfoldAdminCheckboxSelectMultipleWidget
    )

    allowed_origins = SimpleArrayField(
        forms.CharField(max_length=MAX_LENGTH, validators=[validate]),
        delimiter="\n", max_length=MAX_ORIGINS, required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )  # fmt: skip
    is_limited = forms.BooleanField(
        label="Limited",
        required=False,
        help_text="Naming somebody below says it too. It stays so when the last of them has left.",
        widget=UnfoldBooleanSwitchWidget,
    )
    allowed_roles = forms.MultipleChoiceField(
        label="Only for these roles",
        choices=[(role.value, role.value) for role in Role],
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Whoever is named here or below has the agent and its threads; nobody named: everybody. "
        "Owners, admins, support and compliance have every one.",
    )
    allowed_users = forms.ModelMultipleChoiceField(
        label="For these people",
        queryset=User.objects.none(),
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    allowed_keys = forms.ModelMultipleChoiceField(
        label="For these API keys",
        queryset=ApiKey.objects.none(),
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )

    class Meta:
        model = Agent
        fields = (
            "workspace", "name", "description", "provider", "model", "instructions", "temperature", "max_output_tokens",
            "context_budget", "max_steps", "max_seconds", "max_run_tokens", "max_run_cost", "double_texting", "titles",
            "active", "metadata", "allowed_origins", "identity_required",
        )  # fmt: skip
        widgets = {
            "description": UnfoldAdminTextareaWidget(attrs={"rows": 2}),
            "instructions": UnfoldAdminTextareaWidget(attrs={"rows": 12}),
            "metadata": UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        }
        help_texts = {
            "model": "Empty: the provider's default.",
            "temperature": "0 to 2. Empty: the provider's default.",
            "max_output_tokens": "Empty: the provider's default.",
            "context_budget": "Tokens of the thread that the model is given at most.",
            "max_steps": "How often the agent may call tools before it must answer.",
            "max_seconds": "How long one answer may take at most.",
            "max_run_tokens": "Of one answer, input and output together. Empty: no limit.",
            "max_run_cost": "Of one answer, in the currency of the prices; the model must have one. Empty: no limit.",
            "titles": "It names threads that nobody has named.",
            "double_texting": "A question that comes while the agent is still answering.",
            "active": "A disabled agent takes no questions; its threads stay readable.",
            "allowed_origins": "Of pages that may open chat sessions: https://shop.example.org, one per line.",
            "identity_required": "Visitors without a proof of who they are stay out.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "its_tools" in self.fields and not self.instance._state.adding:
            choice: Any = self.fields["its_tools"]
            choice.queryset = Tool.objects.filter(workspace_id=self.instance.workspace_id)
            self.initial["its_tools"] = [tool.pk for tool in self.instance.tools.all()]
            self.initial["seen"] = self.instance.updated_at.isoformat()
            self._offer_people()

    def _offer_people(self) -> None:
        """The workspace's members and working keys, and whoever is named already."""
        agent = self.instance
        people: Any = self.fields["allowed_users"]
        people.queryset = User.objects.filter(
            Q(memberships__workspace=agent.workspace_id) | Q(pk__in=agent.allowed_users)
        ).distinct()
        keys: Any = self.fields["allowed_keys"]
        keys.queryset = ApiKey.objects.filter(
            Q(revoked_at__isnull=True) | Q(pk__in=agent.allowed_keys), workspace=agent.workspace_id
        )
        self.initial["is_limited"] = agent.limited
        for name in ("allowed_roles", "allowed_users", "allowed_keys"):
            self.initial[name] = getattr(agent, name)

    def clean_seen(self) -> str:
        """What somebody saved while the page was open is not undone by whoever did not see it: the first time, the form
        comes back and says so."""
        seen, now = self.cleaned_data["seen"], self.initial.get("seen")
        if seen and now and seen != now:
            data: Any = self.data
            self.data = MultiValueDict({**dict(data.lists()), self.add_prefix("seen"): [now]})
            self.add_error(None, CHANGED_MEANWHILE)
        return str(seen)

    def clean_max_run_cost(self) -> Decimal | None:
        """As `configure` asks it, beside the field."""
        cost: Decimal | None = self.cleaned_data["max_run_cost"]
        if cost is not None and {"max_run_cost", "provider", "model"} & set(self.changed_data):
            model = Agent(provider=self.cleaned_data.get("provider", ""), model=self.cleaned_data.get("model", ""))
            try:
                budgets.require_price(model)
            except Invalid as error:
                raise forms.ValidationError([row["msg"] for row in error.errors]) from error
        return cost

    def clean_allowed_users(self) -> list[UUID]:
        return [user.pk for user in self.cleaned_data["allowed_users"]]

    def clean_allowed_keys(self) -> list[UUID]:
        return [key.pk for key in self.cleaned_data["allowed_keys"]]


CHANGED_MEANWHILE = (
    "Somebody changed this agent while the page was open (see its history). Nothing was saved. Save again to put what"
    " stands here in its place."
)
WHO = "Who may have it"
SHOWN_ONCE = "new_identity_secret"
DEEDS = (
    Deed(
        name="new_public_key",
        title="New public key",
        icon="key",
        permission=Permission.AGENT_WRITE,
        question=lambda agent: f"Make a public key for pages with “{agent.name}”?",
        consequence="A key before it stops working at once: pages that have it open no more sessions.",
        done=lambda agent: "The public key is made. It is no secret: put it into your page.",
        do=lambda actor, thing, now: browsers.new_public_key(actor=actor, agent=thing, now=now),
    ),
    Deed(
        name="withdraw_public_key",
        title="Withdraw public key",
        icon="key_off",
        permission=Permission.AGENT_WRITE,
        question=lambda agent: f"Withdraw the public key of “{agent.name}”?",
        consequence="No page opens a chat session with this agent any more; those that are open cannot be renewed.",
        done=lambda agent: "The public key is withdrawn.",
        do=lambda actor, thing, now: browsers.withdraw_public_key(actor=actor, agent=thing, now=now),
        applies=lambda agent: agent.public_key is not None,
    ),
    Deed(
        name=SHOWN_ONCE,
        title="New identity secret",
        icon="fingerprint",
        permission=Permission.AGENT_WRITE,
        question=lambda agent: f"Make a secret for proofs of identity with “{agent.name}”?",
        consequence="It is shown once. Proofs by the secret before it are taken for 24 hours more.",
        done=lambda agent: "The identity secret is made.",
        do=lambda actor, thing, now: browsers.new_identity_secret(actor=actor, agent=thing, now=now),
    ),
    Deed(
        name="withdraw_identity_secret",
        title="Withdraw identity secret",
        icon="no_accounts",
        permission=Permission.AGENT_WRITE,
        question=lambda agent: f"Withdraw the identity secret of “{agent.name}”?",
        consequence="No proof of identity is taken any more, from now on.",
        done=lambda agent: "The identity secret is withdrawn.",
        do=lambda actor, thing, now: browsers.withdraw_identity_secret(actor=actor, agent=thing, now=now),
        applies=lambda agent: agent.has_identity_secret,
    ),
)


@admin.register(Agent)
class AgentAdmin(HistoryPages, TrialPages, BudgetSection):
    reading = Permission.AGENT_READ
    writing = Permission.AGENT_WRITE
    may_be_added = True
    may_be_changed = True
    form = AgentForm
    list_display = ("name", "provider", "model", "is_active", "workspace", "made")
    list_filter = (WorkspaceFilter, by_column("provider", "Provider"), ActiveFilter)
    list_select_related = ("workspace",)
    searched = ("name",)
    search_help_text = "Name or id"
    readonly_fields = ("shown_id", "made", "changed", "shown_public_key", "identity_state")
    shown_id = staticmethod(shown_id)
    made = staticmethod(created)
    deeds = DEEDS
    fieldsets = (
        (None, {"fields": ("name", "description", ("workspace", "shown_id"), "active", "seen")}),
        ("How it answers", {"fields": ("instructions", ("provider", "model"), ("temperature", "max_output_tokens"))}),
        (
            "Limits and tools",
            {
                "fields": (
                    ("context_budget", "max_steps"),
                    ("max_seconds", "double_texting"),
                    ("max_run_tokens", "max_run_cost"),
                    "titles",
                    "its_tools",
                )
            },
        ),
        (
            "Web pages",
            {"fields": ("allowed_origins", "shown_public_key", ("identity_required", "identity_state"))},
        ),
        (WHO, {"fields": ("is_limited", "allowed_roles", "allowed_users", "allowed_keys")}),
        ("More", {"fields": ("metadata", ("made", "changed"))}),
    )
    add_fieldsets = (
        (None, {"fields": ("workspace", "name", "description")}),
        ("How it answers", {"fields": ("instructions", ("provider", "model"))}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "workspace") if obj else tuple(self.readonly_fields)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who may not change the agent sees neither its instructions nor to whom it is limited, as in the API."""
        found = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return found
        return [
            (name, {**section, "fields": [field for field in section["fields"] if field != "instructions"]})
            for name, section in found
            if name != WHO
        ]

    def save_model(self, request: HttpRequest, obj: Agent, form: Any, change: bool) -> None:
        fields = {name: form.cleaned_data[name] for name in form.cleaned_data if name in configure.FIELDS}
        if "is_limited" in form.changed_data:  # naming somebody says it, too
            fields["limited"] = form.cleaned_data["is_limited"]
        actor = rights.of(request).actor(obj.workspace_id)
        if change:
            tools = [tool.pk for tool in form.cleaned_data["its_tools"]]
            seen = datetime.fromisoformat(form.cleaned_data["seen"]) if form.cleaned_data["seen"] else None
            budget_first = form.frees_of_money()  # then the model may be one that has no price
            if budget_first:
                leaving.lock(workspace_id=obj.workspace_id)  # as everywhere, before the agent's own row
                self.save_budget(request, obj, form)
            configure.change(actor=actor, agent=obj, now=timezone.now(), tools=tools, seen=seen, **fields)
            if not budget_first:
                self.save_budget(request, obj, form)
        else:
            made = configure.create(actor=actor, **fields)
            obj.pk = made.pk
            obj.refresh_from_db()

    def response_add(self, request: HttpRequest, obj: Agent, post_url_continue: str | None = None) -> HttpResponse:
        """On to the second step: tools and limits."""
        self.message_user(request, f"The agent “{obj.name}” is made. Choose its tools and limits here.")
        return redirect(self.address_of(obj))

    def _do(self, request: HttpRequest, deed: Deed, thing: Agent, **given: Any) -> HttpResponseBase:
        """As any deed; a new identity secret is shown once, on a page of its own."""
        if deed.name != SHOWN_ONCE:
            return super()._do(request, deed, thing, **given)
        actor = rights.of(request).actor(thing.workspace_id)
        with transaction.atomic():
            self.log_change(request, thing, f"{deed.title}: {thing.name[:100]}")
            secret, _ = browsers.new_identity_secret(actor=actor, agent=thing, now=timezone.now())
        once.put(request, thing.wire_id, secret)
        return redirect("admin:agents_agent_secret", thing.wire_id)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.secret_view)
        return [path("<str:object_id>/secret/", view, name="agents_agent_secret"), *super().get_urls()]

    def secret_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The identity secret just made: shown to who made it, once."""
        secret = once.take(request, object_id)
        if secret is None:
            messages.warning(request, "The secret was shown once and is not kept. Make a new one if it is lost.")
            return redirect("admin:agents_agent_changelist")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "The new identity secret",
            "secret": secret,
            "key_url": reverse("admin:agents_agent_change", args=(object_id,)),
        }
        page = TemplateResponse(request, "console/secret.html", context)
        page.headers["Cache-Control"] = "no-store"
        return page

    @column("Tools")
    def its_tools(self, agent: Agent) -> str:
        """For whoever has no form of it."""
        return ", ".join(agent.tools.order_by("name").values_list("name", flat=True)) or "–"

    @column("Public key")
    def shown_public_key(self, agent: Agent) -> str:
        return agent.public_key or "None: no page opens a session."

    @column("Identity secret")
    def identity_state(self, agent: Agent) -> str:
        if not agent.has_identity_secret:
            return "None: visitors of pages are anonymous."
        until = agent.previous_identity_until
        rotating = until is not None and until > timezone.now()
        return format_html("Set; the one before is taken until {}.", display.moment(until)) if rotating else "Set."

    @column("Active", boolean=True)
    def is_active(self, agent: Agent) -> bool:
        return agent.active

    @column("Changed")
    def changed(self, agent: Agent) -> str:
        return display.moment(agent.updated_at)


class ToolForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Tool
        fields = ("workspace", "name", "description", "approval")
        widgets = {"description": UnfoldAdminTextareaWidget(attrs={"rows": 3})}
        help_texts = {
            "description": "What the model is told the tool is for. Empty: the tool's own words.",
            "approval": "Always: a person must approve each call before it is made.",
        }

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name not in BUILTIN_TOOLS:
            raise forms.ValidationError(
                f"There is no built-in tool of that name. There are: {', '.join(BUILTIN_TOOLS)}."
            )
        return name


@admin.register(Tool)
class ToolAdmin(ConsoleAdmin):
    reading = Permission.AGENT_READ
    writing = Permission.AGENT_WRITE
    may_be_added = True
    may_be_changed = True
    form = ToolForm
    list_display = ("name", "kind", "approval", "about", "workspace", "made")
    list_filter = (WorkspaceFilter,)
    list_select_related = ("workspace",)
    searched = ("name", "description")
    search_help_text = "Name, description or id"
    readonly_fields = ("shown_id", "kind", "made", "schema")
    shown_id = staticmethod(shown_id)
    made = staticmethod(created)
    fields = (("workspace", "name"), "description", "approval", ("shown_id", "kind", "made"), "schema")
    add_fieldsets = ((None, {"fields": ("workspace", "name", "description", "approval")}),)
    deeds = (
        Deed(
            name="remove",
            title="Remove tool",
            icon="delete",
            permission=Permission.AGENT_WRITE,
            question=lambda tool: f"Remove the tool “{tool.name}”?",
            consequence="Every agent that has it loses it. Calls in past messages stay.",
            done=lambda tool: f"Removed the tool “{tool.name}”.",
            do=lambda actor, thing, now: toolbox.remove(actor=actor, tool=thing, now=now),
            removes=True,
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "workspace", "name") if obj else tuple(self.readonly_fields)

    @column("Arguments")
    def schema(self, tool: Tool) -> str:
        """What the model is told: a built-in tool's schema is code."""
        return display.json_block(calling.parameters_of(tool))

    @column("Description")
    def about(self, tool: Tool) -> str:
        return display.shortened(tool.description, 60) or "–"
