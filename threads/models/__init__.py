from threads.lifecycle.models import (
    Bundle,
    BundledThread,
    Erasure,
    Export,
    Hold,
    RetentionJob,
    RetentionPolicy,
    RetentionSettings,
    Sweep,
    SystemPolicy,
    Tombstone,
)
from threads.models.attachment import Attachment
from threads.models.branch import Branch
from threads.models.feedback import Feedback
from threads.models.message import Message
from threads.models.run import Run
from threads.models.run_event import RunEvent
from threads.models.summary import Summary
from threads.models.thread import Thread
from threads.models.tool_approval import ToolApproval

__all__ = [
    "Attachment",
    "Branch",
    "Bundle",
    "BundledThread",
    "Erasure",
    "Export",
    "Feedback",
    "Hold",
    "Message",
    "RetentionJob",
    "RetentionPolicy",
    "RetentionSettings",
    "Run",
    "RunEvent",
    "Summary",
    "Sweep",
    "SystemPolicy",
    "Thread",
    "Tombstone",
    "ToolApproval",
]
