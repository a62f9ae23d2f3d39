"""The forms of policies. What they are checked against is the domain's; nothing is saved here."""

from typing import Any
from uuid import UUID

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from threadhub.agents.models import Agent
from threadhub.console.filters import decoded
from threads.lifecycle import policies
from threads.models import RetentionPolicy, SystemPolicy, Thread

TERMS = ("name", "action", "days", "counted_from", "external_ref_prefix", "metadata", "origin")
ORIGINS = [("", "Any"), ("chat_session", "Chat sessions"), ("direct", "Outside chat sessions")]
ACTIONS = [("archive", "Archive"), ("trash", "Into the trash"), ("purge", "Destroy for ever"), ("retain", "Keep")]
COUNTED = [
    ("last_activity", "Their last message"), ("created", "When they were begun"), ("archived", "When archived"),
    ("trashed", "When they came into the trash"),
]  # fmt: skip
HELP = {
    "name": "For people. Empty: it is told in its own words.",
    "days": "Of 24 hours each.",
    "external_ref_prefix": "Only threads whose reference begins so. Empty: all.",
    "metadata": 'Only threads whose metadata has these pairs, as {"region": "eu"}. Empty: all.',
}
OFFERED = 200


class TermsForm(forms.ModelForm):  # type: ignore[type-arg]
    """What every policy has."""

    action = forms.ChoiceField(label="What happens", choices=ACTIONS, widget=UnfoldAdminSelectWidget)
    counted_from = forms.ChoiceField(
        label="Counted from", choices=COUNTED, initial="last_activity", widget=UnfoldAdminSelectWidget
    )
    origin = forms.ChoiceField(label="Begun in", choices=ORIGINS, required=False, widget=UnfoldAdminSelectWidget)

    class Meta:
        model: type[Any] = SystemPolicy
        fields: tuple[str, ...] = TERMS
        help_texts = HELP
        widgets = {
            "external_ref_prefix": UnfoldAdminTextInputWidget,
            "metadata": UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        }

    def clean_origin(self) -> str | None:
        return self.cleaned_data["origin"] or None

    def clean_external_ref_prefix(self) -> str | None:
        return self.cleaned_data["external_ref_prefix"] or None

    def clean_metadata(self) -> dict[str, Any] | None:
        return self.cleaned_data["metadata"] or None

    def terms(self) -> dict[str, Any]:
        """As the domain's functions take them."""
        return {name: self.cleaned_data[name] for name in TERMS}

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors:
            places = {"target_id": "thread" if data.get("scope") == "thread" else "agent"}
            for row in policies.faults(self._draft(data)):
                name = places.get(row["loc"][-1], row["loc"][-1])
                self.add_error(name if name in self.fields else None, row["msg"])
        return data

    def _draft(self, data: dict[str, Any]) -> Any:
        return SystemPolicy(**self.terms())


class PolicyForm(TermsForm):
    """A workspace's policy, which may be about one agent or one thread of it."""

    scope = forms.ChoiceField(
        label="About",
        choices=[("workspace", "All threads"), ("agent", "Threads of one agent"), ("thread", "One thread")],
        widget=UnfoldAdminSelectWidget,
    )
    agent = forms.ModelChoiceField(queryset=Agent.objects.none(), required=False, widget=UnfoldAdminSelectWidget)
    thread = forms.CharField(
        label="Thread", required=False, max_length=64, widget=UnfoldAdminTextInputWidget, help_text="Its id: thread_…"
    )

    class Meta(TermsForm.Meta):
        model = RetentionPolicy
        fields = ("workspace", *TERMS, "scope")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "agent" not in self.fields:
            return
        agents: Any = self.fields["agent"]
        agents.queryset = Agent.objects.order_by("-pk")
        if self.instance._state.adding:
            newest = list(agents.queryset.values_list("pk", flat=True)[:OFFERED])
            agents.queryset = agents.queryset.filter(pk__in=newest).select_related("workspace")
        else:
            agents.queryset = agents.queryset.filter(workspace_id=self.instance.workspace_id)
            if self.instance.scope == "agent":
                self.initial["agent"] = self.instance.target_id
            elif self.instance.scope == "thread":
                self.initial["thread"] = Thread(pk=self.instance.target_id).wire_id

    def terms(self) -> dict[str, Any]:
        return {**super().terms(), "scope": self.cleaned_data["scope"], "target_id": self._target()}

    def _target(self) -> UUID | None:
        scope = self.cleaned_data.get("scope")
        if scope == "agent":
            agent = self.cleaned_data.get("agent")
            return agent.pk if agent else None
        return decoded(Thread.PREFIX, self.cleaned_data.get("thread") or "") if scope == "thread" else None

    def _draft(self, data: dict[str, Any]) -> Any:
        workspace = data.get("workspace") or self.instance.workspace
        return RetentionPolicy(workspace=workspace, **self.terms())
