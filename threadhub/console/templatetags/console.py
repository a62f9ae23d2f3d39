"""What the console's own templates need beyond Django's."""

from datetime import datetime
from decimal import Decimal

from django import template
from django.utils.safestring import SafeString

from threadhub.console import display

register = template.Library()


@register.simple_tag
def moment(value: datetime | None) -> SafeString | str:
    return display.moment(value)


@register.filter
def grouped(number: int) -> str:
    """`12,345`."""
    return f"{number:,}" if isinstance(number, int) else str(number)


@register.filter
def money(cost: Decimal | None) -> str:
    return display.money(cost)
