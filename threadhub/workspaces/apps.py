from django.apps import AppConfig


class WorkspacesConfig(AppConfig):
    name = "threadhub.workspaces"
    label = "workspaces"
