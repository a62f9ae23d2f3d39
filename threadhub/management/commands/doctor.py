"""`manage.py doctor`: is this installation well? One line per check."""

import json as json_module
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from threadhub.launch.examination import examine
from threadhub.management.command import HubCommand


class Command(HubCommand):
    help = "Check database, migrations, worker, providers, storage, clocks, runs and settings; exit 1 if any is wrong."
    only_looks = True
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print one line of JSON.")

    def handle(self, *args: Any, json: bool, **options: Any) -> None:
        findings = []
        for finding in examine():
            findings.append(finding)
            if not json:
                word = self.style.SUCCESS("ok   ") if finding.ok else self.style.ERROR("WRONG")
                self.stdout.write(f"{word} {finding.name:<18} {finding.detail}")
        ok = all(finding.ok for finding in findings)
        if json:
            self.stdout.write(json_module.dumps({"ok": ok, "checks": [asdict(finding) for finding in findings]}))
        sys.exit(not ok)
