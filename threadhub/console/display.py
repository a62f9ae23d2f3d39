"""How values show in the console: ids, times, JSON. Everything is escaped here."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from threadhub.agents.usage import written
from threadhub.lib import ids

JSON_SHOWN = 20_000  # characters
NONE = format_html('<span class="th-none">{}</span>', "–")  # a narrow list leaves its cell out


def moment(value: datetime | None) -> SafeString | str:
    """A time, in UTC until console.js spells it in the reader's zone; a dash for none."""
    if value is None:
        return "–"
    value = value.astimezone(UTC)
    spelled = f"{value:%Y-%m-%d %H:%M} UTC"
    return format_html('<time class="th-time" datetime="{}">{}</time>', value.isoformat(), spelled)


def wire_id(value: Any) -> SafeString | str:
    """The id of a thing, as its clients spell it."""
    return format_html('<code class="th-id">{}</code>', value) if value else "–"


def spelled_id(thing: Any) -> str:
    """The id of a thing in addresses: its wire id; its key where clients never see the thing."""
    return str(getattr(thing, "wire_id", thing.pk))


def actor(identity: str) -> str:
    """Who did something, by the id that clients see: `user_01…`, `key_01…`; other identities as they stand."""
    kind, _, rest = identity.partition(":")
    try:
        return ids.encode(kind, UUID(rest))
    except ValueError:
        return identity


def badge(value: str, text: str | None = None) -> SafeString:
    """A state as a coloured word; console.css has a colour for each that it knows."""
    return format_html('<span class="th-badge th-badge-{}">{}</span>', value, text or value)


def together(badges: Sequence[SafeString]) -> SafeString:
    """Badges beside each other."""
    return badges[0] if len(badges) == 1 else format_html_join(" ", "{}", ((badge,) for badge in badges))


def link(thing: Any, text: str | None = None) -> SafeString | str:
    """A link to the thing's page."""
    if thing is None:
        return "–"
    meta = thing._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=(spelled_id(thing),))
    return format_html('<a class="th-link" href="{}">{}</a>', url, text or str(thing))


def pretty(value: Any) -> str:
    """JSON for reading, cut when it is very long. Not escaped: for templates that do."""
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return text if len(text) <= JSON_SHOWN else f"{text[:JSON_SHOWN]}\n… ({len(text) - JSON_SHOWN:,} more characters)"


def json_block(value: Any) -> SafeString | str:
    """JSON as a block of a page; a dash for nothing."""
    return format_html('<pre class="th-json">{}</pre>', pretty(value)) if value not in (None, {}, [], "") else "–"


def money(cost: Decimal | None) -> str:
    """An amount in the installation's currency, to four decimals: `0.0123 USD`, `< 0.0001 USD`; empty if unknown."""
    if cost is None:
        return ""
    smallest = Decimal("0.0001")
    return in_currency(f"< {smallest}" if 0 < cost < smallest else str(written(round(cost, 4))))


def in_currency(amount: str) -> str:
    """An amount that is spelled already, with the installation's currency."""
    return f"{amount} {settings.PRICES.currency or ''}".strip()


def shortened(text: str | None, length: int = 80) -> str:
    """One line of a text."""
    line = " ".join((text or "")[: length * 4].split())
    return line if len(line) <= length else f"{line[: length - 1]}…"
