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
def money(cost: Decimal | None) -> str:
    return display.money(cost)
