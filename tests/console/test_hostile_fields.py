"""The walks through hostile text miss no field: whoever adds a text field to a model finds it here."""

from typing import Any

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db.models import CharField, Field, JSONField, Model, TextField
from django.db.models.functions import Cast

from tests.conftest import Tenant
from tests.console.hostile_site import spread

OWN = ("threadhub", "threads", "chat_sessions")
TEXT = "<b>hostile</b>"
DIGEST, NUMBERS, FIXED = "a digest that we make", "numbers that we count", "one of a few words of our own"
NO_PAGE = "stands on no page of the console"
# field: why it holds no text of anybody's
NOT_FREE = {
    "agents.agent.allowed_roles": FIXED,
    "agents.agent.public_key": "made by us",
    "api.idempotencyrecord.caller": NO_PAGE,
    "api.idempotencyrecord.key": NO_PAGE,
    "api.idempotencyrecord.location": NO_PAGE,
    "audit.auditevent.action": FIXED,
    "audit.auditevent.masked": DIGEST,
    "audit.auditevent.salts": DIGEST,
    "threads.bundle.manifest_sha256": DIGEST,
    "threads.bundle.name": DIGEST,
    "threads.bundle.previous": DIGEST,
    "threads.bundle.sha256": DIGEST,
    "threads.bundledthread.counts": NUMBERS,
    "threads.bundledthread.files": f"names of files, made by us; {NO_PAGE}",
    "threads.bundledthread.frames": NUMBERS,
    "threads.bundledthread.sha256": DIGEST,
    "threads.dailyactivity.times": NUMBERS,
    "threads.erasure.digests": DIGEST,
    "threads.erasure.key": f"made by us; {NO_PAGE}",
    "threads.erasure.plan_hash": DIGEST,
    "threads.erasure.signature": DIGEST,
    "threads.erasure.subject": FIXED,
    "threads.export.file": "a path, made by us",
    "threads.export.format": FIXED,
    "threads.export.sha256": DIGEST,
    "threads.retentionforecast.action": FIXED,
    "threads.retentionjob.plan": DIGEST,
    "threads.retentionpolicy.origin": FIXED,
    "threads.retentionpolicy.previewed_terms": DIGEST,
    "threads.retentionsettings.time_zone": "a name of the IANA's list",
    "threads.storagesize.state": FIXED,
    "threads.sweep.digest": DIGEST,
    "threads.sweep.previous": DIGEST,
    "threads.systemcount.plan": DIGEST,
    "threads.systempolicy.origin": FIXED,
    "threads.systempolicy.previewed_terms": DIGEST,
    "threads.threadcount.state": FIXED,
    "threads.tombstone.evidence": DIGEST,
    "threads.tombstone.external_ref_digest": DIGEST,
    "threads.tombstone.state": FIXED,
    "workspaces.apikey.prefix": "made by us",
    "workspaces.user.password": "a digest, by Django",
}


def texts() -> dict[str, tuple[type[Model], Any]]:
    """`app.model.field` of every column of ours that holds text, alone, in a list or in JSON; but for choices."""
    found = {}
    for model in apps.get_models():
        if model.__module__.split(".")[0] in OWN:
            for field in model._meta.concrete_fields:
                if _holds_text(field) and not field.choices:
                    found[f"{model._meta.label_lower}.{field.name}"] = (model, field)
    return found


def _holds_text(field: "Field[Any, Any]") -> bool:
    return isinstance(field.base_field if isinstance(field, ArrayField) else field, CharField | TextField | JSONField)


def test_each_text_field_is_filled_or_said_to_hold_none(tenant: Tenant) -> None:
    spread(tenant, TEXT)
    empty = {
        name
        for name, (model, field) in texts().items()
        if not model._base_manager.annotate(spelled=Cast(field.name, TextField())).filter(spelled__contains=TEXT)
    }
    assert not (missing := sorted(empty - NOT_FREE.keys())), "\n".join(missing)
    assert sorted(NOT_FREE.keys() - empty) == []
