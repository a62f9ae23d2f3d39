from django.db import models


class RateBucket(models.Model):
    """What one subject (a key, a session, a user, an address) may still ask. No row is a full bucket.

    The table is UNLOGGED: it is not worth the write-ahead log. A crash of PostgreSQL empties it, which is everybody's
    bucket full again. The id is a keyed digest: neither addresses nor names stand here.
    """

    id = models.BinaryField(primary_key=True, max_length=16)
    tokens = models.FloatField()
    granted = models.PositiveIntegerField()  # by the last statement that took some
    refilled_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return bytes(self.id).hex()


class KnownAddress(models.Model):
    """An address from which a user has signed in. Logged, since a crash must not forget it. A keyed digest of both."""

    id = models.BinaryField(primary_key=True, max_length=16)
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return bytes(self.id).hex()


class StreamPlaces(models.Model):
    """How many open streams of a subject one process may have: as many as it has, and some more (streams.py).

    A row that its process has not renewed of late counts for nothing. UNLOGGED, as the buckets are.
    """

    pk = models.CompositePrimaryKey("subject", "process")
    subject = models.BinaryField(max_length=16)
    process = models.UUIDField()
    held = models.PositiveIntegerField()
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ["subject", "process"]
        indexes = [models.Index(fields=["process"], name="stream_places_of_process")]

    def __str__(self) -> str:
        return f"{self.held} of {self.process}"
