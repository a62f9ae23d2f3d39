"""Everything foreign, everywhere it could stand, by one caller: what that finds out, and what it changes.

Each request is made twice: with an id of the victim, and with one that nothing ever had. The answers must be equal but
for the id itself. What succeeds (in the caller's own workspace) is taken back, so that no request sees another's work.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from django.db import connection, transaction

from tests.trust import bodies, samples
from tests.trust.fingerprint import fingerprint
from tests.trust.operations import Operation, let_go
from tests.trust.world import CANARY, Caller, World
from threadhub.lib import ids, json

ANY_ID = re.compile(rb"\b[a-z]+_[0-9a-hjkmnp-tv-z]{26}\b")
ANY_TIME = re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]+Z")
ANY_SECRET = re.compile(rb"\bth[a-z]*_\w+|ey[\w-]+\.[\w-]+\.[\w-]+")
REQUEST_ID = re.compile(rb'"(request_id|requestId)": ?"[^"]*"')
HEADERS = ("Allow", "Content-Type", "ETag", "Location", "Idempotent-Replayed", "Link")
PREFIXES = {"api_key": "key", "attachment": "file", "message": "msg", "chat_session": "session"}
Rows = frozenset[tuple[str, int]]
USED_KEY = "used-by-the-victim"


@dataclass(frozen=True)
class Attempt:
    """One request: `slot` says where the foreign thing stands."""

    operation: Operation
    slot: str
    path: str
    query: dict[str, str]
    body: dict[str, Any] | None
    headers: dict[str, str]

    def __str__(self) -> str:
        return f"{self.operation} with a foreign {self.slot}"


def absent(noun: str) -> str:
    """How something of this kind would be named that is not there."""
    match noun:
        case "external_ref" | "tool_call" | "chat_token" | "refresh_token" | "invitation_token":
            return f"nothing-{ids.new().hex}"
        case "branch":
            return "1"
    return ids.encode(PREFIXES.get(noun, noun), ids.new())


class Matrix:
    """One caller before the operations of the document."""

    def __init__(self, world: World, caller: Caller) -> None:
        self.world, self.caller = world, caller
        self.theirs = world.victim.named
        self.nothing = {noun: absent(noun) for noun in self.theirs}
        self.own = {noun: caller.own.get(noun, self.nothing[noun]) for noun in self.theirs}
        self.statuses: dict[str, set[int]] = {}

    def findings(self, operation: Operation) -> list[str]:
        """What is wrong with this operation, a sentence each."""
        found: list[str] = []
        with transaction.atomic():
            before = self._victims_rows()
            for attempt, control in self._attempts(operation):
                found += [
                    f"{self.caller.name}: {attempt}: {fault}" for fault in self._compare(attempt, control, before)
                ]
            if self._victims_rows() != before:
                found.append(f"{self.caller.name}: {operation} changed something of the victim")
            transaction.set_rollback(True)
        return found

    def _victims_rows(self) -> Rows:
        return fingerprint(self.world.victim.tenant.workspace.pk)

    def _unchanged(self, before: Rows) -> bool:
        """Whether all is as it was. Who is at home with the victim may have made something of their own."""
        now = self._victims_rows()
        return before <= now if "workspace" not in self.caller.foreign else before == now

    def _compare(self, attempt: Attempt, control: Attempt, before: Rows) -> Iterator[str]:
        foreign, nothing = self._ask(attempt, before), self._ask(control, before)
        self.statuses.setdefault(str(attempt), set()).add(foreign[0])
        if foreign[3]:
            yield foreign[3]
        if foreign[:2] != nothing[:2]:
            yield f"{foreign[:2]} is not what absence has: {nothing[:2]}"
        for leaked in self._leaks(attempt, foreign[2]):
            yield f"shows {leaked}: {foreign[2][:300]!r}"

    def _ask(self, attempt: Attempt, before: Rows) -> tuple[int, Any, bytes, str]:
        """Status, answer without what may differ, answer, and what it changed of the victim's."""
        address = f"{attempt.path}?{urlencode(attempt.query)}" if attempt.query else attempt.path
        data = b"" if attempt.body is None else json.dumps(attempt.body)
        change = ""
        with transaction.atomic():
            response = let_go(self.caller.api.generic(attempt.operation.method, address, data, headers=attempt.headers))
            if response.status_code < 400:
                content = b"" if response.streaming else response.content
                if attempt.operation.method != "GET" and not self._unchanged(before):
                    change = "changed something of the victim"
                transaction.set_rollback(True)
            else:
                content = response.content
        headers = {name: self._neutral(response[name].encode(), attempt) for name in HEADERS if name in response}
        return response.status_code, (self._neutral(content, attempt), headers), content, change

    def _neutral(self, content: bytes, attempt: Attempt) -> bytes:
        """The answer without what was sent, and without what differs from one request to the next."""
        content = REQUEST_ID.sub(b"", content)
        for noun in ("external_ref", "tool_call"):
            for named in (self.theirs[noun], self.nothing[noun]):
                content = content.replace(named.encode(), noun.encode())
        for pattern in (ANY_SECRET, ANY_ID, ANY_TIME):
            content = pattern.sub(b"?", content)
        return content

    def _leaks(self, attempt: Attempt, content: bytes) -> Iterator[str]:
        """What stands in the answer that the caller did not send, of what is the victim's alone."""
        sent = f"{attempt.path}{attempt.query}{attempt.body}"
        hidden = {noun: name for noun, name in self.theirs.items() if noun in self.caller.foreign and noun != "branch"}
        yield from (noun for noun, name in hidden.items() if name not in sent and name.encode() in content)
        if "agent" in hidden and CANARY.encode() in content and CANARY not in sent:
            yield "words"

    def _attempts(self, operation: Operation) -> Iterator[tuple[Attempt, Attempt]]:
        """Pairs: with the victim's, and with what is not there."""
        in_path = samples.in_path(operation)
        if operation.method == "GET":
            yield self._pair(operation, "nothing")  # with their own alone: nobody else's shows
        ids_in_path = [name for name, noun in in_path.items() if noun in self.caller.foreign - {"branch"}]
        choices = {frozenset(ids_in_path), *(frozenset({name}) for name in ids_in_path)} - {frozenset()}
        for names in sorted(choices, key=sorted):
            yield self._pair(operation, " and ".join(sorted(names)), path=names)
            if operation.method == "POST" and len(names) == len(ids_in_path):
                foreign, nothing = self._pair(operation, "path and Idempotency-Key", path=names)
                headers = {"Idempotency-Key": USED_KEY}
                yield replace(foreign, headers=headers), replace(nothing, headers=headers)
        for name, noun in samples.elsewhere(operation, operation.query).items():
            if noun in self.caller.foreign:
                yield self._pair(operation, f"{name} in the query", query={name: noun})
        for name, noun in samples.elsewhere(operation, tuple(bodies.properties(operation))).items():
            if noun in self.caller.foreign:
                yield self._pair(operation, f"{name} in the body", body={name: noun})

    def _pair(
        self,
        operation: Operation,
        slot: str,
        *,
        path: frozenset[str] = frozenset(),
        query: dict[str, str] | None = None,
        body: dict[str, str] | None = None,
    ) -> tuple[Attempt, Attempt]:
        pair = []
        for named in (self.theirs, self.nothing):
            ids_of = {
                name: (named if name in path else self.own)[noun] for name, noun in samples.in_path(operation).items()
            }
            sent = bodies.body_of(operation)
            for name, noun in (body or {}).items():
                sent = {**(sent or {}), name: [named[noun]] if name in samples.LISTS else named[noun]}
            asked = {name: named[noun] for name, noun in (query or {}).items()}
            pair.append(Attempt(operation, slot, fill(operation.path, ids_of), asked, sent, {}))
        return pair[0], pair[1]


def fill(path: str, named: dict[str, str]) -> str:
    """The path with its parameters in place."""
    return path.format(**{name: quote(each, safe="") for name, each in named.items()})


def wall_off() -> None:
    """Row-level security away, until the transaction is taken back: what is left is what the queries ask for."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SELECT oid::regclass::text FROM pg_class WHERE relrowsecurity ORDER BY oid")
        for (table,) in cursor.fetchall():
            cursor.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
