"""Every page, for somebody who may do everything, in a place full of hostile text: nothing of it runs, asks, or breaks the layout."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from email.header import Header
from pathlib import Path

import pytest

from expertmail.console.pages.catalogue import PAGES
from expertmail.console.pages.page import Open
from tests.console.browsing import DESKTOP, Window
from tests.console.busy_place import fill
from tests.console.place import Place, make_place, now
from tests.console.test_every_route import EXAMPLES
from threads import store
from threads.access import Role
from threads.model import TaskSource
from threads.store.tasks import add_task

NARROW = (360, 740)
LF, CRLF = "\n", "\r\n"
# Each would do something if it were taken for markup, a style, an address or a direction.
HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)><animate onbegin=alert(1) attributeName=x>",
    '"><iframe src="javascript:alert(1)"></iframe>',
    "' onmouseover='alert(1)' x='",
    "</title></textarea></style><script>alert(1)</script>",
    "{{ 7*7 }}{% raw %}${7*7}#{7*7}",
    "javascript:alert(1)",
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
    "<style>@import url(http://evil.test/x.css);*{display:none}</style>",
    "\u202eexe.fdp \u2066\u2067 \u200b\u200d\ufeff invisible",
    "a" * 400,
    "🏴\U000e0067\U000e0062 \ud7ff\ufdd0 e" + "\u0301" * 60,
    "=?utf-8?q?=3Cscript=3Ealert(1)=3C/script=3E?=",
    "http://evil.test/ https://evil.test/?q=1 mailto:x@evil.test",
)
PAGE = """<html><body onload="alert(1)"><script>alert(1)</script><img src="http://evil.test/p.png">
<link rel="stylesheet" href="http://evil.test/x.css"><form action="http://evil.test"><input autofocus onfocus="alert(1)"></form>
<svg><a xlink:href="javascript:alert(1)"><text>x</text></a></svg><meta http-equiv="refresh" content="0;url=http://evil.test/">
<a href="javascript:alert(1)" target="_top">x</a><div style="position:fixed;inset:0;background:url(http://evil.test/b)">x</div>
<noscript><p title="</noscript><img src=x onerror=alert(1)>"></noscript><base href="http://evil.test/"></body></html>"""


def hostile_mail(text: str, to: str) -> bytes:
    name, subject = (Header(text, "utf-8").encode(linesep="\r\n") for _ in range(2))
    boundary = secrets.token_hex(8)
    file = "".join(one for one in text if one.isprintable() and one not in '"\\') or "x"
    return (
        f"From: {name} <mallory@evil.test>\r\nTo: <{to}>\r\nSubject: {subject}\r\n"
        f"Message-ID: <{secrets.token_hex(8)}@evil.test>\r\nDate: {now():%a, %d %b %Y %H:%M:%S +0000}\r\n"
        f'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n'
        f"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}\r\n"
        f"--{boundary}\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{PAGE.replace(LF, CRLF)}\r\n"
        f"--{boundary}\r\nContent-Type: image/svg+xml\r\nContent-Disposition: attachment;\r\n"
        f" filename*=utf-8''{''.join(f'%{one:02X}' for one in file[:100].encode())}\r\n\r\n<svg onload='alert(1)'/>\r\n"
        f"--{boundary}--\r\n"
    ).encode()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = make_place(tmp_path_factory.mktemp("hostile"))
    try:
        _make_hostile(made)
        yield made
    finally:
        made.database.close()
        made.served.stop()


def _make_hostile(made: Place) -> None:
    fill(made)
    with made.database.writing() as conn:
        for number, text in enumerate(HOSTILE):
            store.open_incident(conn, made.contoso.id, text, now())
            store.add_note(conn, made.incident.id, text, now(), actor=text[:60])
            store.add_contact(conn, made.contoso.id, f"x{number}@contoso.test", text, now())
            add_task(conn, made.incident, text, TaskSource.GUIDED_RESPONSE, now(), by=text[:60])
            store.add_organisation(conn, f"{number} {text}"[:200], now())
    for text in HOSTILE:
        for to in (made.reply_address(made.incident), "query@experts.test"):
            made.mail(hostile_mail(text, to), mail_from="mallory@evil.test", to=to)
        made.answer(made.incident, made.alice, text, subject="Re: x")


@pytest.mark.parametrize("size", [NARROW, DESKTOP], ids=["phone", "desk"])
def test_hostile_text_stays_text_on_every_page(
    place: Place, window: Callable[..., Window], tmp_path: Path, size: tuple[int, int]
) -> None:
    person = place.person(*Role, name="who-may-do-everything")
    place.looking = person
    known, nobody = window(person, size=size), window(None, size=size)
    for each in (known, nobody):
        each.page.on(
            "dialog",
            lambda dialog, to=each: (to.strange.append(f"dialog {dialog.message}"), dialog.dismiss()),
        )
    faults = []
    for page in PAGES:
        example = EXAMPLES.get(page.name)
        if page.method != "GET" or example is None or example.off:
            continue
        path = example.path(place)
        anybody = page.needs is Open.ANYBODY
        answer = place.ask("GET", path, person=None if anybody else person)
        assert answer.status < 400, (page.name, answer.status)
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        framed = "sandbox" in answer.headers["content-security-policy"]  # mail, in which no script runs
        seen = nobody if anybody else known
        seen.go(path)
        if wide := seen.wider_than_the_window():
            faults.append(f"{page.name} is too wide: {wide}")
        inline = seen.page.evaluate(
            "[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames().filter(n => n.startsWith('on') || n === 'style'))"
            ".concat([...document.querySelectorAll('script:not([src]), style, base, object, embed')].map(e => e.tagName))"
        )
        faults += [f"{page.name} has {one}" for one in inline if not framed or one not in {"STYLE", "style"}]
        faults += [f"{page.name}: {one}" for one in seen.strange]
        seen.strange.clear()
    assert faults == []
