from typing import Any

from rest_framework import serializers

from threadhub.agents.models import Agent
from threadhub.api.rest.representations.fields import WireId, moment
from threads.models import Message, Thread


class HitRepresentation(serializers.Serializer[Any]):
    thread_id = WireId(Thread.PREFIX)
    agent_id = WireId(Agent.PREFIX)
    thread_title = serializers.CharField(read_only=True, allow_null=True)
    message_id = WireId(Message.PREFIX)
    position = serializers.IntegerField(read_only=True)
    role = serializers.ChoiceField(choices=Message.Role.values, read_only=True)
    created_at = moment()
    snippet = serializers.CharField(read_only=True, help_text="HTML: the text escaped, what matches in <mark>.")
