"""Runs management commands, each in a process of its own that is there at once: forked from this one, which has loaded
all of Django and never opens a connection. `python -m tests.lifecycle.crash.stage '{"database": …}'` reads one request
per line, `{"argv": [...], "output": path, "traced": bool, "broken": name}`, and answers with the process's id, then
with its exit status (negative: the signal that ended it).
"""

import contextlib
import json
import os
import sys
import time
import traceback
from typing import Any


def main() -> None:
    given = json.loads(sys.argv[1])
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    from tests import settings

    default = settings.DATABASES["default"]
    default["NAME"] = given["database"]
    default.setdefault("OPTIONS", {})["application_name"] = given["application"]
    for alias, directory in given["directories"].items():
        settings.STORAGES[alias] = {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": directory},
        }
    import django
    from django.core.checks import run_checks
    from django.core.management import get_commands, load_command_class

    django.setup()
    run_checks()  # each command does: what that imports is imported here, once
    for name in ("archive_threads", "restore_threads", "retention_apply", "collect_orphan_bundles", "erase_person"):
        load_command_class(get_commands()[name], name)
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os._exit(play(request))
        tell({"pid": pid})
        _, status = os.waitpid(pid, 0)
        tell({"status": os.waitstatus_to_exitcode(status)})


def tell(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


def play(request: dict[str, Any]) -> int:
    """One command, in the forked process."""
    from django.core.management import execute_from_command_line

    from tests.lifecycle.crash import broken

    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    while request["traced"] and not is_traced():
        time.sleep(0.001)
    code: Any = 0
    try:
        if request["broken"]:
            getattr(broken, request["broken"])()
        execute_from_command_line(["manage.py", *request["argv"]])
    except SystemExit as ended:
        code = ended.code
    except BaseException as error:  # noqa: BLE001  told by the exit status; nothing may return into the stage
        code = 70  # none of a command's own: what nobody foresaw
        with contextlib.suppress(OSError):
            traceback.print_exception(error)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    return code if isinstance(code, int) else 0 if code is None else 1


def is_traced() -> bool:
    with open("/proc/self/status") as status:
        return "TracerPid:\t0\n" not in status.read()


if __name__ == "__main__":
    main()
