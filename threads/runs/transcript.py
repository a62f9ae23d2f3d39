"""What a run added to its thread, found through its events: the cost does not grow with the thread."""

from dataclasses import dataclass

from threads.models import Message, Run, RunEvent
from threads.runs import events


@dataclass(frozen=True, slots=True)
class Transcript:
    """The messages of a run in their order, and which of its tool calls failed."""

    messages: list[Message]
    failed_calls: frozenset[str]

    @property
    def answer(self) -> Message | None:
        """The assistant's last message. Results of tools come after it where the run stopped at `requires_action`."""
        assistants = [message for message in self.messages if message.role == Message.Role.ASSISTANT]
        return assistants[-1] if assistants else None


def of_run(*, run: Run) -> Transcript:
    """The run's messages that are still in the thread."""
    rows = RunEvent.objects.filter(
        run_id=run.id, workspace_id=run.workspace_id, type__in=(events.MESSAGE_STORED, events.TOOL_RESULT)
    ).values_list("type", "data")
    stored: list[str] = []
    failed: set[str] = set()
    for type, data in rows:
        if type == events.MESSAGE_STORED:
            stored.append(data["message_id"])
        elif data["is_error"]:
            failed.add(data["tool_call_id"])
    messages = Message.objects.filter(workspace_id=run.workspace_id, pk__in=stored).order_by("position")
    return Transcript(list(messages.prefetch_related("attachments")), frozenset(failed))
