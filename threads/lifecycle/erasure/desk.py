"""What waits for a member of staff who is erased: it waits for nobody, and where they answered the agent goes on."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from threadhub.workspaces import actor as actors
from threads.actions import takeover
from threads.lifecycle.erasure import inventory
from threads.lifecycle.erasure.people import Person


@transaction.atomic
def leave(*, workspace_id: UUID, person: Person, now: datetime) -> int:
    """Take them from their place at all threads of others; returns of how many."""
    system = actors.system(workspace_id)
    rows = inventory.at_desk(workspace_id, person)
    found = list(rows.select_for_update(of=("self",)).order_by("pk"))
    for thread in found:
        if thread.taken_over_by_id == person.user_id and thread.taken_over:
            takeover.give_back(actor=system, thread=thread, now=now)
    rows.filter(assignee_id=person.user_id).update(assignee_id=None)
    return len(found)
