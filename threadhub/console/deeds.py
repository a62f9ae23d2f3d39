"""What staff can do to an object besides editing it: each asks first, then calls the domain."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission


def always(thing: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Deed:
    """A domain action with a confirmation page before it.

    `do(actor=, thing=, now=)` calls the domain; `question` and `done` are sentences about the thing; `applies` says
    whether the action makes sense in the thing's state; `removes`: the thing is gone afterwards.
    """

    name: str
    title: str
    icon: str
    permission: Permission
    question: Callable[[Any], str]
    consequence: str
    done: Callable[[Any], str]
    do: Callable[..., Any]
    applies: Callable[[Any], bool] = always
    removes: bool = False

    def act(self, *, actor: Actor, thing: Any, now: datetime) -> tuple[str, Any]:
        """Do it; returns the sentence to show, and what the domain returned. Raises what the domain raises."""
        sentence = self.done(thing)
        return sentence, self.do(actor=actor, thing=thing, now=now)
