"""The two seed documents, and what they print: requests, JSON, functions, fields."""

import json
import re
from pathlib import Path
from typing import Any

SEEDS = Path(__file__).parent / "seeds"
AI = (SEEDS / "000.txt").read_text()
REST = (SEEDS / "003.txt").read_text()

# The sample values that a reader of seed 003 replaces by their own.
REST_HOST = "https://api.plaisolutions.com"
REST_TOKEN = "YOUR_TOKEN"


def curl_lines() -> list[str]:
    """Every curl command of seed 003 as printed, with its continued lines and quoted bodies."""
    commands = []
    lines = iter(REST.split("\n"))
    for line in lines:
        if not line.startswith("curl "):
            continue
        command = line
        while command.endswith("\\") or command.count("'") % 2:
            command += "\n" + next(lines)
        commands.append(command)
    return commands


def functions() -> str:
    """Both JavaScript functions of seed 003, as printed."""
    start = REST.index("// Customer Support Integration")
    end = REST.index("\n}", REST.index("async function getOrCreateChatThread")) + 2
    return REST[start:end]


def _json_after(text: str, at: int) -> Any:
    value, _ = json.JSONDecoder().raw_decode(text[at:].lstrip())
    return value


def _ai_json(heading: str, label: str) -> Any:
    section = re.search(rf"(?:^|[\]}}]){heading}$", AI, re.MULTILINE)
    assert section, f"seed 000 has no section {heading}"
    label = f"{label}\njson\n"
    return _json_after(AI, AI.index(label, section.end()) + len(label))


def ai_response(heading: str) -> Any:
    """The JSON that seed 000 prints under the `Response` of a section, as `Create Thread`."""
    return _ai_json(heading, "Response")


def ai_request(heading: str) -> Any:
    """The JSON that seed 000 prints under the `Request Body` of a section."""
    return _ai_json(heading, "Request Body")


def rest_messages() -> list[dict[str, Any]]:
    """The messages that seed 003 prints under `Message Types and Structure`."""
    part = REST[REST.index("Message Types and Structure") : REST.index("Advanced Filtering Options")]
    return [_json_after(part, found.start()) for found in re.finditer(r"^\{", part, re.MULTILINE)]


def rest_fields(heading: str) -> dict[str, str]:
    """`{name: type}` of the `Response` table of a section of seed 003, as `Create Thread for Agent`."""
    section = REST[REST.index(f"\n{heading}\n") :]
    table = section[section.index("\nResponse\n") : section.index("\ncurl ")]
    return dict(re.findall(r"^(\w+)\n(string|integer|boolean|array)\n", table, re.MULTILINE))
