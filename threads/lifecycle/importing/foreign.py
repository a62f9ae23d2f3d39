"""What other services export, as records of ours: ChatGPT's `conversations.json`, and threads with their messages as
OpenAI's Assistants API returned them. Ids are made of theirs, so that the same file gives the same threads."""

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from threadhub.lib import json
from threads.lifecycle.bundles.records import timestamp
from threads.lifecycle.importing.chatgpt_tree import Tree, arrange
from threads.lifecycle.importing.refusal import ImportRefused

NAMESPACE = UUID("6f0f3f5c-6a6e-5a0e-9f0b-3d6b6e0a7c11")
LATEST = 4_102_444_800  # 2100: a time beyond is none
ROLES = ("user", "assistant", "system", "tool")
Records = list[dict[str, Any]]


def read(data: Any, *, workspace_id: UUID, agent_id: UUID) -> Iterator[tuple[UUID, Records]]:
    """The threads of a parsed file, whichever service it is of. Raises ImportRefused."""
    items = data if isinstance(data, list) else [data]
    if not all(isinstance(each, dict) for each in items):
        raise ImportRefused("The file is no export that this version knows.")
    for item in items:
        maker = Maker(workspace_id, agent_id)
        try:
            if "mapping" in item:
                yield maker.chatgpt(item)
            elif "messages" in item:
                yield maker.assistants(item)
            elif isinstance(item.get("threads"), list):
                yield from read(item["threads"], workspace_id=workspace_id, agent_id=agent_id)
            else:
                raise ImportRefused("The file is no export that this version knows.")
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise ImportRefused(f"The export is not of the form that it should have: {error!r}.") from error


