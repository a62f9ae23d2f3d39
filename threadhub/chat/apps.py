from django.apps import AppConfig


class ChatPageConfig(AppConfig):
    name = "threadhub.chat"
    label = "chat"
