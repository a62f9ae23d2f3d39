"""Where to go on from a thread: what else there is about it, and the work of officers, with their forms filled in."""

from urllib.parse import urlencode

from django.urls import reverse

from threadhub.console.rights import Rights
from threadhub.workspaces.permissions import Permission
from threads.models import Thread


def of(held: Rights, thread: Thread) -> list[tuple[str, str]]:
    """Titles and addresses, of what the reader may do."""
    about = {"workspace": str(thread.workspace_id), "scope": "thread", "target": thread.wire_id}
    ways = [
        (Permission.THREAD_READ_ALL, "Runs of this thread", "run_changelist", {"q": thread.wire_id}),
        (Permission.HOLD_WRITE, "Place on hold", "hold_add", about),
        (Permission.EXPORT_WRITE, "Export this thread", "export_add", about),
    ]
    person = _person(thread)
    if person:
        of_person = {"workspace": about["workspace"], **person}
        ways.append((Permission.PERSON_ERASE, "Erase this person", "erasure_add", of_person))
    found = [
        (title, f"{reverse(f'admin:threads_{name}')}?{urlencode(query)}")
        for permission, title, name, query in ways
        if held.may(permission, thread.workspace_id)
    ]
    if held.may(Permission.AUDIT_READ, thread.workspace_id):
        found.append(("Audit trail", f"{reverse('admin:audit_auditevent_changelist')}?about={thread.wire_id}"))
    return found


def _person(thread: Thread) -> dict[str, str]:
    """Whose thread it is, as the form of erasures asks; nothing where nobody is known."""
    if thread.user is not None:
        return {"subject": "user", "value": thread.user.wire_id}
    if thread.chat_session is not None:
        return {"subject": "session", "value": thread.chat_session.wire_id}
    return {"subject": "external_ref", "value": thread.external_ref} if thread.external_ref else {}
