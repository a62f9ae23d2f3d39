"""What people and models write is text: in no place of any page does it become a tag, an attribute or an address."""

from html.parser import HTMLParser

import pytest
from django.test import Client
from django.utils import timezone

from tests.conftest import Tenant
from tests.console.conftest import furnish
from tests.console.hostile_site import pages_of, spread
from threadhub.console import markup

MARK = "qzx7"
PAYLOADS = [
    f"<script>{MARK}()</script><img src=x onerror={MARK}()>",
    f"\"><svg/onload={MARK}()><a href='javascript:{MARK}()'>x</a>",
    f"' autofocus onfocus={MARK}() x-data={MARK}() x-init={MARK}() y='",
    f"</textarea></title></pre></script><iframe srcdoc='<script>{MARK}()</script>'></iframe>",
    f"[a](javascript:{MARK}) ![b](//evil.example/{MARK}.png) <b x-on:click={MARK}()>c</b> [d](data:text/html,{MARK})",
    f"{{{{ {MARK} }}}}{{% url '{MARK}' %}}<style>@import '//evil.example/{MARK}'</style><base href=//evil/{MARK}>",
    f"<details open ontoggle={MARK}()><form action=//evil.example/{MARK}><button formaction=javascript:{MARK}()>",
    f"[x]: //evil.example/{MARK}\n[y][x] <{MARK}@evil.example> <javascript:{MARK}> \\<img src={MARK}> &lt;b&gt;{MARK}",
    f'`<img src=x onerror={MARK}()>` ~~<svg onload={MARK}()>~~\n\n```html"><script>{MARK}\n</script>\n```',
    f"\u202e{MARK}\ufeff<\u200bscript>{MARK}()</script>%3Cscript%3E{MARK}&#60;img src=x onerror={MARK}()&#62;",
]

# Two at a time: every page is opened once per round.
ROUNDS = [f"{first} {second}" for first, second in zip(PAYLOADS[:5], PAYLOADS[5:], strict=True)]


class Page(HTMLParser):
    """What a browser would make of a page: finds every place where MARK is more than text or an inert value."""

    INERT = frozenset({"value", "title", "alt", "placeholder", "data-label", "aria-label", "content", "class", "id"})

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.alive: list[str] = []
        self.text = ""
        self.inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        for name, value in attrs:
            if MARK in name or (MARK in (value or "") and not self._harmless(tag, name, value or "")):
                self.alive.append(f"<{tag} {name}={value!r}>")
        if tag == "script" and "src" not in dict(attrs):
            self.alive.append("<script> without src")
        if tag in ("iframe", "object", "embed", "base"):
            self.alive.append(f"<{tag}>")

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.inside in ("script", "style") and MARK in data:
            self.alive.append(f"in <{self.inside}>: {data}")

    def _harmless(self, tag: str, name: str, value: str) -> bool:
        if name in self.INERT:
            return True
        own = value.startswith(("/admin/", "?"))
        mail = tag == "a" and name == "href" and value.startswith("mailto:")
        return (name in ("href", "src", "action") and own) or mail


@pytest.mark.parametrize("payload", ROUNDS, ids=range(5))
def test_nothing_that_was_written_comes_alive(payload: str, console: Client, tenant: Tenant) -> None:
    made = spread(tenant, payload)
    shown = []
    for name, address in pages_of(made).items():
        page = Page(console.get(address).content.decode())
        assert page.alive == [], name
        if MARK in page.text:
            shown.append(name)
    assert {"overview", "threads/thread list", "threads/thread page", "threads/run page", "agents/agent list"} <= set(
        shown
    )


@pytest.mark.parametrize("payload", ROUNDS, ids=range(5))
def test_nor_does_what_is_written_into_addresses_and_forms(payload: str, console: Client, tenant: Tenant) -> None:
    made = furnish(tenant, "Plain")
    for noun in ("threads/thread", "agents/agent", "workspaces/user"):
        for query in (
            {"q": payload},
            {"p": payload},
            {"external_ref": payload},
            {"user": payload},
            {"created_from": payload},
            {"_changelist_filters": payload},
        ):
            assert Page(console.get(f"/admin/{noun}/", query).content.decode()).alive == [], (noun, query)
    missing = console.get(f"/admin/threads/thread/{payload.replace('/', '')}/change/", follow=True)
    assert Page(missing.content.decode()).alive == []
    for name in ("agents/agent add", "workspaces/membership add", "workspaces/apikey add", "agents/tool add"):
        answer = console.post(
            made.pages()[name],
            {"name": payload, "username": payload, "workspace": payload, "role": payload, "scopes": payload},
        )
        assert Page(answer.content.decode()).alive == [], name


def test_names_of_what_was_deleted_come_back_as_text(console: Client, tenant: Tenant) -> None:
    made = spread(tenant, PAYLOADS[0])
    typed = {"typed": made.thread.wire_id[-6:]}
    page = Page(console.post(made.pages()["threads/thread delete"], typed, follow=True).content.decode())
    assert page.alive == []
    assert MARK in page.text


def test_the_test_sees_what_comes_alive() -> None:
    for html in (
        f"<img src=x onerror={MARK}()>", f"<script>{MARK}()</script>", f"<a href='javascript:{MARK}'>x</a>",
        f"<p x-data={MARK}>", f"<style>{MARK}</style>", f"<img src=//evil.example/{MARK}>", "<iframe></iframe>",
        f"<b {MARK}>", f"<p style={MARK}>",
    ):  # fmt: skip
        assert Page(html).alive != [], html


def test_markdown_keeps_good_links_and_drops_bad_ones() -> None:
    html = markup.render(
        "[a](https://example.org) [b](javascript:alert) [c](//evil.example) [d](/admin/logout/) <e@example.org>"
    )
    assert 'href="https://example.org"' in html
    assert 'rel="noopener noreferrer nofollow"' in html
    assert "javascript:" not in html.replace("[b](javascript:alert)", "")
    assert 'evil.example"' not in html
    assert '/admin/logout/"' not in html


def test_long_texts_are_shown_as_they_are_and_cut() -> None:
    assert "<strong>" not in markup.render("**a** " * 5_000)
    html = markup.render("<" * 150_000)
    assert "50,000 more characters" in html
    assert "<<" not in html


def test_deeply_nested_markdown_is_rendered_in_time() -> None:
    started = timezone.now()
    for text in (
        "> " * 9_000,
        "[" * 19_000,
        "*a " * 6_000,
        "`" * 19_999,
        "![" * 9_000,
        "- " * 9_000,
        "|" * 19_000 + "\n" + "|-" * 400,
    ):
        markup.render(text)
    assert (timezone.now() - started).total_seconds() < 10
