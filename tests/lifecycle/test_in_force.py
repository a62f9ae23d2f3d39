"""What is in force of a workspace is read once for each state of it, and never taken for another."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Field
from django.utils import timezone

from tests.conftest import Api, Tenant
from tests.lifecycle.conftest import old_thread, policy
from threadhub.isolation.scope import Door, as_owner, through, within
from threadhub.lib import remembered
from threads.lifecycle import in_force
from threads.lifecycle.in_force import InForce, Question
from threads.models import Hold, LifecycleVersion, RetentionPolicy, RetentionSettings, SystemPolicy

NOW = datetime.fromisoformat("2026-03-01T12:00:00+00:00")
DAY = timedelta(days=1)
# What sweeps and previews note in a policy's row: nothing of it says what is in force.
BOOKS = {"acted_count", "previewed_at", "previewed_terms", "previewed_count", "updated_at"}


@pytest.fixture(autouse=True)
def nothing_known() -> None:
    remembered.forget()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were read, in their order."""
    texts: list[str] = []
    answer = Question.answer

    def noted(self: Question, text: str | None) -> InForce | None:
        if text is not None:
            texts.append(text)
        return answer(self, text)

    monkeypatch.setattr(Question, "answer", noted)
    return texts


def told(api: Api, thread: Any) -> tuple[Any, Any]:
    shown = api.get(f"/threads/{thread.wire_id}").json()
    return shown["held"], shown["policy"] and shown["policy"]["days"]


def asked(tenant: Tenant, now: datetime = NOW) -> InForce | None:
    question = Question(tenant.workspace.pk, now)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {in_force.OF_ONE}", question.values)
        return question.answer(cursor.fetchone()[0])


def version(tenant: Tenant) -> Any:
    return LifecycleVersion.objects.filter(workspace=tenant.workspace).values_list("version", flat=True).first()


def hold(tenant: Tenant) -> Hold:
    return Hold.objects.create(workspace=tenant.workspace, scope="workspace", reason="asked", placed_by="somebody")


def test_the_same_state_is_read_once_and_each_change_is_told_at_once(tenant: Tenant, api: Api, read: list[str]) -> None:
    mine = policy(tenant, days=90)
    thread = old_thread(tenant, 1)
    assert [told(api, thread) for _ in range(3)] == [(False, 90)] * 3
    assert len(read) == 1
    placed = hold(tenant)
    assert [told(api, thread) for _ in range(2)] == [(True, None)] * 2
    Hold.objects.filter(pk=placed.pk).update(released_at=placed.created_at)
    assert [told(api, thread) for _ in range(2)] == [(False, 90)] * 2
    RetentionPolicy.objects.filter(pk=mine.pk).update(days=60)
    assert [told(api, thread) for _ in range(2)] == [(False, 60)] * 2
    RetentionPolicy.objects.filter(pk=mine.pk).delete()
    assert [told(api, thread) for _ in range(2)] == [(False, None)] * 2
    assert len(read) == 5


def test_lists_know_it_from_single_threads_and_the_other_way_round(tenant: Tenant, api: Api, read: list[str]) -> None:
    policy(tenant, days=90)
    thread = old_thread(tenant, 1)
    listed = api.get("/threads?include_messages=false").json()["data"]
    assert [each["policy"]["days"] for each in listed] == [90]
    assert told(api, thread) == (False, 90)
    made = api.post(f"/agents/{tenant.agent.wire_id}/threads", {}).json()
    assert made["policy"]["days"] == 90
    assert len(read) == 1


def test_the_installations_policies_are_told_at_once(tenant: Tenant, api: Api, read: list[str]) -> None:
    thread = old_thread(tenant, 1)
    assert told(api, thread) == (False, None)
    terms = {"action": "archive", "counted_from": "created", "enabled": True, "acts_from": timezone.now()}
    with through(Door.COMMAND):
        ours = SystemPolicy.objects.create(days=500, **terms)
    assert told(api, thread) == (False, 500)
    with through(Door.COMMAND):
        SystemPolicy.objects.filter(pk=ours.pk).update(days=400)
    assert told(api, thread) == (False, 400)
    with through(Door.COMMAND):
        SystemPolicy.objects.filter(pk=ours.pk).delete()
    assert told(api, thread) == (False, None)
    assert len(read) == 4


def test_another_workspace_has_a_state_of_its_own(tenant: Tenant, other_tenant: Tenant, read: list[str]) -> None:
    policy(tenant, days=90)
    with within(other_tenant.workspace.pk):
        assert asked(other_tenant) is None
    with within(tenant.workspace.pk):
        assert asked(tenant) is not None
    with within(other_tenant.workspace.pk):
        assert asked(other_tenant) is None
        hold(other_tenant)
    with within(tenant.workspace.pk):
        before = asked(tenant)
        assert before is not None
        assert not before.cover.everything
    assert len(read) == 2


