from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "threadhub.api"
    label = "api"
