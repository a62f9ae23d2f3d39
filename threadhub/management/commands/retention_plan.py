"""`manage.py retention_plan`: what the policies in force would do now."""

from typing import Any

from django.core.management.base import CommandParser

from threadhub.management.lifecycle import LifecycleCommand
from threads.lifecycle import candidates, plan


class Command(LifecycleCommand):
    only_looks = True
    help = "Say what a sweep would do now, by workspace, agent and policy. Changes nothing."

    def add_own(self, parser: CommandParser) -> None:
        self.add_selection(parser)

    def run(self, *, as_json: bool, **options: Any) -> None:
        cutoff = candidates.database_now()
        for selection in self.selections(**options):
            self.tell(plan.make(selection=selection, cutoff=cutoff).as_json(), as_json=as_json)
