"""Unfold's settings: our name, colours and marks, and the menu at the side."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static

INDIGO = {
    "50": "#eef2ff",
    "100": "#e0e7ff",
    "200": "#c7d2fe",
    "300": "#a5b4fc",
    "400": "#818cf8",
    "500": "#6366f1",
    "600": "#4f46e5",
    "700": "#4338ca",
    "800": "#3730a3",
    "900": "#312e81",
    "950": "#1e1b4b",
}


def logo(request: HttpRequest) -> str:
    return static("console/logo.svg")


def style(request: HttpRequest) -> str:
    return static("console/console.css")


def conversations_style(request: HttpRequest) -> str:
    return static("console/conversations.css")


def script(request: HttpRequest) -> str:
    return static("console/console.js")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "threadhub",
    "SITE_HEADER": "threadhub",
    "SITE_SUBHEADER": "Staff console",
    "SITE_URL": None,
    "SITE_ICON": logo,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "sizes": "any", "href": logo}],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "8px",
    "COLORS": {"primary": INDIGO},
    "STYLES": [style, conversations_style],
    "SCRIPTS": [script],
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": "threadhub.console.navigation.groups",
    },
}
