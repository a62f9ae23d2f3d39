"""Markdown of answers, by the page's own module in a real browser."""

import json
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.chat.visitor import Visitor
from tests.hub import Hub

TEXT = """# Title

A paragraph with **strong**, *emphasis*, ~~gone~~, `code` and [a link](https://example.org/a_(b)).
It goes on https://example.com/x?y=1.

- one
- two
    - deeper **still**

  and more of two
- three

1. first
2. second

* other
| not a table
| Name | Value |
| :--- | ---: |
| a \\| b | 1 |
| c |

> quoted
> - list

```python
def f(): pass

# no heading
```
---
#hashtag
#### Four
end *open **mixed* up `unclosed
"""

PAYLOADS = [
    "<script>window.hit = 1</script>",
    "<img src=x onerror='window.hit=1'>",
    "<svg onload=window.hit=1>",
    "<iframe srcdoc='<script>parent.hit=1</script>'></iframe>",
    "[x](javascript:window.hit=1)",
    "[x](JaVaScRiPt:window.hit=1)",
    "[x](java\nscript:window.hit=1)",
    "[x](&#106;avascript:window.hit=1)",
    "[x](data:text/html,<script>window.hit=1</script>)",
    "[x](vbscript:x)",
    "[x](//evil.example)",
    "[x](\\\\evil.example)",
    "[x](https://evil.example/\"onmouseover=\"window.hit=1)",
    "![x](https://evil.example/pixel.png)",
    "![x](https://evil.example/pixel.png \"t\" onerror=window.hit=1)",
    "<https://evil.example/\"onclick=window.hit=1>",
    "<javascript:window.hit=1>",
    "https://evil.example/<script>window.hit=1</script>",
    "```html\n<script>window.hit=1</script>\n```",
    "```\"><img src=x onerror=window.hit=1>\nx\n```",
    "| <img src=x onerror=window.hit=1> | b |\n|---|---|\n| <script>window.hit=1</script> | c |",
    "<style>@import url(https://evil.example/x.css);</style>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<base href=https://evil.example>",
    "<form action=https://evil.example><button>x</button></form>",
    "<object data=https://evil.example></object><embed src=https://evil.example>",
    "<a href='javascript:window.hit=1'>x</a>",
    "<video src=https://evil.example/v poster=https://evil.example/p>",
    "{{constructor.constructor('window.hit=1')()}} ${window.hit=1}",
    "<math><mtext></p><style><img src onerror=window.hit=1></style>",
    "<noscript><p title='</noscript><img src=x onerror=window.hit=1>'>",
    "\u202e\u2066<b>bidi</b>",
    "[![x](javascript:1)](javascript:window.hit=1)",
    "<details open ontoggle=window.hit=1>",
    "<input autofocus onfocus=window.hit=1>",
    "<!--><img src=x onerror=window.hit=1>-->",
    "<![CDATA[><img src=x onerror=window.hit=1>]]>",
    "<x contenteditable onblur=window.hit=1 tabindex=1 autofocus>",
    "'\"><svg/onload=window.hit=1>//",
]  # fmt: skip


NONSENSE = [
    "*" * 20_000,
    "[" * 20_000,
    "`" * 9_999 + " x",
    "_a" * 9_000,
    "> " * 5_000,
    "![](" * 5_000,
    "- " * 5_000,
    "|" * 9_000 + "\n" + "|-" * 4_000,
    "https://" * 2_000,
]


def rendered(visitor: Visitor, text: str) -> str:
    """The text's HTML, as one whole."""
    script = """async (text) => {
        const { render } = await import('/static/chat/markdown.js');
        const box = document.createElement('div');
        box.append(...render(text));
        return box.innerHTML;
    }"""
    html: str = visitor.page.evaluate(script, text)
    return html


def test_it_knows_what_models_write(visitor: Visitor) -> None:
    html = rendered(visitor, TEXT)
    for piece in (
        '<h3 dir="auto">Title</h3>',
        "<strong>strong</strong>, <em>emphasis</em>, <del>gone</del>",
        'href="https://example.org/a_(b)" target="_blank" rel="noopener noreferrer nofollow">a link</a>',
        ">https://example.com/x?y=1</a>.",
        "<li>deeper <strong>still</strong></li></ul>",
        '<ol dir="auto"><li>first</li><li>second</li></ol>',
        '<th class="th-start">Name</th><th class="th-end">Value</th>',
        '<td class="th-start">a | b</td>',
        '<blockquote><p dir="auto">quoted</p><ul dir="auto"><li>list</li></ul></blockquote>',
        "<figcaption>python</figcaption>",
        "def f(): pass\n\n# no heading</code></pre>",
        "<hr>",
        '<p dir="auto">#hashtag</p>',
        '<h6 dir="auto">Four</h6>',
        "`unclosed",
    ):
        assert piece in html


