from django.apps import AppConfig


class ThreadhubConfig(AppConfig):
    name = "threadhub"
