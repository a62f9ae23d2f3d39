from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "threadhub.audit"
    label = "audit"
