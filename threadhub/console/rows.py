"""The rows of a list, cell by cell as unfold draws them. What is the same for all rows is made once: headings, classes,
and how the list was filtered, for which Django would resolve the address of each."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any

from django.contrib.admin.utils import label_for_field, lookup_field
from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe
from unfold.templatetags.unfold_list import LINK_CLASSES, ROW_CLASSES
from unfold.utils import display_for_field, display_for_value

LINK = " ".join(LINK_CLASSES)
NOWRAP = (models.DateField, models.TimeField, models.ForeignKey)


@dataclass(frozen=True, slots=True)
class Column:
    """How a cell of it begins and ends, and what it shows of a thing."""

    begin: SafeString
    end: SafeString
    shown: Callable[[Any], Any]
    is_link: bool


def of(changelist: Any) -> list[SafeString]:
    """The cells of each row of the page."""
    columns = [_column(changelist, at) for at in range(len(changelist.list_display))]
    filters = changelist.preserved_filters
    return [_row(columns, thing, f"?{filters}" if filters else "", changelist) for thing in changelist.result_list]


def _row(columns: list[Column], thing: Any, filters: str, changelist: Any) -> SafeString:
    address = f"{changelist.url_for_result(thing)}{filters}"
    parts = chain.from_iterable(_cell(column, thing, address) for column in columns)
    return mark_safe("".join(map(conditional_escape, parts)))  # noqa: S308  escaped just now, piece by piece


def _cell(column: Column, thing: Any, address: str) -> tuple[SafeString, Any, SafeString]:
    shown = column.shown(thing)
    if column.is_link:
        shown = format_html('<a href="{}" class="{}" >{}</a>', address, LINK, shown)
    return column.begin, shown, column.end


def _column(changelist: Any, at: int) -> Column:
    name, admin = changelist.list_display[at], changelist.model_admin
    label, attribute = label_for_field(name, changelist.model, model_admin=admin, return_attr=True)
    is_link = name in changelist.list_display_links
    tag = "th" if is_link and name == changelist.list_display_links[0] else "td"
    field = None if attribute else changelist.model._meta.get_field(name)
    classes = " ".join([f"field-{name}", *ROW_CLASSES, *(["nowrap"] if isinstance(field, NOWRAP) else [])])
    heading = "Select record" if at == 0 and not is_link else label
    begin = format_html('<{} class="{}" data-label="{}">', tag, classes, heading)
    empty = getattr(attribute, "empty_value_display", admin.get_empty_value_display())
    shown = _of_field(field, empty) if field is not None else _of_method(name, admin, attribute, empty)
    return Column(begin, format_html("</{}>", tag), shown, is_link)


def _of_method(name: str, admin: Any, attribute: Any, empty: str) -> Callable[[Any], Any]:
    boolean = getattr(attribute, "boolean", False)
    own = getattr(admin, name, None)

    def shown(thing: Any) -> Any:
        try:
            value = own(thing) if own else lookup_field(name, thing, admin)[2]
        except ObjectDoesNotExist:
            return empty
        return display_for_value(value, empty, boolean)

    return shown


def _of_field(field: Any, empty: str) -> Callable[[Any], Any]:
    relates = isinstance(field.remote_field, models.ManyToOneRel)

    def shown(thing: Any) -> Any:
        try:
            value = getattr(thing, field.name)
        except ObjectDoesNotExist:
            return empty
        if relates:
            return empty if value is None else value
        return display_for_field(value, field, empty)

    return shown
