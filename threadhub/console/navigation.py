"""The menu at the side: what staff do all day first. An entry shows to who may see its list."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse

# title of the group: (title, model and maybe its filter, icon of Material Symbols)
MENU: dict[str, tuple[tuple[str, str, str], ...]] = {
    "Conversations": (
        ("Threads", "threads.Thread", "forum"),
        ("Runs", "threads.Run", "bolt"),
        ("Approvals", "threads.ToolApproval", "approval"),
        ("Chat sessions", "chat_sessions.ChatSession", "support_agent"),
        ("Canned answers", "threads.CannedAnswer", "quickreply"),
    ),
    "Agents": (
        ("Agents", "agents.Agent", "smart_toy"),
        ("Tools", "agents.Tool", "construction"),
    ),
    "Retention": (
        ("Workspaces", "threads.RetentionSettings", "event_repeat"),
        ("Policies", "threads.RetentionPolicy", "auto_delete"),
        ("System policies", "threads.SystemPolicy", "public"),
        ("Holds", "threads.Hold", "gavel"),
        ("Trash", "threads.Thread?state=trashed", "delete"),
        ("Bundles", "threads.Bundle", "inventory_2"),
        ("Sweeps", "threads.Sweep", "cleaning_services"),
        ("Asked for", "threads.RetentionJob", "pending_actions"),
        ("Tombstones", "threads.Tombstone", "receipt_long"),
        ("Erasures", "threads.Erasure", "person_remove"),
        ("Exports", "threads.Export", "download"),
    ),
    "Access": (
        ("Workspaces", "workspaces.Workspace", "domain"),
        ("Memberships", "workspaces.Membership", "badge"),
        ("API keys", "workspaces.ApiKey", "key"),
    ),
    "Oversight": (
        ("Audit trail", "audit.AuditEvent", "policy"),
        ("Access alerts", "audit.AccessAlert", "notification_important"),
    ),
    "System": (
        ("Users", "workspaces.User", "group"),
        ("Jobs", "procrastinate.ProcrastinateJob", "schedule"),
    ),
}


def groups(request: HttpRequest) -> list[dict[str, Any]]:
    """The menu in unfold's form."""
    overview = {"title": "Overview", "icon": "space_dashboard", "link": reverse("admin:index")}
    return [
        {"title": None, "items": [overview]},
        *({"title": title, "items": [_item(*entry) for entry in entries]} for title, entries in MENU.items()),
    ]


def _item(title: str, model: str, icon: str) -> dict[str, Any]:
    model, _, chosen = model.partition("?")
    label = model.lower().replace(".", "_")
    allowed: Callable[[HttpRequest], bool] = partial(_may_see, model)
    link = reverse(f"admin:{label}_changelist") + (f"?{chosen}" if chosen else "")
    item = {"title": title, "icon": icon, "link": link, "permission": allowed}
    return {**item, "active": partial(_is_here, link)} if model == "threads.Thread" else item


def _is_here(link: str, request: HttpRequest) -> bool:
    """Of the entries that are one list with a filter or without it: which one the page is."""
    path, _, chosen = link.partition("?")
    trash = request.GET.get("state") == "trashed"
    return request.path.startswith(path) and trash == bool(chosen)


def _may_see(model: str, request: HttpRequest) -> bool:
    return admin.site.get_model_admin(apps.get_model(model)).has_view_permission(request)
