#!/usr/bin/env python
"""Every command of threadhub. `manage.py up` starts all of it; `manage.py help` lists the rest."""

import os
import sys


def take_data_dir(argv: list[str]) -> list[str]:
    """Apply `--data-dir PATH` (any command, any place in the line) before the settings are read."""
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--data-dir":
            os.environ["THREADHUB_DATA_DIR"] = next(words, "")
        elif word.startswith("--data-dir="):
            os.environ["THREADHUB_DATA_DIR"] = word.partition("=")[2]
        else:
            rest.append(word)
    return rest


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "threadhub.settings")
    argv = take_data_dir(sys.argv)
    from django.core.management import execute_from_command_line

    execute_from_command_line(argv)


if __name__ == "__main__":
    main()
