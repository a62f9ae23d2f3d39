from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids
from threadhub.workspaces.models import Workspace


class Tool(models.Model):
    """What an agent may call, with the JSON Schema of its arguments."""

    PREFIX: ClassVar[str] = "tool"

    class Kind(models.TextChoices):
        BUILTIN = "builtin"  # code of this project, found by the tool's name (threadhub/agents/builtin_tools.py)
        HTTP = "http"  # a web service (threadhub/agents/tools/http_tool.py)
        MCP = "mcp"  # a tool of an MCP server (threadhub/agents/tools/mcp_tool.py)
        CLIENT = "client"  # run by whoever asks the agent; they bring what it gave

    class Approval(models.TextChoices):
        """Whether a person must approve each call before it is made."""

        NEVER = "never"
        ALWAYS = "always"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="tools")
    name = models.CharField(max_length=64)
    description = models.TextField(blank=True)
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.BUILTIN)
    parameters = models.JSONField(default=dict, blank=True)
    config = models.JSONField(default=dict, blank=True)  # how to reach it: the arguments of HttpTool or McpServer
    approval = models.CharField(max_length=16, choices=Approval.choices, default=Approval.NEVER)
    sealed_secrets = models.BinaryField(null=True, editable=False)  # secret headers, encrypted (lib/sealed.py)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint(fields=["workspace", "name"], name="tool_name_once_per_workspace")]

    def __str__(self) -> str:
        return self.name

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)
