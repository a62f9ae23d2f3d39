#!/usr/bin/env python
"""Every command of threadhub. `manage.py up` starts all of it; `manage.py help` lists the rest."""

import os
import sys


def take_data_dir(argv: list[str]) -> list[str]:
    """Apply `--data-dir DIR` (any command, any place in the line) before the settings are read."""
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if name != "--data-dir":
            rest.append(word)
            continue
        value = value if equals else next(words, "")
        if not value:
            sys.exit("--data-dir needs a directory.")
        os.environ["THREADHUB_DATA_DIR"] = os.path.abspath(value)
    return rest


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "threadhub.settings")
    argv = take_data_dir(sys.argv)
    if argv[1:2] == ["work"]:
        os.environ["THREADHUB_POOLED"] = "1"  # its threads share connections, as those of a web process do
    from django.conf import settings
    from django.core.management import execute_from_command_line

    from threadhub.isolation import scope
    from threadhub.launch import faults

    try:
        settings.INSTALLED_APPS  # noqa: B018  read now: Django would go on without settings and say something else
        with scope.as_owner():  # Django's own commands; threadhub's go through a door of their own
            execute_from_command_line(argv)
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell says it
    except Exception as error:
        sentence = faults.sentence(error)
        if sentence is None or "--traceback" in argv:
            raise
        sys.exit(sentence)


if __name__ == "__main__":
    main()
