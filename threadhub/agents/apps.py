from django.apps import AppConfig


class AgentsConfig(AppConfig):
    name = "threadhub.agents"
    label = "agents"
