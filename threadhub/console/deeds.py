"""What staff can do to an object besides editing it: each asks first, then calls the domain."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextInputWidget

from threadhub.workspaces.permissions import Permission


def always(thing: Any) -> bool:
    return True


def nothing(thing: Any) -> None:
    return None


class TypedField(forms.CharField):
    """A word that must be typed exactly."""

    def __init__(self, wanted: str) -> None:
        widget = UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "autocapitalize": "off"})
        super().__init__(label=f"Type {wanted} to go on", max_length=200, widget=widget)
        self.wanted = wanted

    def clean(self, value: Any) -> str:
        typed = str(super().clean(value))
        if typed != self.wanted:
            raise ValidationError(f"Type exactly: {self.wanted}")
        return typed


@dataclass(frozen=True, slots=True)
class Deed:
    """A domain action with a confirmation page before it.

    `do(actor=, thing=, now=)` calls the domain; `question` and `done` are sentences about the thing; `applies` says
    whether the action makes sense in the thing's state; `removes`: the thing is gone afterwards. `form`: what is asked
    besides, and given to `do` by name; `initial`: what it holds already. `typed`: what must be typed first, where it
    cannot be taken back, else None.
    """

    name: str
    title: str
    icon: str
    permission: Permission
    question: Callable[[Any], str]
    consequence: str | Callable[[Any], str]
    done: Callable[[Any], str]
    do: Callable[..., Any]
    applies: Callable[[Any], bool] = always
    removes: bool = False
    danger: bool = True
    form: type[forms.Form] | None = None
    initial: Callable[[Any], dict[str, Any]] | None = None
    typed: Callable[[Any], str | None] = nothing
    instead: str = "Keep it as it is"

    def warning(self, thing: Any) -> str:
        """What will come of it, in a sentence."""
        return self.consequence if isinstance(self.consequence, str) else self.consequence(thing)

    def asked(self, thing: Any, data: Any) -> forms.Form:
        """The form on the question's page; without fields where nothing is asked."""
        form = (self.form or forms.Form)(data, initial=self.initial(thing) if self.initial else None)
        wanted = self.typed(thing)
        if wanted is not None:
            form.fields["typed"] = TypedField(wanted)
        return form

    def act(self, *, actor: Any, thing: Any, now: datetime, **given: Any) -> tuple[str, Any]:
        """Do it; returns the sentence to show, and what the domain returned. Raises what the domain raises."""
        sentence = self.done(thing)
        return sentence, self.do(actor=actor, thing=thing, now=now, **given)
