"""Staff of one workspace who ask for what another has: all of its ids and words, and a client that notices any."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.messages import get_messages
from django.db import transaction
from django.db.models import Model
from django.test import Client

from tests.conftest import make_user
from tests.console.conftest import signed_in
from tests.trust.fingerprint import fingerprint
from threadhub.lib import ids
from threadhub.workspaces import end_users
from threadhub.workspaces.models import User, Workspace
from threadhub.workspaces.permissions import Role
from threads.models import SystemPolicy

WORDS = "qzxforeign"  # in every text of the other workspace
ANY_NAME = re.compile(rf"\b[a-z]+_[0-9a-hjkmnp-tv-z]{{26}}\b|[0-9a-f]{{8}}(?:-[0-9a-f]{{4,12}}){{4}}|{WORDS}")
LIST = re.compile(r"^/admin/(\w+/\w+/)?$")
NOT_THERE = re.compile(r"There is no such|shown once")


def staff_of(workspace: Workspace, role: str) -> User:
    """robin, who is staff and has this role."""
    robin = make_user("robin", workspace, Role(role))
    User.objects.filter(pk=robin.pk).update(is_staff=True)
    robin.refresh_from_db()
    return robin


def named(workspace: Workspace) -> set[str]:
    """Every id of the workspace's rows, as keys and as clients spell them."""
    found = {str(workspace.pk), workspace.wire_id}
    for model in _of_workspaces():
        keys: Any = model._base_manager.filter(workspace_id=workspace.pk).values_list("pk", flat=True)
        for pk in keys:
            if isinstance(pk, UUID):
                prefix = getattr(model, "PREFIX", "")
                found |= {str(pk), *([ids.encode(prefix, pk)] if prefix else [])}
    return found


def _of_workspaces() -> Iterator[type[Model]]:
    for model in apps.get_models():
        if any(each.attname == "workspace_id" for each in model._meta.concrete_fields):
            yield model


@dataclass
class Prying:
    """Somebody's requests, and what they found out and changed of a workspace.

    `get` and `post` are a client's: each is made by them, and taken back; then by a superuser, whose answer comes back.
    So whoever tries a deed step by step goes on, and sees that the request was a good one.
    """

    client: Client
    root: Client
    workspace: Workspace  # what is looked at
    names: set[str] = field(default_factory=set)  # of which none may show but where it was sent
    answers: list[Any] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def get(self, address: str, data: Any = None) -> Any:
        self.ask("GET", address, data)
        return self.root.get(address, data)

    def post(self, address: str, data: Any = None) -> Any:
        self.ask("POST", address, data)
        return self.root.post(address, data)

    def ask(self, method: str, address: str, data: Any = None) -> Any:
        """Their answer. What it changed is noticed, and taken back."""
        what, before = f"{method} {address}", self._rows() if method == "POST" else None
        with transaction.atomic():
            answer = self.client.get(address, data) if method == "GET" else self.client.post(address, data)
            content = _read(answer)
            if before is not None and self._rows() != before:
                self.changed.append(what)
            transaction.set_rollback(True)
        self.answers.append(answer)
        if answer.status_code >= 500:
            self.faults.append(f"{what} fails")
        self._look(what, f"{address} {data}", f"{content.decode(errors='replace')} {answer.headers} {said(answer)}")
        self.client.cookies.pop("messages", None)  # no page was opened that shows them
        return answer

    def _rows(self) -> tuple[frozenset[tuple[str, int]], tuple[int, ...]]:
        accounts = User.objects.exclude(username__startswith=end_users.MADE)
        return fingerprint(self.workspace.pk), tuple(
            each.count() for each in (accounts, Workspace.objects, SystemPolicy.objects)
        )

    def _look(self, what: str, sent: str, told: str) -> None:
        shown = set(ANY_NAME.findall(told)) & self.names
        self.faults += [f"{what} shows {name}" for name in shown if name not in sent]


def _read(answer: Any) -> bytes:
    """What it holds, a file too; nothing of a stream, which goes on after the request."""
    if answer.streaming:
        return b"" if answer.is_async else b"".join(answer.streaming_content)
    content: bytes = answer.content
    return content


def said(answer: Any) -> list[str]:
    """The messages that the next page begins with."""
    return [str(each) for each in get_messages(answer.wsgi_request)]


def refused(answer: Any) -> bool:
    """Whether it was: by a page that says so, or by the way to a list that does."""
    if answer.status_code == 302:
        return LIST.search(answer["Location"]) is not None and any(NOT_THERE.search(each) for each in said(answer))
    return answer.status_code in (403, 404)


class Fields(HTMLParser):
    """What a page's forms can send: name → what a browser would, as nothing is typed; `choices` of those that have."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.sent: dict[str, list[str]] = {}
        self.choices: dict[str, set[str]] = {}
        self.free: set[str] = set()
        self.within = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name = given.get("name", "")
        if tag in ("select", "textarea") and name:
            self.within = name
            self.sent.setdefault(name, [])
            if tag == "select":
                self.choices.setdefault(name, set())
            else:
                self.free.add(name)
        elif tag == "option" and self.within:
            self.choices[self.within].add(given.get("value", ""))
            if "selected" in given:
                self.sent[self.within].append(given.get("value", ""))
        elif tag == "input" and name:
            self._input(name, given)

    def _input(self, name: str, given: dict[str, str]) -> None:
        kind = given.get("type", "text")
        if kind in ("checkbox", "radio"):
            self.choices.setdefault(name, set()).add(given.get("value", "on"))
            if "checked" not in given:
                return
        elif kind in ("text", "search", "hidden"):
            self.free.add(name)
        if kind not in ("submit", "button", "file"):
            self.sent.setdefault(name, []).append(given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("select", "textarea"):
            self.within = ""

    def handle_data(self, data: str) -> None:
        if self.within and self.within in self.free:
            self.sent[self.within].append(data)


def spellings(wire_id: str) -> set[str]:
    """The id as clients spell it, and the key."""
    prefix = wire_id.rpartition("_")[0]
    return {wire_id, str(ids.decode(prefix, wire_id))} if prefix else {wire_id}


def staff_client(workspace: Workspace, role: str) -> Client:
    return signed_in(staff_of(workspace, role))
