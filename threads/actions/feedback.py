"""What users and visitors think of answers."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from threadhub import audit
from threadhub.lib.errors import Invalid, NotFound
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads import access
from threads.lifecycle import holds, reading
from threads.models import Feedback, Message, Thread


class FeedbackNotFound(NotFound):
    """You have given no feedback on this message."""

    code = "feedback_not_found"


class NotAnAnswer(Invalid):
    """Feedback is for messages of the assistant."""

    code = "not_an_answer"


@transaction.atomic
def give(
    *,
    actor: Actor,
    thread: Thread,
    message: Message,
    rating: int,
    now: datetime,
    tags: Sequence[str] = (),
    text: str = "",
) -> Feedback:
    """The actor's opinion of an answer, in the place of an earlier one. Does not count as activity of the thread.

    Raises NotAnAnswer, PermissionMissing, ThreadNotFound, ThreadArchived.
    """
    actor.require(Permission.FEEDBACK_GIVE)
    access.lock(thread=thread)
    if message.role != Message.Role.ASSISTANT:
        raise NotAnAnswer
    feedback, _ = Feedback.objects.update_or_create(
        workspace_id=thread.workspace_id,
        message_id=message.id,
        author=actor.identity,
        defaults={"rating": rating, "tags": list(tags), "text": text, "updated_at": now},
        create_defaults={"thread": thread, "rating": rating, "tags": list(tags), "text": text, "created_at": now},
    )
    ids = [message.wire_id, thread.wire_id]
    audit.record(actor=actor, action="feedback.give", ids=ids, details={"rating": rating})
    return feedback


def own(*, actor: Actor, message: Message) -> Feedback:
    """The actor's own feedback on a message. Raises FeedbackNotFound."""
    feedback = Feedback.objects.filter(
        workspace_id=message.workspace_id, message_id=message.id, author=actor.identity
    ).first()
    if feedback is None and reading.is_bundled(message.thread):
        feedback = reading.feedback(message.thread, message.id, actor.identity)
    if feedback is None:
        raise FeedbackNotFound
    return feedback


@transaction.atomic
def withdraw(*, actor: Actor, message: Message) -> None:
    """Take the actor's feedback back. Raises FeedbackNotFound, ThreadHeld, ThreadArchived."""
    actor.require(Permission.FEEDBACK_GIVE)
    holds.check(thread=access.lock(thread=message.thread))
    Feedback.objects.filter(pk=own(actor=actor, message=message).pk, workspace_id=message.workspace_id).delete()
    audit.record(actor=actor, action="feedback.withdraw", ids=[message.wire_id])