class Maker:
    """Makes the records of one thread."""

    def __init__(self, workspace_id: UUID, agent_id: UUID) -> None:
        self.workspace_id, self.agent_id = workspace_id, agent_id
        self.thread_id = UUID(int=0)

    def chatgpt(self, item: Mapping[str, Any]) -> tuple[UUID, Records]:
        """A conversation of ChatGPT, with its branches."""
        theirs = _text(item.get("conversation_id") or item["id"])
        self.thread_id = self._id("chatgpt", theirs)
        created = _moment(item.get("create_time"), None)
        tree = arrange(item["mapping"], item.get("current_node"), speaks=_speaks)
        found = [self._of_chatgpt(node, at, created) for at, node in enumerate(tree.nodes, start=1)]
        about = {"imported_from": "chatgpt", "conversation_id": theirs}
        title = item.get("title")
        return self.thread_id, [
            self._thread(None if title is None else _text(title), created, found, about, tree),
            *found,
            *self._branches(tree, created),
        ]

    def assistants(self, item: Mapping[str, Any]) -> tuple[UUID, Records]:
        """A thread of the Assistants API with its messages, in whichever order they were listed."""
        thread = item.get("thread", item)
        theirs = _text(thread["id"])
        self.thread_id = self._id("assistants", theirs)
        listed = item["messages"]
        if isinstance(listed, dict):
            if listed.get("has_more"):
                raise ImportRefused(f"The list of messages of {theirs} is not whole: it says that there are more.")
            listed = listed["data"]
        created = _moment(thread.get("created_at"), None)
        if len(listed) > 1 and listed[0]["created_at"] >= listed[-1]["created_at"]:
            listed = listed[::-1]  # as the API lists them unless it is asked otherwise: newest first
        found = [self._of_assistants(each, at, created) for at, each in enumerate(listed, start=1)]
        about = {"imported_from": "assistants", "thread_id": theirs, **(thread.get("metadata") or {})}
        return self.thread_id, [self._thread(None, created, found, about, None), *found]

    def _of_chatgpt(self, node: Mapping[str, Any], position: int, created: datetime) -> dict[str, Any]:
        message = node["message"]
        content = message["content"]
        theirs = {"id": _text(node["id"]), "content_type": content.get("content_type")}
        others = [part for part in content.get("parts") or [] if not isinstance(part, str)]
        if others:
            theirs["parts"] = others
        if message.get("recipient") not in (None, "all"):
            theirs["recipient"] = message["recipient"]
        return self._message(
            theirs["id"],
            position,
            role=message["author"]["role"],
            name=message["author"].get("name"),
            content=_words(content),
            at=_moment(message.get("create_time"), created),
            extra={"chatgpt": theirs},
        )

    def _of_assistants(self, message: Mapping[str, Any], position: int, created: datetime) -> dict[str, Any]:
        parts = message["content"]
        texts = [part["text"]["value"] for part in parts if part["type"] == "text"]
        others = [part for part in parts if part["type"] != "text"]
        theirs: dict[str, Any] = {"id": _text(message["id"])}
        kept = {"parts": others, "attachments": message.get("attachments"), "metadata": message.get("metadata")}
        theirs |= {name: value for name, value in kept.items() if value}
        return self._message(
            theirs["id"],
            position,
            role=message["role"],
            name=None,
            content="\n".join(_text(text) for text in texts),
            at=_moment(message.get("created_at"), created),
            extra={"assistants": theirs},
        )

    def _message(
        self, theirs: str, position: int, *, role: str, name: Any, content: str, at: datetime, extra: dict[str, Any]
    ) -> dict[str, Any]:
        if role not in ROLES:
            raise ImportRefused(f"A message is of the unknown role {role!r}.")
        return {
            "type": "message",
            "id": str(uuid5(self.thread_id, f"message:{theirs}")),
            "workspace_id": str(self.workspace_id),
            "thread_id": str(self.thread_id),
            "position": position,
            "role": role,
            "name": None if name is None else _text(name),
            "content": content,
            "extra": extra,
            "created_at": timestamp(at),
            "updated_at": timestamp(at),
        }

    def _thread(
        self, title: str | None, created: datetime, found: Records, about: dict[str, Any], tree: Tree | None
    ) -> dict[str, Any]:
        forked = tree is not None and len(tree.branches) > 1
        last = max((message["created_at"] for message in found), default=None)
        return {
            "type": "thread",
            "id": str(self.thread_id),
            "workspace_id": str(self.workspace_id),
            "agent_id": str(self.agent_id),
            "title": title,
            "title_source": None if title is None else "person",
            "metadata": about,
            "branch": tree.branches[-1].number if forked and tree else 1,
            "path": str(tree.branches[-1].path) if forked and tree else None,
            "message_count": tree.branches[-1].count if forked and tree else len(found),
            "last_position": len(found),
            "created_at": timestamp(created),
            "updated_at": last or timestamp(created),
            "last_activity_at": last,
        }

    def _branches(self, tree: Tree, created: datetime) -> Records:
        if len(tree.branches) < 2:
            return []
        return [
            {
                "type": "branch",
                "id": str(uuid5(self.thread_id, f"branch:{branch.number}")),
                "workspace_id": str(self.workspace_id),
                "thread_id": str(self.thread_id),
                "number": branch.number,
                "parent": branch.parent,
                "from_position": branch.from_position,
                "path": str(branch.path),
                "message_count": branch.count,
                "created_at": timestamp(created),
            }
            for branch in tree.branches
        ]

    def _id(self, service: str, theirs: str) -> UUID:
        return uuid5(NAMESPACE, f"{self.workspace_id}:{service}:{theirs}")


def _speaks(node: Mapping[str, Any]) -> bool:
    """Whether a node says something: roots and hidden instructions are empty."""
    message = node.get("message")
    if not message:
        return False
    return bool(
        _words(message["content"]) or any(not isinstance(part, str) for part in message["content"].get("parts") or [])
    )


def _words(content: Mapping[str, Any]) -> str:
    if isinstance(content.get("parts"), list):
        return "\n".join(_text(part) for part in content["parts"] if isinstance(part, str))
    for name in ("text", "result", "content"):
        if isinstance(content.get(name), str):
            return _text(content[name])
    rest = {name: value for name, value in content.items() if name != "content_type"}
    return json.dumps(rest).decode() if rest else ""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ImportRefused("A text of the export is none.")
    return value


def _moment(value: Any, otherwise: datetime | None) -> datetime:
    """Seconds since 1970; what has no time has that of its thread. Raises ImportRefused."""
    if value is None and otherwise is not None:
        return otherwise
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ImportRefused("A time of the export is none.")
    if not 0 <= value < LATEST:
        raise ImportRefused("A time of the export is out of range.")
    return datetime.fromtimestamp(value, UTC)
