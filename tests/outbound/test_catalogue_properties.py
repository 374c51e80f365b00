"""Whatever a variable holds: no field more, no line end, no template expression, no markup; or it is refused in words."""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outbound.compose import compose_automatic, stamp
from outbound.errors import ComposeError
from outbound.line_fill import WIDTH, columns, fill
from outbound.links import hosts_in
from outbound.model import Finding, MailKind
from outbound.orders import acknowledgement, verdict_report
from outbound.template_files import load_templates
from outbound.variables import VariableType
from tests.outbound.catalogue import PORTAL, catalogue_mail, forms
from tests.outbound.conftest import LETTERHEAD, NOW
from tests.outbound.test_catalogue import ELEMENTS, _Page, parts


class _Office:
    letterhead = LETTERHEAD
    templates = load_templates()


FORMS = list(forms(_Office))
WORDED = [
    (kind, name, language)
    for kind, name, language in FORMS
    if _Office.templates.get(kind, language).variables
]
PIECES = (
    *(
        "\r\n",
        "\r",
        "\n",
        "\x00",
        "\u2028",
        "\x85",
        "\x0b",
        "\r\nBcc: all@contoso.test",
        "\r\n\r\n<html>",
        "--=_",
    ),
    *(
        "{{ 7 * 7 }}",
        "{% include 'letter/en/letter.txt' %}",
        "{{ ''.__class__.__mro__ }}",
        "{# x #}",
        "${7*7}",
    ),
    *(
        "<script>",
        '" onload="',
        "</p>",
        "</style><style>",
        "&lt;",
        "=?utf-8?B?QQ==?=",
        "\u202e",
        "日本語、",
        "\ud800",
    ),
    *("https://evil.example/", "www.evil.example"),
)
HOSTILE = st.lists(st.one_of(st.text(max_size=20), st.sampled_from(PIECES)), max_size=6).map("".join)
VALUES = st.one_of(HOSTILE, st.tuples(HOSTILE), st.integers(), st.booleans(), st.datetimes())


def fields(raw: bytes) -> list[str]:
    return [name for name, _value in email.message_from_bytes(raw).items()]


def shape(html: str) -> list[tuple[str, tuple[str, ...]]]:
    """Elements and their attributes' names, without those that a text of more lines or items brings more of."""
    return [
        (tag, tuple(sorted(name for name in attributes if name != "style")))
        for tag, attributes in _Page(html).tags
        if tag not in {"p", "br", "li", "ol", "ul", "h2", "div"}
    ]


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_no_variable_brings_a_field_a_line_end_an_expression_or_markup(data):
    kind, name, language = data.draw(st.sampled_from(WORDED))
    variable = data.draw(st.sampled_from(_Office.templates.get(kind, language).variables))
    value = data.draw(VALUES)
    if variable.type is VariableType.FINDINGS:
        return
    try:
        mail = catalogue_mail(kind, name, language, _Office, **{variable.name: value})
    except ComposeError as error:
        refused = str(error)
        assert re.fullmatch(r"[^\n]{10,300}[.)]", refused)
        return
    tame = catalogue_mail(kind, name, language, _Office)
    assert fields(mail.raw) == fields(tame.raw)
    assert mail.raw.isascii()
    assert re.search(rb"(?<!\r)\n|\r(?!\n)", mail.raw) is None
    assert "\n" not in mail.subject
    message = email.message_from_bytes(mail.raw, policy=email.policy.default)
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    assert not message.defects
    text, html = parts(mail.raw)
    page = _Page(html)
    assert {tag for tag, _ in page.tags} <= ELEMENTS
    if not variable.optional:
        assert shape(html) == shape(parts(tame.raw)[1])
    assert hosts_in(f"{mail.subject} {text} {html}") <= {PORTAL}
    if isinstance(value, str) and "{{ 7 * 7 }}" in value and variable.type is VariableType.TEXT:
        assert "{{ 7 * 7 }}" in " ".join(text.split())
        assert "{{ 7 * 7 }}" in " ".join(html.split())


@settings(max_examples=80, deadline=None)
@given(title=HOSTILE, name=HOSTILE, kind=st.sampled_from([MailKind.ACKNOWLEDGEMENT, MailKind.VERDICT_REPORT]))
def test_automatic_mail_is_the_same_whatever_the_sender_called_things(automatic_world, title, name, kind):
    office, incident, contact = automatic_world
    party = {"contact_id": contact.id, "address": contact.address, "idempotency_key": "k", "ordered_at": NOW}
    if kind is MailKind.ACKNOWLEDGEMENT:
        order = acknowledgement(thread_id=incident.id, in_reply_to=title, **party)
    else:
        order = verdict_report(
            findings=[Finding("forged", "operated", title, (name,))], thread_id=incident.id, **party
        )
    one = stamp("t", "experts.test", NOW)

    def made(order, thread, contact):
        return compose_automatic(order, office=office, thread=thread, contact=contact, one=one).raw

    mail = made(order, replace(incident, title=title), replace(contact, name=name))
    assert mail == made(order, incident, contact)
    said = mail.decode()
    for words in ("Bcc", "evil.example", "<script", "7 * 7", "__class__"):
        assert words not in said


@pytest.fixture(scope="module")
def automatic_world(templates):
    from outbound.compose import Office
    from threads.model import Assignee, Contact, ContactKind, State, Thread, ThreadKind

    incident = Thread(
        1, ThreadKind.INQUIRY, "INQ-000001", "T", State.ACTIVE, None, Assignee.UNASSIGNED, 1, NOW, NOW
    )
    contact = Contact(1, 1, "ana@contoso.test", "Ana", ContactKind.INCIDENT_NOTIFICATION, "ja")
    return Office(LETTERHEAD, templates, lambda _t, _c: "r+x@reply.experts.test"), incident, contact


# -- filling lines ----------------------------------------------------------------------------------------
SCRIPTS = st.text(st.sampled_from("ab c,.()-、。「」（）ーっあ漢字ｱЖé"), max_size=300)


@settings(max_examples=300, deadline=None)
@given(SCRIPTS, st.integers(10, 80))
def test_filling_loses_no_letter_and_keeps_to_the_width(text, width):
    lines = fill(text, "1. ", "   ", width).split("\n")
    assert "".join("".join(lines).split()) == "1." + "".join(text.split())
    for number, line in enumerate(lines):
        assert line.startswith("   " if number else "1. ")
        if columns(line) > width:  # only what cannot be broken
            assert " " not in line[3:]
        if number and " " not in text:  # beside a blank, which the writer set, a line may end anyhow
            assert line[3:4] not in tuple("、。」）ーっ")
        if number + 1 < len(lines) and " " not in text:
            assert line[-1] not in "「（"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("one two three", ["one two", "three"]),
        ("https://portal.example/a-long-address", ["https://portal.example/a-long-address"]),
        ("これは長い文章です。", ["これは長い", "文章です。"]),
        ("あいうえお。かき", ["あいうえ", "お。かき"]),
        ("あいうえ「かき」", ["あいうえ", "「かき」"]),
        ("abc あいう", ["abc あいう"]),
    ],
)
def test_lines_end_where_the_script_lets_them(text, lines):
    assert fill(text, width=10).split("\n") == lines


def test_wide_letters_count_twice_and_marks_not_at_all():
    assert columns("aあ") == 3
    assert columns("e\u0301") == 1
    assert WIDTH == 72