@pytest.mark.parametrize(
    ("model", "books", "with_others"),
    [
        (RetentionPolicy, BOOKS, {"scope", "target_id"}),
        (RetentionSettings, {"capped_since", "taken_since", "updated_at"}, set()),
    ],
)
def test_every_column_but_what_sweeps_note_makes_another_version(
    tenant: Tenant, model: Any, books: set[str], with_others: set[str]
) -> None:
    policy(tenant, days=90)
    RetentionSettings.objects.update_or_create(workspace=tenant.workspace, defaults={"trash_days": 3})
    columns = {field.name: field for field in model._meta.concrete_fields if not field.primary_key}
    columns.pop("workspace", None)
    changed = set()
    for name, field in columns.items():
        if name not in with_others:
            before = version(tenant)
            model.objects.update(**{name: another(field)})
            if version(tenant) != before:
                changed.add(name)
    assert changed == set(columns) - books - with_others
    if with_others:
        before = version(tenant)
        model.objects.update(scope="agent", target_id=tenant.agent.pk)
        assert version(tenant) != before


def another(field: "Field[Any, Any]") -> Any:
    match field.get_internal_type():
        case "DateTimeField":
            return NOW
        case "UUIDField":
            return "00000000-0000-7000-8000-000000000001"
        case "BooleanField":
            return False
        case "PositiveIntegerField" | "IntegerField":
            return 77
        case "JSONField":
            return {"another": 1}
    return {"action": "archive", "counted_from": "created", "scope": "agent", "schedule": "weekly"}.get(
        field.name, "another"
    )


def hold_on(tenant: Tenant, reference: str) -> Hold:
    return Hold(
        workspace=tenant.workspace,
        scope="external_ref",
        external_ref=reference,
        reason="asked",
        placed_by="somebody",
    )


def test_many_holds_of_one_statement_are_one_change(tenant: Tenant) -> None:
    assert version(tenant) is None
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE changes (version uuid)")
        cursor.execute("GRANT INSERT, SELECT ON changes TO PUBLIC")
        cursor.execute(
            "CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN INSERT INTO changes VALUES (NEW.version); RETURN NULL; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER note AFTER INSERT OR UPDATE ON threads_lifecycleversion"
            " FOR EACH ROW EXECUTE FUNCTION note_change()"
        )
    Hold.objects.bulk_create(hold_on(tenant, str(at)) for at in range(300))
    found = asked(tenant)
    assert found is not None
    assert len(found.cover.references) == 300
    Hold.objects.update(reason="another")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), count(DISTINCT version) FROM changes")
        assert cursor.fetchone() == (2, 2)


def test_what_becomes_of_a_released_hold_changes_nothing(tenant: Tenant) -> None:
    """An erasure does it while it holds locks of much else."""
    placed = hold_on(tenant, "a")
    placed.save()
    before = version(tenant)
    Hold.objects.filter(pk=placed.pk).update(released_at=NOW)
    released = version(tenant)
    assert released != before
    Hold.objects.filter(pk=placed.pk).update(reason="", placed_by="user:erased")
    Hold.objects.filter(pk=placed.pk).delete()
    assert version(tenant) == released


def test_a_policy_that_was_switched_off_protects_until_its_moment_and_no_longer(
    tenant: Tenant, read: list[str]
) -> None:
    policy(tenant, days=90, action="retain")
    RetentionPolicy.objects.update(enabled=False, acts_from=NOW + DAY)
    assert asked(tenant) is not None
    assert asked(tenant, NOW + DAY - timedelta(microseconds=1)) is not None
    assert len(read) == 1
    assert asked(tenant, NOW + DAY) is None
    assert asked(tenant, NOW + 2 * DAY) is None
    assert len(read) == 2
    assert asked(tenant, NOW) is not None, "asked as of a moment before what is known was read"


def test_what_was_taken_back_is_not_taken_for_what_came_later(tenant: Tenant) -> None:
    policy(tenant, days=90)
    assert asked(tenant) is not None
    with transaction.atomic():
        hold(tenant)
        unsaved = asked(tenant)
        assert unsaved is not None
        assert unsaved.cover.everything
        transaction.set_rollback(True)
    assert not Hold.objects.exists()
    after = asked(tenant)
    assert after is not None
    assert not after.cover.everything
    RetentionSettings.objects.update_or_create(workspace=tenant.workspace, defaults={"trash_days": 3})
    later = asked(tenant)
    assert later is not None
    assert later.trash_on
    assert not later.cover.everything


def test_it_is_the_same_that_several_workspaces_are_told(tenant: Tenant) -> None:
    policy(tenant, days=90, metadata={"k": 1}, external_ref_prefix="a")
    policy(tenant, days=30, action="retain")
    policy(tenant, days=20, scope="agent", target_id=tenant.agent.pk)
    RetentionSettings.objects.update_or_create(workspace=tenant.workspace, defaults={"trash_days": 3})
    hold(tenant)
    one = asked(tenant)
    assert one is not None
    several = in_force.of_workspaces([tenant.workspace.pk], NOW)[tenant.workspace.pk]
    assert sorted(map(repr, one.rules)) == sorted(map(repr, several.rules))
    assert len(one.rules) == 3
    assert vars(one.cover) == vars(several.cover)
    assert one.trash_on is several.trash_on is True


def test_emptied_tables_are_another_version(tenant: Tenant) -> None:
    policy(tenant, days=90)
    before = version(tenant)
    assert asked(tenant) is not None
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("TRUNCATE threads_retentionpolicy")
    assert version(tenant) != before
    assert asked(tenant) is None
