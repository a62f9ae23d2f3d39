from threads.lifecycle.models.asked_work import AskedWork
from threads.lifecycle.models.bundle import Bundle, BundledThread
from threads.lifecycle.models.erasure import Erasure
from threads.lifecycle.models.export import Export
from threads.lifecycle.models.forecast import RetentionForecast
from threads.lifecycle.models.hold import Hold
from threads.lifecycle.models.job import RetentionJob
from threads.lifecycle.models.lifecycle_version import LifecycleVersion
from threads.lifecycle.models.policy import PolicyTerms, RetentionPolicy, SystemPolicy
from threads.lifecycle.models.settings import RetentionSettings
from threads.lifecycle.models.storage import StorageSize
from threads.lifecycle.models.sweep import Sweep
from threads.lifecycle.models.system_count import SystemCount
from threads.lifecycle.models.tombstone import Tombstone

__all__ = [
    "AskedWork",
    "Bundle",
    "BundledThread",
    "Erasure",
    "Export",
    "Hold",
    "LifecycleVersion",
    "PolicyTerms",
    "RetentionForecast",
    "RetentionJob",
    "RetentionPolicy",
    "RetentionSettings",
    "StorageSize",
    "Sweep",
    "SystemCount",
    "SystemPolicy",
    "Tombstone",
]
