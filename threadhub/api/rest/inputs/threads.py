from chat_sessions.models import EXTERNAL_REF_CHARACTERS
from threadhub.api.rest.inputs.strict import Metadata, Strict, Text, title


class ThreadUpsert(Strict):
    """What a new thread gets, where the call makes one."""

    title = title()
    metadata = Metadata(required=False, allow_null=True)


class NewThread(ThreadUpsert):
    external_ref = Text(required=False, allow_null=True, allow_blank=True, max_length=EXTERNAL_REF_CHARACTERS)


class ThreadChange(Strict):
    """`metadata` replaces all of it; what is not sent stays."""

    title = title()
    metadata = Metadata(required=False)


class NothingSent(Strict):
    """No body, or an empty object."""
