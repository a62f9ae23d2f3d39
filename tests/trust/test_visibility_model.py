"""Threads of two workspaces against a small model of who sees what, compared for each actor after every step."""

import itertools
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.api.rest.conftest import open_session
from tests.conftest import Api, Tenant, access_token, make_tenant, make_user
from threadhub.workspaces import keys
from threadhub.workspaces.permissions import Role, Scope

TITLES = st.sampled_from(["plan", "Planets", "other", "ünïcode", "%_"])
REFS = st.sampled_from(["ref", "Ref", "a/b c"])
ACTORS = ("key", "owner", "member", "viewer", "read key", "session")
PLACES = st.tuples(st.integers(0, 1), st.sampled_from(ACTORS))
numbers = itertools.count()


@dataclass
class Said:
    id: str
    role: str
    text: str
    ratings: dict[str, int] = field(default_factory=dict)


@dataclass
class Known:
    """A thread as the model has it: `of` is the place whose own it is."""

    id: str
    workspace: int
    of: str
    title: str | None
    ref: str | None
    said: list[Said] = field(default_factory=list)


class Visibility(RuleBasedStateMachine):
    """The model, and the hub beside it."""

    threads: list[Known]

    @initialize()
    def two_workspaces(self) -> None:
        self.threads = []
        self.tenants = [make_tenant(f"tenant {next(numbers)}") for _ in range(2)]
        self.apis: dict[tuple[int, str], Api] = {}
        self.sessions: list[str] = []
        for at, tenant in enumerate(self.tenants):
            self._people(at, tenant)

    def _people(self, at: int, tenant: Tenant) -> None:
        session = open_session(Api(tenant.key), tenant, "ref")
        self.sessions.append(session["id"])
        self.threads.append(Known(session["thread_id"], at, "session", None, "ref"))
        reading = keys.create(workspace=tenant.workspace, user=tenant.owner, name="r", scopes=[Scope.READ])[1]
        tokens = {"key": tenant.key, "read key": reading, "owner": access_token(tenant.owner)}
        for role in (Role.MEMBER, Role.VIEWER):
            tokens[role.value] = access_token(make_user(f"{role} {next(numbers)}", tenant.workspace, role))
        for name, token in {**tokens, "session": session["chat_token"]}.items():
            self.apis[at, name] = Api(token)

    def seen(self, place: tuple[int, str]) -> list[Known]:
        """What the model lets this actor see, newest first."""
        at, name = place
        own = [thread for thread in self.threads if thread.workspace == at]
        match name:
            case "session":
                own = [thread for thread in own if thread.ref == "ref"]
            case "member" | "viewer":
                own = [thread for thread in own if thread.of == name]
        return own[::-1]

    def address(self, place: tuple[int, str], thread: Known) -> str:
        """Where this actor finds a thread; a visitor under their session."""
        at, name = place
        return (
            f"/chat_sessions/{self.sessions[at]}/threads/{thread.id}" if name == "session" else f"/threads/{thread.id}"
        )

    def expect(self, response: Any, place: tuple[int, str], thread: Known, allowed: set[str], done: int) -> bool:
        """Whether it was done; the answer is as the model says."""
        may = {done} if thread in self.seen(place) else {404}
        wanted = may if place[1] in allowed else {403, 404, 405}
        assert response.status_code in wanted, (place, thread, response.status_code, response.content)
        return response.status_code == done

    @rule(place=PLACES, title=TITLES, ref=REFS)
    def create(self, place: tuple[int, str], title: str, ref: str) -> None:
        at, name = place
        if name == "session":
            response = self.apis[place].post(f"/chat_sessions/{self.sessions[at]}/threads", {})
            title, ref = "", "ref"
        else:
            path = f"/agents/{self.tenants[at].agent.wire_id}/threads"
            response = self.apis[place].post(path, {"title": title, "external_ref": ref})
        if name in ("viewer", "read key"):
            assert response.status_code == 403
            return
        assert response.status_code == 200, response.content
        owner = {"key": "owner"}.get(name, name)
        self.threads.append(Known(response.json()["id"], at, owner, title or None, ref))

    @rule(at=st.integers(0, 1), name=st.sampled_from(["key", "owner", "member"]), ref=REFS)
    def by_ref(self, at: int, name: str, ref: str) -> None:
        place = (at, name)
        path = f"/agents/{self.tenants[at].agent.wire_id}/threads/by-ref/{quote(ref, safe='')}"
        response = self.apis[place].put(path, {}, content_type="application/json")
        there = [thread for thread in self.seen(place) if thread.ref == ref]
        if there:
            assert (response.status_code, response.json()["id"]) == (200, there[0].id)
        else:
            assert response.status_code == 201, response.content
            self.threads.append(Known(response.json()["id"], at, {"key": "owner"}.get(name, name), None, ref))

    @rule(place=PLACES, pick=st.integers(0, 50), title=TITLES)
    def rename(self, place: tuple[int, str], pick: int, title: str) -> None:
        thread = self.threads[pick % len(self.threads)] if self.threads else None
        if thread is None:
            return
        path = f"/threads/{thread.id}"
        response = self.apis[place].patch(path, {"title": title}, content_type="application/json")
        if self.expect(response, place, thread, {"key", "owner", "member"}, 200):
            thread.title = title

    @precondition(lambda self: self.threads)
    @rule(place=PLACES, pick=st.integers(0, 50))
    def delete(self, place: tuple[int, str], pick: int) -> None:
        thread = self.threads[pick % len(self.threads)]
        response = self.apis[place].delete(self.address(place, thread))
        if self.expect(response, place, thread, {"key", "owner", "member", "session"}, 200):
            self.threads.remove(thread)

    @precondition(lambda self: self.threads)
    @rule(place=PLACES, pick=st.integers(0, 50), role=st.sampled_from(["user", "assistant"]), text=TITLES)
    def append(self, place: tuple[int, str], pick: int, role: str, text: str) -> None:
        thread = self.threads[pick % len(self.threads)]
        response = self.apis[place].post(f"{self.address(place, thread)}/messages", {"role": role, "content": text})
        if self.expect(response, place, thread, {"key", "owner"}, 201):
            thread.said.append(Said(response.json()["id"], role, text))

    @precondition(lambda self: any(thread.said for thread in self.threads))
    @rule(place=PLACES, pick=st.integers(0, 50))
    def delete_message(self, place: tuple[int, str], pick: int) -> None:
        thread, said = self.message(pick)
        response = self.apis[place].delete(f"{self.address(place, thread)}/messages/{said.id}")
        if self.expect(response, place, thread, {"key", "owner"}, 200):
            thread.said.remove(said)

    @precondition(lambda self: any(thread.said for thread in self.threads))
    @rule(place=PLACES, pick=st.integers(0, 50), rating=st.sampled_from([-1, 1]))
    def rate(self, place: tuple[int, str], pick: int, rating: int) -> None:
        thread, said = self.message(pick)
        path = f"{self.address(place, thread)}/messages/{said.id}/feedback"
        response = self.apis[place].put(path, {"rating": rating}, content_type="application/json")
        if said.role == "assistant":
            if self.expect(response, place, thread, {"key", "owner", "member", "session"}, 200):
                said.ratings[place[1]] = rating
        else:
            assert response.status_code in (403, 404, 422)

    def message(self, pick: int) -> tuple[Known, Said]:
        there = [(thread, said) for thread in self.threads for said in thread.said]
        return there[pick % len(there)]

    @precondition(lambda self: self.threads)
    @rule(place=PLACES, title=TITLES, ref=REFS)
    def filter(self, place: tuple[int, str], title: str, ref: str) -> None:
        if place[1] == "session":
            return
        seen = self.seen(place)
        for query, wanted in (
            ({"title": title}, [each for each in seen if title.upper() in (each.title or "").upper()]),
            ({"externalRef": ref}, [each for each in seen if each.ref == ref]),
            ({"agentId": self.tenants[1 - place[0]].agent.wire_id}, []),
        ):
            rows = self.apis[place].get("/threads", query).json()["data"]
            assert [row["id"] for row in rows] == [each.id for each in wanted], (place, query)

    @invariant()
    def everybody_sees_what_is_theirs(self) -> None:
        for place, api in self.apis.items():
            at, name = place
            if name == "session":
                rows = api.get(f"/chat_sessions/{self.sessions[at]}/threads").json()
            else:
                rows = api.get("/threads").json()["data"]
            told = [(row["id"], row["title"], [said["content"] for said in row["messages"]]) for row in rows]
            seen = self.seen(place)
            assert told == [(each.id, each.title, [said.text for said in each.said]) for each in seen], place

    @precondition(lambda self: any(thread.said for thread in self.threads))
    @invariant()
    def opinions_are_ones_own(self) -> None:
        thread, said = self.message(len(self.threads))
        for place, api in self.apis.items():
            response = api.get(f"{self.address(place, thread)}/messages/{said.id}/feedback")
            rating = said.ratings.get(place[1]) if thread in self.seen(place) else None
            assert response.status_code == (200 if rating else 404), (place, response.content)
            assert not rating or response.json()["rating"] == rating


def test_every_actor_sees_what_the_model_says(db: None, request: pytest.FixtureRequest) -> None:
    thorough = request.config.getoption("--thorough")
    run_state_machine_as_test(
        Visibility,
        settings=settings(
            max_examples=100 if thorough else 8,
            stateful_step_count=30 if thorough else 15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