@pytest.mark.parametrize("size", [1, 2, 3, 7, 40, 1000])
def test_in_pieces_it_becomes_what_it_is_as_a_whole(visitor: Visitor, size: int) -> None:
    script = """async ([text, size]) => {
        const { GrowingText } = await import('/static/chat/markdown.js');
        const box = document.createElement('div');
        const growing = new GrowingText(box);
        for (let at = 0; at < text.length; at += size) {
            growing.append(text.slice(at, at + size));
            growing.draw();
        }
        return box.innerHTML;
    }"""
    assert visitor.page.evaluate(script, [TEXT, size]) == rendered(visitor, TEXT)


def test_what_stands_is_left_alone_while_more_comes(visitor: Visitor) -> None:
    script = """async () => {
        const { GrowingText } = await import('/static/chat/markdown.js');
        const box = document.createElement('div');
        const growing = new GrowingText(box);
        growing.append('first\\n\\nsecond\\n\\nthird'); growing.draw();
        const before = [...box.children].slice(0, 2);
        growing.append(' and more\\n\\nfourth\\n\\nfifth'); growing.draw();
        return before.every((node, at) => node === box.children[at]) && box.children.length;
    }"""
    assert visitor.page.evaluate(script) == 5


@pytest.mark.parametrize("text", NONSENSE, ids=lambda text: text[:4])
def test_nonsense_is_read_in_no_time(visitor: Visitor, text: str) -> None:
    script = """async (text) => {
        const { render } = await import('/static/chat/markdown.js');
        const begin = performance.now();
        render(text);
        return performance.now() - begin;
    }"""
    assert visitor.page.evaluate(script, text) < 3_000  # ms; quadratic reading would take minutes


def test_no_text_is_ever_more_than_text(visitor: Visitor) -> None:
    tags = {"P", "A", "BR", "CODE", "PRE", "FIGURE", "FIGCAPTION", "DIV", "TABLE", "THEAD", "TBODY", "TR", "TH", "TD"}
    script = """async (text) => {
        const { render } = await import('/static/chat/markdown.js');
        const box = document.createElement('div');
        document.body.append(box);
        box.append(...render(text));
        const all = [...box.querySelectorAll('*')];
        return {
            tags: all.map((node) => node.tagName),
            attributes: all.flatMap((node) => node.getAttributeNames()),
            links: all.filter((node) => node.href).map((node) => node.protocol),
        };
    }"""
    for payload in PAYLOADS:
        made: dict[str, Any] = visitor.page.evaluate(script, payload)
        assert set(made["tags"]) <= tags, payload
        assert set(made["attributes"]) <= {"class", "dir", "href", "rel", "target", "tabindex"}, payload
        assert set(made["links"]) <= {"https:"}, payload
    assert visitor.page.evaluate("window.hit") is None


def test_hostile_text_in_every_place_does_nothing(visitor: Visitor, hub: Hub, context: BrowserContext) -> None:
    """In the question, the answer, a tool's arguments and its result, the list of titles; live and after a reload."""
    hostile = [payload for payload in PAYLOADS if "\n" not in payload]
    asked = "\n".join(f"/say {payload}\n/say" for payload in hostile)
    visitor.ask(f"{hostile[1]} {hostile[2]}\n/tool current_time {json.dumps({'zone': ' '.join(hostile)})}\n{asked}")
    visitor.answered()
    for _ in range(2):
        expect(visitor.page.locator(".th-call.th-failed")).to_be_visible()
        visitor.page.locator("summary").click()
        visitor.page.get_by_role("button", name="Conversations").click()
        expect(visitor.page.get_by_role("navigation").get_by_role("button")).to_have_count(1)
        assert visitor.page.evaluate("window.hit") is None
        assert visitor.page.locator("main img, main iframe, main script, main form form, main style").count() == 0
        visitor.page.reload()
        visitor.answered()
