from django.apps import AppConfig
from django.contrib.admin import apps as admin


class ConsoleConfig(AppConfig):
    name = "threadhub.console"
    label = "console"


class ConsoleSiteConfig(admin.AdminConfig):
    """Django's admin with our site. It stands in INSTALLED_APPS in the place of `django.contrib.admin`."""

    default = False
    default_site = "threadhub.console.site.ConsoleSite"
