"""No column is writable that its route does not document: each is sent along, refused in rest, ignored in ai, and never
stored. Routes come from the served OpenAPI, columns from the models."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import models, transaction

from tests.conftest import Api, access_token
from tests.trust import bodies, samples
from tests.trust.fingerprint import fingerprint
from tests.trust.matrix import fill
from tests.trust.operations import Operation, let_go, operations
from tests.trust.world import World, build
from threadhub.lib import json

ROOMS = ("agents", "audit", "chat_sessions", "threads", "workspaces")
PLANTED = "planted-by-a-client"
AT_ONCE = 4
# What a client must not decide: each is tried by name, all other columns together.
OF_THE_SERVER = (
    "id", "workspace", "workspace_id", "user", "user_id", "role", "position", "state", "status", "created_at",
    "updated_at", "message_count", "digest", "kind", "agent_id", "chat_session_id",
)  # fmt: skip
WRITES = [operation for operation in operations() if operation.method in ("POST", "PUT", "PATCH")]


@pytest.fixture
def world(db: None, nobody_waits_for_runs: None) -> World:
    return build()


@pytest.fixture
def owner(world: World) -> Api:
    """Nobody has more leave."""
    return Api(access_token(world.victim.tenant.owner))


def columns() -> set[str]:
    """Every column of every model by its names, in the spelling of either dialect."""
    fields = [
        field for room in ROOMS for model in apps.get_app_config(room).get_models() for field in model._meta.fields
    ]
    names = {name for field in fields if isinstance(field, models.Field) for name in (field.name, field.attname)}
    return names | {re.sub("_(.)", lambda letter: letter[1].upper(), name) for name in names}


def asked(world: World, owner: Api, operation: Operation, extra: dict[str, Any]) -> Any:
    """The victim's owner asks, about what is theirs."""
    named = world.victim.named
    address = fill(operation.path, {name: named[noun] for name, noun in samples.in_path(operation).items()})
    nouns = samples.elsewhere(operation, tuple(bodies.needed(operation)))
    own = {name: [named[noun]] if name in samples.LISTS else named[noun] for name, noun in nouns.items()}
    body = {**(bodies.body_of(operation) or {}), **own, **extra}
    return let_go(owner.generic(operation.method, address, json.dumps(body)))


def undocumented(operation: Operation) -> dict[str, str]:
    return dict.fromkeys(sorted(columns() - set(bodies.properties(operation))), PLANTED)


def some_at_a_time(names: list[str]) -> Iterator[list[str]]:
    for first in range(0, len(names), AT_ONCE):
        yield names[first : first + AT_ONCE]


def unknown(response: Any) -> set[str]:
    """Which fields the answer refuses by name; none where it is anything but a refusal."""
    rows = response.json().get("errors", []) if response.status_code == 422 else []
    return {row["loc"][-1] for row in rows if row["type"] == "unknown_field"}


def test_there_are_columns_and_routes_to_try() -> None:
    assert {"workspace", "workspace_id", "user_id", "role", "id", "position", "state", "createdAt"} <= columns()
    assert len(WRITES) > 40


def test_rest_refuses_every_undocumented_column_by_its_name(world: World, owner: Api) -> None:
    workspace = world.victim.tenant.workspace.pk
    findings = []
    for operation in WRITES:
        if operation.ai:
            continue
        with transaction.atomic():
            before = fingerprint(workspace)
            extra = undocumented(operation)
            told = unknown(asked(world, owner, operation, extra))
            if not told or not told <= extra.keys():  # an error names as many faults as it has room for
                findings.append(f"{operation} names {told}")
            for names in some_at_a_time([name for name in OF_THE_SERVER if name in extra]):
                told = unknown(asked(world, owner, operation, dict.fromkeys(names, PLANTED)))
                if told != set(names):
                    findings.append(f"{operation} names {told} of {names}")
            if fingerprint(workspace) != before:
                findings.append(f"{operation} changed something")
            transaction.set_rollback(True)
    assert not findings, "\n".join(findings)


def test_ai_ignores_what_it_does_not_document(world: World, owner: Api) -> None:
    findings = []
    for operation in WRITES:
        if operation.ai:
            statuses = []
            for extra in ({}, undocumented(operation)):
                with transaction.atomic():
                    statuses.append(asked(world, owner, operation, extra).status_code)
                    if extra and PLANTED in stored():
                        findings.append(f"{operation} stored it")
                    transaction.set_rollback(True)
            if statuses[0] != statuses[1]:
                findings.append(f"{operation}: {statuses[1]} instead of {statuses[0]}")
    assert not findings, "\n".join(findings)


def stored() -> str:
    """All rows of all rooms, the audit trail's too."""
    found = [model for room in ROOMS for model in apps.get_app_config(room).get_models()]
    return "".join(str(list(model._default_manager.values_list())) for model in found)
