"""HTML of mail made harmless: whatever comes in, a page comes out that loads nothing and leads nowhere."""

from __future__ import annotations

import html.parser
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threads.harmless_html import MAX_HTML, MAX_LINKS, harmless_page

_LOADING = {
    "src",
    "srcset",
    "href",
    "background",
    "action",
    "formaction",
    "poster",
    "data",
    "xlink:href",
    "style",
    "ping",
}


def _mail(body: str, kind: str = "text/html; charset=utf-8") -> bytes:
    return (
        b"From: a@b.test\r\nMIME-Version: 1.0\r\nContent-Type: "
        + kind.encode()
        + b"\r\n\r\n"
        + body.encode("utf-8", "replace")
    )


class _Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, list[tuple[str, str | None]]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))


def _dangers(page: str) -> list[object]:
    """Tags and attributes below our own head that could run, load or lead anywhere."""
    reader = _Tags()
    reader.feed(page[page.index("<body>") :])
    return [
        (tag, attrs)
        for tag, attrs in reader.found
        if tag
        in {
            "script",
            "img",
            "iframe",
            "object",
            "embed",
            "form",
            "input",
            "link",
            "meta",
            "base",
            "svg",
            "style",
            "video",
        }
        or any(name in _LOADING or name.startswith("on") for name, _ in attrs)
    ]


HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<a href='javascript:alert(1)'>x</a>", "<svg onload=alert(1)>",
    "<a href='https://bad.test/'>https://good.test</a>", "<iframe src=//bad.test></iframe>", "<form action=//bad.test><input name=p></form>",
    "<style>@import url(//bad.test)</style>", "<p style='background:url(//bad.test)'>x</p>", "<table background='//bad.test'><td>x</table>",
    "<base href=//bad.test>", "<meta http-equiv=refresh content='0;url=//bad.test'>", "<link rel=stylesheet href=//bad.test>",
    "<math><mtext></mtext><mglyph><style><img src onerror=alert(1)>", "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>", "<!--><img src=x onerror=alert(1)>-->", "<p onclick=alert(1)>x", "<video poster=//bad.test>",
    "</body></html><script>alert(1)</script>", "{content}{links}{0}", "<a ping=//bad.test href=http://x>x</a>", "\0<im\0g src=x>",
]  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_runs_loads_or_leads_anywhere(hostile: str) -> None:
    page = harmless_page(_mail(f"<p>before</p>{hostile}<p>after</p>"))
    assert page is not None
    assert _dangers(page) == []
    assert "before" in page


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from([*HOSTILE, "<", ">", "'", '"', "<a href=", "<b>", "</b>", "x", "é", "\ud800"]),
        max_size=12,
    ).map("".join)
)
def test_nor_does_any_mixture_of_them(mixture: str) -> None:
    page = harmless_page(_mail(f"<p>x</p>{mixture}"))
    assert page is not None
    assert _dangers(page) == []


def test_what_people_read_stays_in_its_layout_and_links_are_listed_as_text() -> None:
    page = harmless_page(
        _mail(
            "<h1>Hello</h1><ul><li>one<li>two</ul><table><tr><td colspan=2>cell</td></tr></table><a href='https://bad.test/?a=1&b=<2>'>our portal</a>"
        )
    )
    assert page is not None
    for kept in ("<h1>Hello</h1>", "<li>one", '<td colspan="2">cell</td>', "our portal"):
        assert kept in page
    assert "<code>https://bad.test/?a=1&amp;b=&lt;2&gt;</code>" in page
    assert "href=" not in page


def test_a_message_without_html_has_no_page_and_an_attached_page_is_a_file() -> None:
    assert harmless_page(_mail("only text", "text/plain")) is None
    attached = b"From: a@b.test\r\nContent-Type: text/html\r\nContent-Disposition: attachment\r\n\r\n<p>x</p>"
    assert harmless_page(attached) is None
    assert harmless_page(b"") is None


@pytest.mark.parametrize(
    "piece", ["<div>", "<a href=http://x/1>", "<b><i>", "&#1;", "<table><tr><td>", "<", "<p title='"]
)
def test_a_large_hostile_page_takes_its_time_in_proportion_and_stays_bounded(piece: str) -> None:
    def seconds(size: int) -> float:
        raw = _mail(piece * (size // len(piece)))
        began = time.process_time()
        harmless_page(raw)
        return time.process_time() - began

    small = max(seconds(20_000), 0.002)
    assert seconds(200_000) < small * 100
    page = harmless_page(_mail("".join(f"<a href=http://x/{n}>x</a>" for n in range(40_000))))
    assert page is not None
    assert page.count("<li><code>") == MAX_LINKS
    assert len(page) < 3 * MAX_HTML
