from django.apps import AppConfig


class ChatSessionsConfig(AppConfig):
    name = "chat_sessions"
