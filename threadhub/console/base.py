"""The base of every page of the console: rights by role, lists by key, ids as clients spell them, deeds with a
confirmation, and changes through the domain's functions."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, transaction
from django.forms import ModelChoiceField
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.enums import ActionVariant

from threadhub import audit
from threadhub.console import display, keyset, rights
from threadhub.console.came_from import CameFrom
from threadhub.console.deeds import Deed
from threadhub.console.fields import ObjectField
from threadhub.console.filters import ConsoleFilter, decoded
from threadhub.console.lists import HistoryPages, KeysetChangeList
from threadhub.lib.errors import DomainError
from threadhub.workspaces.models import Workspace
from threadhub.workspaces.permissions import Permission


class ConsoleAdmin(ModelAdmin):  # type: ignore[misc]
    """One noun of the console.

    `reading` and `writing` are what staff must hold in the workspace of the object; None leaves it to superusers.
    Without `writing_pages` the object is read-only: what may be done to it is in `deeds`.
    """

    reading: ClassVar[Permission | None] = None
    writing: ClassVar[Permission | None] = None
    may_be_added = False
    may_be_changed = False
    newest_by_workspace = False  # within each workspace an index has (created_at, id), or there are few
    has_form = True  # False: the page of an object is `page`
    noun: ClassVar[str] = ""  # in the audit trail; empty: the model's name
    deeds: ClassVar[Sequence[Deed]] = ()
    searched: ClassVar[Sequence[str]] = ()  # columns that the search box looks into, besides ids
    told_by: ClassVar[Sequence[str]] = ()  # columns that say who did something, as Actor.identity spells it
    save_title: ClassVar[str] = ""  # what the button of a new one says, where that is more than to save

    change_list_template = "console/list.html"
    list_per_page = 50
    show_full_result_count = False
    show_facets = False
    paginator = HistoryPages  # lists have their own
    list_filter_submit = True
    list_fullwidth = True
    sortable_by = ()
    actions = None
    empty_value_display = "–"
    save_on_top = False

    # --- who may

    def workspace_of(self, thing: Any) -> UUID | None:
        workspace_id: UUID | None = getattr(thing, "workspace_id", None)
        return workspace_id

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return rights.of(request).may(self.reading, obj and self.workspace_of(obj))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.may_be_added and rights.of(request).may(self.writing)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may_be_changed and rights.of(request).may(self.writing, obj and self.workspace_of(obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        queryset: models.QuerySet[Any] = super().get_queryset(request)
        allowed = rights.of(request).workspaces(self.reading)
        if allowed is None:
            return queryset
        return self.within(queryset, allowed) if allowed else queryset.none()  # some nouns are of no workspace

    def within(self, queryset: models.QuerySet[Any], workspaces: list[UUID]) -> models.QuerySet[Any]:
        if len(workspaces) == 1:
            return queryset.filter(workspace_id=workspaces[0])
        return queryset.filter(workspace_id__in=workspaces)

    # --- lists

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return KeysetChangeList

    def ordered_by_time(self, request: HttpRequest) -> bool:
        """Whether the list goes by (created_at, id), which an index serves within one workspace; else by id, which the
        primary key serves for all of them."""
        named = bool(request.GET.get("workspace"))
        return self.newest_by_workspace and (named or self._reads_few(request) is not None)

    def apart(self, request: HttpRequest) -> Sequence[UUID]:
        """The workspaces whose rows are found one by one for the list: those of staff who read in few."""
        alone = not self.ordered_by_time(request) or request.GET.get("workspace")
        return () if alone else self._reads_few(request) or ()

    def _reads_few(self, request: HttpRequest) -> list[UUID] | None:
        allowed = rights.of(request).workspaces(self.reading)
        return allowed if allowed is not None and len(allowed) <= keyset.MOST_APART else None

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only what the list's own filters are called; Django would hand any column and lookup to the database."""
        return any(
            lookup in each.names
            for each in self.list_filter
            if isinstance(each, type) and issubclass(each, ConsoleFilter)
        )

    def get_search_fields(self, request: HttpRequest) -> Sequence[str]:
        return ("pk", *self.searched)

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if "\x00" in term:
            return queryset.none(), False
        pk = decoded(getattr(self.model, "PREFIX", ""), term)
        return (queryset.filter(pk=pk) if pk else self.find(request, queryset, term)), False

    def find(self, request: HttpRequest, queryset: models.QuerySet[Any], term: str) -> models.QuerySet[Any]:
        """What the search box finds for words; columns of `searched` that hold the term."""
        matching = models.Q(pk__in=[])
        for column in self.searched:
            matching |= models.Q((f"{column}__icontains", term))
        return queryset.filter(matching)

    # --- pages of one object

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        if object_id is not None:
            object_id = self.key_of(object_id)
            if not self.has_form:
                return self._read(request, object_id)
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except DomainError as error:
            messages.error(request, error.message)
            return redirect(request.get_full_path())

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> HttpResponse:
        """To the list where it would stand, if they may see that; absent and not theirs read the same."""
        name = str(opts.verbose_name)
        self.message_user(request, f"There is no such {name}, or you may not see it.", messages.WARNING)
        listed = self.has_view_permission(request)
        return redirect(f"admin:{opts.app_label}_{opts.model_name}_changelist" if listed else "admin:index")

    def page(self, request: HttpRequest, thing: Any) -> HttpResponseBase:
        """The page of one object that has no form."""
        raise NotImplementedError

    def page_context(self, request: HttpRequest, thing: Any, title: str) -> dict[str, Any]:
        """What stands around such a page."""
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "original": thing,
            "actions_detail": self.deeds_of(request, thing),
        }

    def _read(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Such a page, for whoever may see the object. There is nothing to fill in and nothing to save."""
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        thing = self.thing(request, object_id)
        if thing is None:
            answer: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
            return answer
        return self.page(request, thing)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        answer: HttpResponseBase = super().history_view(request, self.key_of(object_id), extra_context)
        return answer

    def key_of(self, object_id: str) -> str:
        """The primary key behind the id of an address: a wire id, or the key itself."""
        pk = decoded(getattr(self.model, "PREFIX", ""), object_id)
        return str(pk) if pk else object_id

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        thing = kwargs.get("obj")
        if thing is not None:
            context["actions_detail"] = self.deeds_of(request, thing)
        else:
            context["save_title"] = self.save_title
        context["show_save_and_add_another"] = False
        context["show_save_and_continue"] = thing is not None
        return super().render_change_form(request, context, *args, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return tuple(self.readonly_fields)

    def formfield_for_foreignkey(
        self, db_field: "models.ForeignKey[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> "ModelChoiceField[Any] | None":
        if db_field.related_model is Workspace:
            allowed = rights.of(request).workspaces(self.writing)
            workspaces = Workspace.objects.all()
            kwargs["queryset"] = workspaces = workspaces if allowed is None else workspaces.filter(pk__in=allowed)
            if len(two := workspaces[:2]) == 1:
                kwargs["initial"] = two[0].pk
        field: ModelChoiceField[Any] | None = super().formfield_for_foreignkey(db_field, request, **kwargs)
        return field

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Fields without the buttons that open other objects in windows, and strict about JSON."""
        if isinstance(db_field, models.JSONField):
            kwargs.setdefault("form_class", ObjectField)
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget = field.widget.widget
        return field

    def render_delete_form(self, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
        raise PermissionDenied  # what may be removed is removed by a deed

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save what has no function of the domain for it, and record that."""
        super().save_model(request, obj, form, change)
        self.record(request, "update" if change else "create", obj, {"fields": sorted(form.changed_data)})

    def record(self, request: HttpRequest, verb: str, thing: Any, details: dict[str, Any] | None = None) -> None:
        """Keep in the audit trail what this member of staff does to a thing, or that they read it."""
        who = audit.By(f"user:{request.user.pk}", self.workspace_of(thing))
        ids = [display.spelled_id(thing)]
        audit.record(actor=who, action=f"{self.noun or self.opts.model_name}.{verb}", ids=ids, details=details)

    # --- deeds

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_deed"
        deed = path("<path:object_id>/do/<str:deed>/", self.admin_site.admin_view(self.deed_view), name=name)
        return [deed, *super().get_urls()]

    def deeds_of(self, request: HttpRequest, thing: Any) -> list[dict[str, Any]]:
        """The deeds that this member of staff can do now, as the page's header shows them."""
        held, came_from = rights.of(request), CameFrom.of(request)
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_deed"
        return [
            {
                "title": deed.title,
                "icon": deed.icon,
                "variant": ActionVariant.DANGER if deed.danger else ActionVariant.DEFAULT,
                "attrs": {},
                "path": came_from.on(reverse(name, args=(display.spelled_id(thing), deed.name))),
            }
            for deed in self.deeds
            if deed.applies(thing) and held.may(deed.permission, self.workspace_of(thing))
        ]

    def deed_view(self, request: HttpRequest, object_id: str, deed: str) -> HttpResponseBase:
        """Ask (GET), then do (POST)."""
        wanted = next((each for each in self.deeds if each.name == deed), None)
        thing = self.thing(request, object_id)
        if wanted is None or thing is None:
            raise Http404
        if not rights.of(request).may(wanted.permission, self.workspace_of(thing)):
            raise PermissionDenied
        form = wanted.asked(thing, request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            given = {name: value for name, value in form.cleaned_data.items() if name != "typed"}
            return self._do(request, wanted, thing, **given)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": wanted.title,
            "spelled_id": display.spelled_id(thing),
            "deed": wanted,
            "question": wanted.question(thing),
            "consequence": wanted.warning(thing),
            "form": form,
            "back": CameFrom.of(request).on(self.address_of(thing)),
        }
        return TemplateResponse(request, "console/confirm.html", context)

    def acting(self, request: HttpRequest, thing: Any) -> Any:
        """Whoever asks, as the domain's functions about the thing want them."""
        workspace_id = self.workspace_of(thing)
        if workspace_id is None:
            raise PermissionDenied
        return rights.of(request).actor(workspace_id)

    def _do(self, request: HttpRequest, deed: Deed, thing: Any, **given: Any) -> HttpResponseBase:
        actor, came_from = self.acting(request, thing), CameFrom.of(request)
        page = came_from.on(self.address_of(thing))
        try:
            with transaction.atomic():
                self.log_change(request, thing, f"{deed.title}: {str(thing)[:100]}")
                sentence, outcome = deed.act(actor=actor, thing=thing, now=timezone.now(), **given)
        except DomainError as error:
            messages.error(request, error.message)
            return redirect(page)
        messages.success(request, sentence)
        answer = self.after_deed(request, deed, thing, outcome)
        if answer is not None:
            return answer
        return redirect(came_from.back(self.list_address()) if deed.removes else page)

    def after_deed(self, request: HttpRequest, deed: Deed, thing: Any, outcome: Any) -> HttpResponseBase | None:
        """Where to go after a deed, if elsewhere than usual; `outcome` is what the domain returned."""
        return None

    def thing(self, request: HttpRequest, object_id: str) -> Any:
        """The object of an address, for a view of ours; None where there is none that they may see."""
        try:
            found = self.get_object(request, unquote(self.key_of(object_id)))
        except (ValidationError, ValueError):
            return None
        return found if found is not None and self.has_view_permission(request, found) else None

    def address_of(self, thing: Any) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=(display.spelled_id(thing),))

    def list_address(self) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")


def column(title: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Name a method that is a column or a read-only field."""

    def named(method: Callable[..., Any]) -> Callable[..., Any]:
        method.short_description = title  # type: ignore[attr-defined]
        for option, value in options.items():
            setattr(method, option, value)
        return method

    return named


@column("ID")
def shown_id(thing: Any) -> str:
    return display.wire_id(thing.wire_id)


@column("Created")
def created(thing: Any) -> str:
    return display.moment(thing.created_at)
