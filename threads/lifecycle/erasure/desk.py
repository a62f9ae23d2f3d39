"""What waits for a member of staff who is erased: it waits for nobody, and where they answered the agent goes on."""

from datetime import datetime
from uuid import UUID

from threadhub.workspaces import actor as actors
from threads.actions import takeover
from threads.lifecycle.erasure import people
from threads.lifecycle.erasure.people import Person
from threads.models import Thread


def leave(*, workspace_id: UUID, person: Person, now: datetime, most: int) -> int:
    """Take them from their place at `most` threads, in a transaction of the caller's; returns at how many. Whoever was
    years at the desk has a hundred thousand of them: nobody waits for all."""
    system = actors.system(workspace_id)
    rows = people.at_desk(workspace_id=workspace_id, person=person)
    found = list(rows.select_for_update(of=("self",)).order_by("pk")[:most])
    for thread in found:
        if thread.taken_over and thread.taken_over_by_id == person.user_id:
            takeover.give_back(actor=system, thread=thread, now=now)
    waiting = Thread.objects.filter(workspace_id=workspace_id, pk__in=[each.pk for each in found])
    waiting.filter(assignee_id=person.user_id).update(assignee_id=None)
    return len(found)
