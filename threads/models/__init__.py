from threads.lifecycle.models import (
    Bundle,
    BundledThread,
    Erasure,
    Export,
    Hold,
    LifecycleVersion,
    RetentionForecast,
    RetentionJob,
    RetentionPolicy,
    RetentionSettings,
    StorageSize,
    Sweep,
    SystemCount,
    SystemPolicy,
    Tombstone,
)
from threads.models.attachment import Attachment
from threads.models.branch import Branch
from threads.models.canned_answer import CannedAnswer
from threads.models.daily_activity import DailyActivity
from threads.models.feedback import Feedback
from threads.models.message import Message
from threads.models.note import Note
from threads.models.run import Run
from threads.models.run_event import RunEvent
from threads.models.summary import Summary
from threads.models.thread import Thread
from threads.models.thread_count import ThreadCount
from threads.models.tool_approval import ToolApproval
from threads.models.tool_use import ToolUse

__all__ = [
    "Attachment",
    "Branch",
    "Bundle",
    "BundledThread",
    "CannedAnswer",
    "DailyActivity",
    "Erasure",
    "Export",
    "Feedback",
    "Hold",
    "LifecycleVersion",
    "Message",
    "Note",
    "RetentionForecast",
    "RetentionJob",
    "RetentionPolicy",
    "RetentionSettings",
    "Run",
    "RunEvent",
    "StorageSize",
    "Summary",
    "Sweep",
    "SystemCount",
    "SystemPolicy",
    "Thread",
    "ThreadCount",
    "Tombstone",
    "ToolApproval",
    "ToolUse",
]
