from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "threadhub.console"
    label = "console"
