from django.apps import AppConfig


class LimitsConfig(AppConfig):
    name = "threadhub.limits"
    label = "limits"
