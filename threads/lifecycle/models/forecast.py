from django.db import models

from threadhub.lib import ids
from threadhub.workspaces.models import Workspace


class RetentionForecast(models.Model):
    """How many threads of a workspace a policy will take on a day to come (UTC), as things stood at `made_at`."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    day = models.DateField()
    action = models.CharField(max_length=16)  # archive, trash or purge
    threads = models.BigIntegerField()
    made_at = models.DateTimeField()

    class Meta:
        ordering = ["day", "id"]
        constraints = [models.UniqueConstraint(fields=["workspace", "day", "action"], name="retention_forecast_once")]

    def __str__(self) -> str:
        return f"{self.day}: {self.action} {self.threads}"
