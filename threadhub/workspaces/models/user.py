from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models

from threadhub.lib import ids


class User(AbstractUser):
    """A person who signs in: staff, a member of workspaces, or an end user of a product."""

    PREFIX: ClassVar[str] = "user"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    metadata = models.JSONField(default=dict, blank=True)

    objects: ClassVar[UserManager[Any]] = UserManager()

    class Meta(AbstractUser.Meta):
        ordering = ["username"]

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)
