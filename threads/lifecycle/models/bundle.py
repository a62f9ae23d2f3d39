from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids
from threadhub.workspaces.models import Workspace


class Bundle(models.Model):
    """A file of archived threads, in the catalogue: a row is only ever written for a file that was read back whole.

    `name` is the SHA-256 over the content and the manifest before it; `number` and `previous` make the chain.
    """

    PREFIX: ClassVar[str] = "bundle"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    number = models.IntegerField()
    name = models.CharField(max_length=64)
    path = models.TextField()  # of its directory, in the archive storage
    size = models.BigIntegerField()  # bytes of threads.jsonl.zst
    sha256 = models.CharField(max_length=64)  # of threads.jsonl.zst
    manifest_sha256 = models.CharField(max_length=64)
    previous = models.CharField(max_length=64, blank=True)  # manifest_sha256 of the bundle before
    thread_count = models.IntegerField()
    message_count = models.BigIntegerField()
    # Nothing in it is needed any more: all restored or purged, or rewritten into `superseded_by`. The file is gone.
    removed_at = models.DateTimeField(null=True)
    superseded_by = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["workspace", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["workspace", "number"], name="bundle_number_once"),
            models.UniqueConstraint(fields=["workspace", "name"], name="bundle_name_once"),
        ]

    def __str__(self) -> str:
        return f"bundle {self.number}"

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)


class BundledThread(models.Model):
    """Where an archived thread stands in its bundle. There is one row exactly while the thread is archived."""

    thread_id = models.UUIDField(primary_key=True)
    workspace = models.ForeignKey("workspaces.Workspace", on_delete=models.CASCADE, db_index=False, related_name="+")
    bundle = models.ForeignKey(
        Bundle, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="threads"
    )
    sha256 = models.CharField(max_length=64)  # of its lines, uncompressed
    counts = models.JSONField()  # {"message": 12, "run": 6, …}
    # zstd frames: [offset, length, the kind and position of its first line]
    frames = models.JSONField()
    files = models.JSONField(default=list)  # names of its attachments in the attachment storage
    # How many opinions in it are good and how many bad, for lists. NULL: an older version archived it, and if `counts`
    # has feedback nobody has looked yet (bundles/ratings.py).
    good = models.IntegerField(null=True)
    bad = models.IntegerField(null=True)

    class Meta:
        ordering = ["bundle", "thread_id"]
        indexes = [
            models.Index("workspace", "bundle", name="bundled_by_bundle"),
            # As feedback_by_rating has them of live threads.
            models.Index(
                "workspace", models.F("thread_id").desc(), condition=models.Q(good__gt=0), name="bundled_rated_good"
            ),
            models.Index(
                "workspace", models.F("thread_id").desc(), condition=models.Q(bad__gt=0), name="bundled_rated_bad"
            ),
            models.Index(
                "workspace",
                condition=models.Q(good__isnull=True, counts__has_key="feedback"),
                name="bundled_ratings_unread",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.thread_id} in {self.bundle_id}"
