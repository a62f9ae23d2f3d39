"""Bundles and attachments in an S3-compatible store, on moto's server over loopback."""

from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import boto3
import httpx
import pytest
import zstandard
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone
from moto.server import ThreadedMotoServer

from tests.conftest import Api, Tenant
from tests.lifecycle.bundled import crash_after_archiving
from tests.lifecycle.conftest import old_thread, policy, sweep
from tests.lifecycle.test_older_backups import Backup
from threads.actions.messages import Draft, append
from threads.attachments import Upload
from threads.lifecycle import acts, candidates, reading, restore
from threads.lifecycle.bundles import adoption, archive, audit_trail, objects, orphans, vault
from threads.lifecycle.bundles.verify import Damaged
from threads.lifecycle.erasure import erasures, ledger
from threads.models import Attachment, Bundle, BundledThread, Erasure, Message, Thread

NOW = timezone.now
PERSON = "customer 4711"
# boto3 itself still asks for the time in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    started = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    started.start()
    host, port = started.get_host_and_port()
    yield f"http://{host}:{port}"
    started.stop()


@pytest.fixture(autouse=True)
def bucket(server: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[BaseClient]:
    """A bucket of its own for each test; both storages are in it."""
    httpx.post(f"{server}/moto-api/reset", trust_env=False)
    options = {
        "bucket_name": "hub", "endpoint_url": server, "access_key": "key", "secret_key": "secret",
        "region_name": "us-east-1",
    }  # fmt: skip
    settings.STORAGES = {
        **settings.STORAGES,
        **{
            alias: {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": {**options, "location": place}}
            for alias, place in (("archive", "bundles"), ("default", "files"))
        },
    }
    client = boto3.client(
        "s3", endpoint_url=server, aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1"
    )
    client.create_bucket(Bucket="hub")
    yield client
    client.close()


def keys(bucket: Any, place: str = "bundles/") -> list[str]:
    return sorted(each["Key"] for each in bucket.list_objects_v2(Bucket="hub", Prefix=place).get("Contents", []))


def test_archive_verify_read_restore(tenant: Tenant, api: Api, bucket: Any) -> None:
    thread = old_thread(tenant, 3, messages=30)
    path = f"/threads/{thread.wire_id}/messages"
    live = [api.get(each).json() for each in (path, f"{path}?order=desc&take=3")]
    archived = acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    assert [key.rsplit("/", 1)[1] for key in keys(bucket)] == ["manifest.json", "threads.jsonl.zst"]
    assert Message.objects.count() == 0
    assert [api.get(each).json() for each in (path, f"{path}?order=desc&take=3")] == live
    found = audit_trail.verify(workspace_id=tenant.workspace.pk)
    assert (found.bundles, found.messages, found.faults) == (1, 30, [])
    restore.restore(actor=tenant.actor, thread=archived, now=NOW())
    assert [api.get(each).json() for each in (path, f"{path}?order=desc&take=3")] == live


def test_a_page_is_read_without_the_whole_object(
    tenant: Tenant, bucket: Any, monkeypatch: pytest.MonkeyPatch, api: Api
) -> None:
    from threads.lifecycle.bundles import writer

    monkeypatch.setattr(writer, "FRAME_BYTES", 500)
    thread = acts.archive(actor=tenant.actor, thread=old_thread(tenant, 3, messages=30), now=NOW())
    asked = []
    stream = objects.stream

    def count(storage: Any, name: str, **part: int) -> Any:
        asked.append(part)
        return stream(storage, name, **part)

    monkeypatch.setattr(objects, "stream", count)
    assert api.get(f"/threads/{thread.wire_id}/messages?after=20&take=1").status_code == 200
    entry = BundledThread.objects.get()
    assert 0 < len(asked) < len(entry.frames)
    assert all(part["size"] < Bundle.objects.get().size for part in asked)


def test_a_purged_thread_leaves_its_bundle(
    tenant: Tenant, bucket: Any, django_capture_on_commit_callbacks: Any
) -> None:
    going, staying = old_thread(tenant, 100), old_thread(tenant, 99)
    staying_id = staying.pk
    with transaction.atomic():
        archive.archive(workspace_id=tenant.workspace.pk, thread_ids=[going.pk, staying.pk], now=NOW())
    Thread.objects.filter(pk=staying_id).update(exempt_until=NOW() + timedelta(days=1))
    policy(tenant)
    before = keys(bucket)
    with django_capture_on_commit_callbacks(execute=True):
        assert sweep(tenant).taken == 1
    assert not set(before) & set(keys(bucket))
    assert len(keys(bucket)) == 2
    assert audit_trail.verify(workspace_id=tenant.workspace.pk).faults == []
    assert BundledThread.objects.get().thread_id == staying_id


def test_a_crash_between_put_and_commit_leaves_an_orphan_and_a_retry_the_same_objects(
    tenant: Tenant, bucket: Any
) -> None:
    thread = old_thread(tenant, 3)
    tags = []
    for _ in range(2):
        crash_after_archiving(tenant, thread)
        tags.append([(key, bucket.get_object(Bucket="hub", Key=key)["Body"].read()) for key in keys(bucket)])
    assert tags[0] == tags[1]
    assert len(tags[0]) == 2
    assert (Message.objects.count(), Bundle.objects.count()) == (3, 0)
    now = candidates.database_now()
    assert [orphan.old for orphan in orphans.find(now=now)] == [False]
    for orphan in orphans.find(now=now + timedelta(days=2)):
        assert orphan.old
        assert orphans.remove(orphan, now=now + timedelta(days=2))
    assert keys(bucket) == []


def test_a_crash_between_the_two_puts_loses_nothing(
    tenant: Tenant, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = old_thread(tenant, 3)
    keep = vault.Draft.keep

    def broken(self: vault.Draft, name: str) -> None:
        if name.endswith("manifest.json"):
            raise KeyboardInterrupt
        keep(self, name)

    with monkeypatch.context() as patch:
        patch.setattr(vault.Draft, "keep", broken)
        with pytest.raises(KeyboardInterrupt):
            acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    assert (len(keys(bucket)), Message.objects.count()) == (1, 3)
    acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    assert audit_trail.verify(workspace_id=tenant.workspace.pk).faults == []


def test_what_is_read_back_is_compared_before_anything_is_deleted(
    tenant: Tenant, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that took the object and kept another."""
    thread = old_thread(tenant, 3)
    put = vault._put

    def corrupting(name: str, content: Any) -> None:
        put(name, content)
        if name.endswith(".zst"):
            key = f"bundles/{name}"
            data = bytearray(bucket.get_object(Bucket="hub", Key=key)["Body"].read())
            data[len(data) // 2] ^= 1
            bucket.put_object(Bucket="hub", Key=key, Body=bytes(data))

    monkeypatch.setattr(vault, "_put", corrupting)
    with pytest.raises(Damaged):
        acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    assert (Message.objects.count(), Bundle.objects.count()) == (3, 0)


def test_a_missing_object_is_damage_and_a_closed_store_is_not(tenant: Tenant, server: str, bucket: Any) -> None:
    thread = acts.archive(actor=tenant.actor, thread=old_thread(tenant, 3), now=NOW())
    for key in keys(bucket):
        bucket.delete_object(Bucket="hub", Key=key)
    with pytest.raises(Damaged):
        restore.restore(actor=tenant.actor, thread=thread, now=NOW())
    bucket.delete_bucket(Bucket="hub")
    with pytest.raises(objects.StoreUnavailable):
        restore.restore(actor=tenant.actor, thread=thread, now=NOW())


def test_a_restore_that_could_not_read_says_so_in_its_exit_code(
    tenant: Tenant, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = acts.archive(actor=tenant.actor, thread=old_thread(tenant, 3), now=NOW())
    call = BaseClient._make_api_call

    def refusing(self: Any, operation: str, given: Any) -> Any:
        if operation == "GetObject":
            raise answered(503, operation)
        return call(self, operation, given)

    monkeypatch.setattr(BaseClient, "_make_api_call", refusing)
    with pytest.raises(CommandError, match="1 threads were not restored") as refused:
        call_command("restore_threads", thread=thread.pk, yes=True, stdout=StringIO(), stderr=StringIO())
    assert refused.value.returncode == 1


def test_wrong_credentials_are_one_sentence(tenant: Tenant, server: str, bucket: Any) -> None:
    old_thread(tenant, 3)
    httpx.post(f"{server}/moto-api/reset-auth", content=b"0", trust_env=False)
    try:
        with pytest.raises(CommandError) as refused:
            call_command("archive_threads", workspace=tenant.workspace.pk, yes=True)
    finally:
        httpx.post(f"{server}/moto-api/reset-auth", content=b"1000000000", trust_env=False)
    said = str(refused.value)
    assert said.startswith("The object store of the archive cannot be used: ")
    assert "InvalidAccessKeyId" in said
    assert "\n" not in said
    assert refused.value.returncode == 1
    assert Message.objects.count() == 3


def test_attachments_follow_their_thread(
    tenant: Tenant, api: Api, bucket: Any, django_capture_on_commit_callbacks: Any
) -> None:
    thread = old_thread(tenant, 3)
    upload = Upload("a.txt", "text/plain", b"in the store")
    append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="see", uploads=[upload])])
    path = f"/threads/{thread.wire_id}/attachments/{Attachment.objects.get().wire_id}"
    assert b"".join(api.get(path)) == b"in the store"
    assert len(keys(bucket, "files/")) == 1
    acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    assert b"".join(api.get(path)) == b"in the store"
    with django_capture_on_commit_callbacks(execute=True):
        assert api.delete(f"/threads/{thread.wire_id}").status_code in (200, 204)
    assert (keys(bucket, "files/"), keys(bucket)) == ([], [])


def attached(tenant: Tenant, days: float, **fields: Any) -> Thread:
    thread = old_thread(tenant, days, **fields)
    upload = Upload("a.txt", "text/plain", f"file of {thread.pk}".encode())
    append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="see", uploads=[upload])])
    return thread


def bundled(tenant: Tenant, *threads: Thread) -> None:
    with transaction.atomic():
        archive.archive(workspace_id=tenant.workspace.pk, thread_ids=sorted(thread.pk for thread in threads), now=NOW())


def confirmed(tenant: Tenant) -> Erasure:
    actor = erasures.actors.system(tenant.workspace.pk)
    planned = erasures.plan(actor=actor, kind="external_ref", value=PERSON, now=NOW())
    code = erasures.code_of(tenant.workspace.pk, planned.plan_hash)
    return erasures.confirm(actor=actor, erasure=planned, code=code, now=NOW())


def naming(bucket: Any) -> list[str]:
    """The objects in which the person is named."""
    found = []
    for key in keys(bucket, ""):
        data = bucket.get_object(Bucket="hub", Key=key)["Body"].read()
        if key.endswith(".zst"):
            data = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
        if PERSON.encode() in data:
            found.append(key)
    return found


def answered(status: int, operation: str) -> ClientError:
    meta: Any = {"HTTPStatusCode": status}
    return ClientError({"Error": {"Code": str(status), "Message": "no"}, "ResponseMetadata": meta}, operation)


@pytest.mark.django_db(transaction=True)
class TestErasure:
    def test_no_object_names_who_was_erased_and_a_neighbour_reads_as_before(
        self, tenant: Tenant, api: Api, bucket: Any
    ) -> None:
        live, shared, alone = (attached(tenant, 100, external_ref=PERSON, title=PERSON) for _ in range(3))
        neighbour = attached(tenant, 99)
        path = f"/threads/{neighbour.wire_id}/messages"
        said = api.get(path).json()
        bundled(tenant, shared, neighbour)
        bundled(tenant, alone)
        assert len(naming(bucket)) == 2
        assert len(keys(bucket, "files/")) == 4
        erasure = confirmed(tenant)
        assert erasures.proceed(workspace_id=tenant.workspace.pk, erasure_id=erasure.pk).state == "done"
        assert naming(bucket) == []
        assert not [key for thread in (live, shared, alone) for key in keys(bucket, "files/") if str(thread.pk) in key]
        (ledger, *files) = sorted(keys(bucket), key=lambda key: "/erasures/" not in key)
        assert ledger.endswith(f"/{erasure.wire_id}.json")
        assert [key.rsplit("/", 1)[1] for key in files] == ["manifest.json", "threads.jsonl.zst"]
        assert audit_trail.verify(workspace_id=tenant.workspace.pk).faults == []
        assert api.get(path).json() == said
        restore.restore(actor=tenant.actor, thread=Thread.objects.get(pk=neighbour.pk), now=NOW())
        assert api.get(path).json() == said

    @pytest.mark.parametrize("refused", ["PutObject", "DeleteObject", "ListObjects", "GetObject"])
    def test_a_store_that_refuses_is_one_sentence_and_the_next_run_finishes(
        self, tenant: Tenant, bucket: Any, monkeypatch: pytest.MonkeyPatch, refused: str
    ) -> None:
        theirs, neighbour = attached(tenant, 100, external_ref=PERSON), attached(tenant, 99)
        bundled(tenant, theirs, neighbour)
        erasure = confirmed(tenant)
        call = BaseClient._make_api_call

        def refusing(self: Any, operation: str, given: Any) -> Any:
            if operation.startswith(refused) and given.get("Key", given.get("Prefix", "")).startswith("bundles/"):
                raise answered(503, operation)
            return call(self, operation, given)

        with monkeypatch.context() as patch:
            patch.setattr(BaseClient, "_make_api_call", refusing)
            with pytest.raises(CommandError) as said:
                call_command("erase_person", "--resume", yes=True, stdout=StringIO(), stderr=StringIO())
        assert "The object store of the archive cannot be used: " in str(said.value)
        erasure.refresh_from_db()
        assert erasure.state == "running"
        call_command("erase_person", "--resume", yes=True, stdout=StringIO(), stderr=StringIO())
        erasure.refresh_from_db()
        assert (erasure.state, naming(bucket)) == ("done", [])
        assert list(Thread.objects.all()) == [neighbour]
        assert audit_trail.verify(workspace_id=tenant.workspace.pk).faults == []

    def test_a_database_older_than_the_erasure_forgets_the_person_again(self, tenant: Tenant, bucket: Any) -> None:
        theirs, neighbour = old_thread(tenant, 100, external_ref=PERSON), old_thread(tenant, 99)
        words = [message.content for message in neighbour.messages.order_by("position")]
        bundled(tenant, theirs, neighbour)
        backup = Backup()
        erasures.proceed(workspace_id=tenant.workspace.pk, erasure_id=confirmed(tenant).pk)
        backup.restore()
        assert audit_trail.verify(workspace_id=tenant.workspace.pk).faults
        call_command("erase_person", "--replay", "--yes", stdout=StringIO(), stderr=StringIO())
        assert list(Thread.objects.all()) == [neighbour]
        assert [message.content for message in reading.messages(Thread.objects.get())] == words
        assert naming(bucket) == []
        assert audit_trail.verify(workspace_id=tenant.workspace.pk).faults == []

    def test_a_store_that_cannot_be_asked_is_not_taken_for_an_empty_one(
        self, tenant: Tenant, bucket: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bundled(tenant, old_thread(tenant, 100, external_ref=PERSON), old_thread(tenant, 99))

        def refusing(self: Any, operation: str, given: Any) -> Any:
            raise answered(403, operation)

        monkeypatch.setattr(BaseClient, "_make_api_call", refusing)
        for asks in (
            lambda: adoption.adopt(workspace_id=tenant.workspace.pk, now=NOW()),
            lambda: ledger.entries(workspace_id=tenant.workspace.pk),
        ):
            with pytest.raises(objects.StoreUnavailable):
                asks()
