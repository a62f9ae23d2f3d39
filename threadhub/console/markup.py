"""Markdown of messages as HTML that cannot do anything: two walls, either of which would hold.

The renderer escapes raw HTML and draws no images; what it made then passes an allow-list of tags and attributes.
Links stay links, to http, https and mailto only; nothing is loaded until somebody clicks.
"""

from typing import Any

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML

MARKDOWN_SHOWN = 20_000  # characters; longer texts are shown as they are
TEXT_SHOWN = 100_000

TAGS = {
    "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s",
    "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "span": {"class"}}
SCHEMES = ("http://", "https://", "mailto:")


def _picture(renderer: RendererHTML, tokens: Any, index: int, options: Any, env: Any) -> str:
    """A picture of a message is named, not drawn: drawing it would tell its server who reads what, and when."""
    token = tokens[index]
    source = str(token.attrGet("src") or "")
    shown = source if not source.startswith("data:") else "data:…"
    return f'<span class="th-picture">[{escape(token.content or "picture")}] {escape(shown)}</span>'


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
    parser.add_render_rule("image", _picture)
    parser.validateLink = lambda url: url.lower().startswith(SCHEMES)  # type: ignore[method-assign]
    return parser


PARSER = _parser()


def render(text: str, *, plain: bool = False) -> SafeString:
    """A message's text as HTML. `plain`: as it stands, without reading markdown."""
    if plain or len(text) > MARKDOWN_SHOWN:
        return _as_it_is(text)
    html = nh3.clean(
        PARSER.render(text),
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        allowed_classes=None,
    )
    return mark_safe(html)  # noqa: S308  cleaned just now


def _as_it_is(text: str) -> SafeString:
    rest = len(text) - TEXT_SHOWN
    cut = f'<p class="th-note">… {rest:,} more characters</p>' if rest > 0 else ""
    return mark_safe(f'<div class="th-plain">{escape(text[:TEXT_SHOWN])}</div>{cut}')  # noqa: S308  escaped here
