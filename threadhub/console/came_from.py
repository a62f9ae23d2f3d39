"""The list that a page was opened from, filtered as it was. It travels in the query of every address about the same
thing, under Django's own name for it: links, forms, redirects and scripts take it along, so that the next in the list
and the way back are those of that list, whatever is done on the way."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpRequest, QueryDict

NAME = "_changelist_filters"
UNDERSTOOD = 8_000  # characters of a list's query


@dataclass(frozen=True, slots=True)
class CameFrom:
    """`filters`: the list's query; empty where nobody came from one, or it was not filtered."""

    filters: str

    @classmethod
    def of(cls, request: HttpRequest) -> "CameFrom":
        return cls(request.GET.get(NAME, ""))

    @property
    def query(self) -> str:
        """What takes the list along in a query, before what else is in it: `…&`, or nothing."""
        return f"{urlencode({NAME: self.filters})}&" if self.filters else ""

    @property
    def suffix(self) -> str:
        """The whole query of an address that has no other."""
        return self.on("")

    @property
    def asked(self) -> QueryDict:
        """What the list was asked for; nothing where that is too long."""
        return QueryDict(self.filters if len(self.filters) <= UNDERSTOOD else "")

    def on(self, address: str, **more: str) -> str:
        """An address about the thing, with the list; `more` goes into its query too."""
        query = f"{self.query}{urlencode(more)}".removesuffix("&")
        return f"{address}?{query}" if query else address

    def back(self, address: str) -> str:
        """The list, from its address, as they left it."""
        return f"{address}?{self.filters}" if self.filters else address
