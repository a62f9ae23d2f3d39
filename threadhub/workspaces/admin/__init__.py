"""Who may come in, in the staff console. Django finds this module; its parts register themselves."""

from threadhub.workspaces.admin import keys, people

__all__ = ["keys", "people"]
