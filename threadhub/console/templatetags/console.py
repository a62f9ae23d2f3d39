"""What the console's own templates need beyond Django's."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import template
from django.template.defaultfilters import capfirst
from django.utils.safestring import SafeString
from unfold.templatetags.unfold_list import result_headers

from threadhub.console import display, rows

register = template.Library()
ID = re.compile(r"[a-z_]+_0[0-9a-z]{25}\b")


@register.simple_tag
def moment(value: datetime | None) -> SafeString | str:
    return display.moment(value)


@register.inclusion_tag("console/rows.html", takes_context=True)
def console_rows(context: dict[str, Any]) -> dict[str, Any]:
    """The rows of a list with their headings, or what its being empty means."""
    changelist = context["cl"]
    return {
        "cl": changelist,
        "rows": rows.of(changelist),
        "result_headers": list(result_headers(changelist)),
        "has_add_permission": context["has_add_permission"],
    }


@register.filter
def grouped(number: int) -> str:
    """`12,345`."""
    return f"{number:,}" if isinstance(number, int) else str(number)


@register.filter
def money(cost: Decimal | None) -> str:
    return display.money(cost)


@register.filter
def headed(title: Any) -> str:
    """A part of a heading: with a capital, but for an id, which is spelled as it is."""
    text = str(title)
    return text if ID.match(text) else str(capfirst(text))
