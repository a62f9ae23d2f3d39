"""Agents and tools in the staff console. Agents are made and changed by the domain's own functions."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextareaWidget

from threadhub.agents import calling, configure, toolbox
from threadhub.agents.builtin_tools import BUILTIN_TOOLS
from threadhub.agents.models import Agent, Tool
from threadhub.console import display, rights
from threadhub.console.base import ConsoleAdmin, column, created, shown_id
from threadhub.console.deeds import Deed
from threadhub.console.filters import OptionFilter, WorkspaceFilter
from threadhub.workspaces.permissions import Permission


class ActiveFilter(OptionFilter):
    title = "Active"
    names = ("active",)

    def options(self) -> list[tuple[str, str]]:
        return [("yes", "Active"), ("no", "Disabled")]

    def chosen(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(active=value == "yes") if value in ("yes", "no") else queryset.none()


class ProviderFilter(OptionFilter):
    title = "Provider"
    names = ("provider",)

    def options(self) -> list[tuple[str, str]]:
        return [(value, str(label)) for value, label in Agent.Provider.choices]


class AgentForm(forms.ModelForm):  # type: ignore[type-arg]
    """An agent. Which tools it can have depends on its workspace, so a new one gets them in a second step."""

    its_tools = forms.ModelMultipleChoiceField(
        label="Tools", queryset=Tool.objects.none(), required=False, widget=UnfoldAdminCheckboxSelectMultipleWidget
    )

    class Meta:
        model = Agent
        fields = (
            "workspace", "name", "description", "provider", "model", "instructions", "temperature", "max_output_tokens",
            "context_budget", "max_steps", "max_seconds", "double_texting", "active", "metadata",
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
            "double_texting": "A question that comes while the agent is still answering.",
            "active": "A disabled agent takes no questions; its threads stay readable.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "its_tools" in self.fields and not self.instance._state.adding:
            choice: Any = self.fields["its_tools"]
            choice.queryset = Tool.objects.filter(workspace_id=self.instance.workspace_id)
            self.initial["its_tools"] = [tool.pk for tool in self.instance.tools.all()]


@admin.register(Agent)
class AgentAdmin(ConsoleAdmin):
    reading = Permission.AGENT_READ
    writing = Permission.AGENT_WRITE
    may_be_added = True
    may_be_changed = True
    form = AgentForm
    list_display = ("name", "provider", "model", "is_active", "workspace", "made")
    list_filter = (WorkspaceFilter, ProviderFilter, ActiveFilter)
    list_select_related = ("workspace",)
    searched = ("name",)
    search_help_text = "Name or id"
    readonly_fields = ("shown_id", "made", "changed")
    shown_id = staticmethod(shown_id)
    made = staticmethod(created)
    fieldsets = (
        (None, {"fields": ("name", "description", ("workspace", "shown_id"), "active")}),
        ("How it answers", {"fields": ("instructions", ("provider", "model"), ("temperature", "max_output_tokens"))}),
        (
            "Limits and tools",
            {"fields": (("context_budget", "max_steps"), ("max_seconds", "double_texting"), "its_tools")},
        ),
        ("More", {"fields": ("metadata", ("made", "changed"))}),
    )
    add_fieldsets = (
        (None, {"fields": ("workspace", "name", "description")}),
        ("How it answers", {"fields": ("instructions", ("provider", "model"))}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "workspace") if obj else tuple(self.readonly_fields)

    def save_model(self, request: HttpRequest, obj: Agent, form: Any, change: bool) -> None:
        fields = {name: form.cleaned_data[name] for name in form.cleaned_data if name in configure.FIELDS}
        actor = rights.of(request).actor(obj.workspace_id)
        if change:
            tools = [tool.pk for tool in form.cleaned_data["its_tools"]]
            configure.change(actor=actor, agent=obj, now=timezone.now(), tools=tools, **fields)
        else:
            made = configure.create(actor=actor, **fields)
            obj.pk = made.pk
            obj.refresh_from_db()

    def response_add(self, request: HttpRequest, obj: Agent, post_url_continue: str | None = None) -> HttpResponse:
        """On to the second step: tools and limits."""
        self.message_user(request, f"The agent “{obj.name}” is made. Choose its tools and limits here.")
        return redirect(self.address_of(obj))

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
            do=lambda actor, thing, now: toolbox.remove(actor=actor, tool=thing),
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
