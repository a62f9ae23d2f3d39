"""Whether a text may be an external_ref, by the workspace's policy (seed 003: no sensitive information in it)."""

from threadhub import audit
from threadhub.lib import notices, sensitive
from threadhub.lib.errors import Invalid
from threadhub.workspaces.models import Workspace

WORDS = {
    "email": "an e-mail address",
    "phone": "a phone number",
    "card": "the number of a card",
    "iban": "a bank account",
}


class ExternalRefSensitive(Invalid):
    """The external_ref looks like personal data."""

    code = "external_ref_sensitive"


def check(*, actor: audit.Who, external_ref: str | None) -> None:
    """Called where something new is given a reference. Nearly always costs nothing: only a reference that looks like
    personal data makes it read the policy.

    `warn`: a notice in the answer's headers and an audit event, without the value; `refuse`: raises
    ExternalRefSensitive.
    """
    kind = sensitive.kind_of(external_ref) if external_ref else None
    if kind is None or actor.workspace_id is None:
        return
    workspace = Workspace.objects.get(pk=actor.workspace_id)
    match workspace.external_ref_policy:
        case Workspace.ExternalRefPolicy.REFUSE:
            message = f"The external_ref looks like {WORDS[kind]}. Use an id of your own that says nothing of a person."
            raise ExternalRefSensitive(
                message, [{"loc": ["body", "external_ref"], "msg": message, "type": "external_ref_sensitive"}]
            )
        case Workspace.ExternalRefPolicy.WARN:
            notices.add(f"external_ref_sensitive; kind={kind}")
            audit.record(actor=actor, action="external_ref.warn", ids=[workspace.wire_id], details={"looks_like": kind})
