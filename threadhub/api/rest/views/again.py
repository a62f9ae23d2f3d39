"""`…/messages/{message_id}/regenerate` and `…/edit`: asking again, on a new branch of the thread."""

from typing import Any, ClassVar

from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from threadhub.api.rest.inputs.branches import Regenerate
from threadhub.api.rest.inputs.invoke import Asking, ThreadInvoke, wish_of
from threadhub.api.rest.views.invoke import ANSWERS, ON_DISCONNECT, InvokeThread
from threadhub.api.views import path_id
from threadhub.workspaces.actor import Actor
from threads import access
from threads.models import Message, Thread
from threads.runs import again


class AskAgain(InvokeThread):
    """What was there stays, as a branch of its own; the new one is active. Answers like invoke."""

    query: ClassVar[dict[str, tuple[str, ...]]] = {"edit": ("on_disconnect",), "regenerate": ("on_disconnect",)}

    @extend_schema(request=Regenerate, parameters=[ON_DISCONNECT], responses=ANSWERS)
    def regenerate(self, request: Request, **path: Any) -> HttpResponseBase:
        """Another answer in the place of this one, and of all that came with it or after it."""
        actor, thread, message = self._found()
        wish = wish_of(Regenerate.parse(request))
        started = again.regenerate(actor=actor, thread=thread, message=message, now=self.now, wish=wish)
        return self.answer_run(started.run)

    @extend_schema(request=ThreadInvoke, parameters=[ON_DISCONNECT], responses=ANSWERS)
    def edit(self, request: Request, **path: Any) -> HttpResponseBase:
        """Other words in the place of this message of the user, and an answer to them."""
        actor, thread, message = self._found()
        asking = Asking.parse(request, ThreadInvoke)
        started = again.edit(
            actor=actor, thread=thread, message=message, drafts=asking.drafts, now=self.now, wish=asking.wish
        )
        return self.answer_run(started.run)

    def _found(self) -> tuple[Actor, Thread, Message]:
        actor = self.acting
        thread = self.find_thread(actor)
        message_id = path_id(Message.PREFIX, self.kwargs["message_id"], access.MessageNotFound)
        return actor, thread, access.get_message(thread=thread, message_id=message_id)
