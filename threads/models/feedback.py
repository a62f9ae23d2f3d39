from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids
from threads.models.message import Message
from threads.models.thread import Thread


class Feedback(models.Model):
    """What a user or visitor thinks of an answer; each has one opinion of it."""

    PREFIX: ClassVar[str] = "feedback"

    class Rating(models.IntegerChoices):
        BAD = -1
        GOOD = 1

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(
        "workspaces.Workspace", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    thread = models.ForeignKey(
        Thread, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="feedback"
    )
    message = models.ForeignKey(
        Message, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="feedback"
    )
    author = models.CharField(max_length=64)  # user:…, session:… or key:…, as Actor.identity spells it
    rating = models.SmallIntegerField(choices=Rating.choices)
    tags = ArrayField(models.CharField(max_length=50), default=list, blank=True)
    text = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name_plural = "feedback"
        indexes = [
            models.Index("thread", name="feedback_by_thread"),
            models.Index("workspace", "rating", models.F("thread").desc(), name="feedback_by_rating"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["message", "author", "workspace"], name="feedback_once_per_author"),
            models.CheckConstraint(condition=models.Q(rating__in=[-1, 1]), name="feedback_rating_known"),
        ]

    def __str__(self) -> str:
        return f"{self.rating:+d} by {self.author}"
