"""Bodies that make or change an agent."""

from typing import Any

from rest_framework import serializers

from threadhub.agents.budgets import MOST_TOKENS
from threadhub.agents.models import Agent, DoubleTexting, Tool
from threadhub.agents.origins import MAX_LENGTH, MAX_ORIGINS
from threadhub.api.rest.inputs.strict import Metadata, Money, Real, Strict, Text, Truth, Whole
from threadhub.lib import ids
from threadhub.workspaces.models import ApiKey, User
from threadhub.workspaces.permissions import Role

MAX_TOOLS = 100
MAX_ALLOWED = 1_000
BIGGEST = 2**31 - 1


class IdField(Text):
    """An id on the wire; becomes the id in the database."""

    def __init__(self, prefix: str, noun: str, **options: Any) -> None:
        super().__init__(**options)
        self.prefix, self.noun = prefix, noun

    def to_internal_value(self, data: Any) -> Any:
        try:
            return ids.decode(self.prefix, super().to_internal_value(data))
        except ids.InvalidId as error:
            raise serializers.ValidationError(f"There is no {self.noun} with that id.") from error


class AgentChange(Strict):
    """What is sent is changed, the rest stays. `tools` replaces the agent's tools.

    An agent that names anybody as allowed is limited to them, and so are its threads; owners and admins see all. When
    the last one named is gone it stays limited until `limited: false` is sent.
    """

    name = Text(max_length=200)
    description = Text(required=False, allow_blank=True, max_length=10_000)
    provider = serializers.ChoiceField(choices=Agent.Provider.values, required=False)
    model = Text(required=False, allow_blank=True, max_length=200)
    instructions = Text(required=False, allow_blank=True, max_length=200_000)
    temperature = Real(required=False, allow_null=True, min_value=0, max_value=2)
    max_output_tokens = Whole(required=False, allow_null=True, min_value=1, max_value=BIGGEST)
    context_budget = Whole(required=False, min_value=256, max_value=BIGGEST)
    max_steps = Whole(required=False, min_value=1, max_value=64)
    max_seconds = Whole(required=False, min_value=1, max_value=3600)
    max_run_tokens = Whole(required=False, allow_null=True, min_value=1, max_value=MOST_TOKENS)
    max_run_cost = Money(required=False, allow_null=True)
    titles = Truth(required=False)
    double_texting = serializers.ChoiceField(choices=DoubleTexting.values, required=False)
    active = Truth(required=False)
    metadata = Metadata(required=False)
    allowed_origins = serializers.ListField(
        child=Text(max_length=MAX_LENGTH),
        required=False,
        max_length=MAX_ORIGINS,
        help_text="Of the web pages that may open chat sessions: scheme, host and port, exactly.",
    )
    identity_required = Truth(required=False)
    tools = serializers.ListField(child=IdField(Tool.PREFIX, "tool"), required=False, max_length=MAX_TOOLS)
    limited = Truth(required=False, help_text="Not sent: whether a list that changes names anybody.")
    allowed_roles = serializers.ListField(
        child=serializers.ChoiceField(choices=[role.value for role in Role]), required=False, max_length=len(Role)
    )
    allowed_users = serializers.ListField(child=IdField(User.PREFIX, "user"), required=False, max_length=MAX_ALLOWED)
    allowed_keys = serializers.ListField(
        child=IdField(ApiKey.PREFIX, "API key"), required=False, max_length=MAX_ALLOWED
    )


class NewAgent(AgentChange):
    """Only the name is required; the provider is `echo` where none is named."""
