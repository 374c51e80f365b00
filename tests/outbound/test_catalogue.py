"""The catalogue as it is sent: what each mail says, what may fill it, and how it reads.

After a change that is meant: RENEW_SNAPSHOTS=1 .venv/bin/pytest tests/outbound/test_catalogue.py, then read the
difference (git diff tests/outbound/snapshots) and raise the version in template.toml of each kind that says something
else now.
"""

from __future__ import annotations

import email
import email.policy
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest

from outbound.errors import ComposeError
from outbound.model import MailKind, Stamp
from outbound.render import render
from outbound.template import FILES, LETTER_FILES, TemplateSet
from outbound.template_files import load_templates
from outbound.variables import Source, VariableType
from tests.outbound.catalogue import (
    FORMS,
    LANGUAGES,
    PORTAL,
    catalogue_mail,
    draft_of,
    forms,
    reduced_mail,
)
from tests.outbound.conftest import LETTERHEAD, NOW

SNAPSHOTS = Path(__file__).with_name("snapshots")
RENEW = os.environ.get("RENEW_SNAPSHOTS") == "1"
FREE = {VariableType.LINE, VariableType.LINES, VariableType.TEXT}  # what is worded freely
OFFICE_ONLY = {MailKind.ALERT}  # to experts, who read English


class _Office:
    letterhead = LETTERHEAD
    templates = load_templates()


ALL = [pytest.param(*form, id=f"{form[1]}.{form[2]}") for form in forms(_Office)]
REDUCED = [
    pytest.param(*form, id=f"{form[1]}.{form[2]}")
    for form in forms(_Office)
    if _Office.templates.holds_details(form[0]) and form[0] not in OFFICE_ONLY
]


def stamp() -> Stamp:
    return Stamp("<t@experts.test>", NOW, "t")


def test_no_automatic_mail_is_refused_for_what_an_expert_wrote_somewhere():
    """Nobody is there to correct it, so it is repaired."""
    refused = [
        (declared.kind, one.name)
        for declared in _Office.templates.catalogue
        for one in declared.variables
        if declared.kind.automatic and one.source is not Source.OURS and one.type in FREE and not one.clean
    ]
    assert refused == []


def template_texts() -> dict[str, str]:
    root = files("outbound") / "templates"
    return {
        str(path.relative_to(root)): path.read_text(encoding="utf-8")
        for path in Path(str(root)).rglob("*")
        if path.is_file()
    }


def parts(raw: bytes) -> tuple[str, str]:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    return tuple(part.get_content().replace("\r\n", "\n") for part in message.iter_parts())


# -- what is said -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(("kind", "name", "language"), ALL)
def test_each_mail_says_what_it_said(kind, name, language):
    mail = catalogue_mail(kind, name, language, _Office)
    text, html = parts(mail.raw)
    head, _, body = html.partition("<body")
    told = {
        f"{name}.{language}.txt": f"Subject: {mail.subject}\n\n{text}",
        f"{name}.{language}.html": f"<body{body}",
    }
    if name == "test-notification":
        told[f"head.{language}.html"] = head
    for file, words in told.items():
        if RENEW:
            SNAPSHOTS.mkdir(exist_ok=True)
            (SNAPSHOTS / file).write_text(words, encoding="utf-8", newline="\n")
        assert words == (SNAPSHOTS / file).read_text(encoding="utf-8"), f"{file}: see the top of this test"


@pytest.mark.parametrize(("kind", "name", "language"), REDUCED)
def test_each_mail_without_its_details_says_what_it_said(kind, name, language):
    mail = reduced_mail(kind, name, language, _Office)
    text, html = parts(mail.raw)
    page = _Page(html)
    assert page.open == []
    assert {tag for tag, _ in page.tags} <= ELEMENTS
    told = {
        f"{name}.reduced.{language}.txt": f"Subject: {mail.subject}\n\n{text}",
        f"{name}.reduced.{language}.html": f"<body{html.partition('<body')[2]}",
    }
    for file, words in told.items():
        if RENEW:
            (SNAPSHOTS / file).write_text(words, encoding="utf-8", newline="\n")
        assert words == (SNAPSHOTS / file).read_text(encoding="utf-8"), f"{file}: see the top of this test"


def test_no_snapshot_is_of_a_mail_that_is_no_more():
    known = {f"{name}.{language}" for _kind, name, language in forms(_Office)}
    known |= {f"{form.values[1]}.reduced.{form.values[2]}" for form in REDUCED}
    known |= {f"head.{language}" for language in LANGUAGES}
    assert {path.stem for path in SNAPSHOTS.iterdir()} == known


def test_every_kind_is_there_in_every_language_and_every_form_is_tried():
    for declaration in _Office.templates.catalogue:
        wanted = ("en",) if declaration.kind in OFFICE_ONLY else LANGUAGES
        assert declaration.languages == wanted, declaration.kind
    assert {kind for kind, _en, _ja in FORMS.values()} == {one.kind for one in _Office.templates.catalogue}
    folders = {path.partition("/")[0] for path in template_texts()} - {"letter"}
    assert folders == {kind.value for kind in MailKind if kind.templated}


def test_a_file_that_is_missing_is_told_plainly():
    texts = template_texts()
    needed = [f"letter/{language}/{file}" for language in LANGUAGES for file in LETTER_FILES]
    for declaration in _Office.templates.catalogue:
        needed += [
            f"{declaration.kind}/{language}/{file}" for language in declaration.languages for file in FILES
        ]
        needed.append(f"{declaration.kind}/template.toml")
    for path in needed:
        with pytest.raises(ComposeError, match=re.escape(path.rpartition("/")[2])):
            TemplateSet({name: text for name, text in texts.items() if name != path})


def test_a_further_language_needs_its_files_and_nothing_else():
    texts = {
        path.replace("/en/", "/pt-br/"): text.replace("/en/", "/pt-br/")
        for path, text in template_texts().items()
        if "/en/" in path
    } | template_texts()
    texts["reply/template.toml"] = texts["reply/template.toml"].replace('"ja"', '"ja", "pt-br"')
    templates = TemplateSet(texts)
    assert templates.get(MailKind.REPLY, "pt-BR").language == "pt-br"
    assert templates.get(MailKind.REPLY, "pt").language == "en"
    mail = render(
        replace(draft_of(MailKind.REPLY, "reply", "en"), language="pt-BR"),
        templates.get(MailKind.REPLY, "pt-BR"),
        LETTERHEAD,
        stamp(),
    )
    assert 'lang="pt-br"' in parts(mail.raw)[1]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("version = 4", "version = 'x'"), "reply is not complete"),
        (("version = 4", ""), "reply is not complete"),
        (('"ja"', '"ja", "../x"'), "codes"),
        (('["en", "ja"]', '["ja"]'), "'en' among them"),
        (('type = "text"', 'type = "words"'), "reply is not complete"),
        (('type = "text"', 'type = "choice"'), "choice without options"),
        (('type = "text"', 'type = "text"\nlength = 3'), "'length' that means nothing"),
        (("subject_max = 150", "subject_max = 150\ncolour = 1"), "'colour' that means nothing"),
        (("subject_max = 150", 'subject_max = 150\none_of = ["text"]'), "no optional variable"),
    ],
)  # fmt: skip
def test_a_declaration_that_does_not_fit_is_refused(change, told):
    texts = template_texts()
    assert change[0] in texts["reply/template.toml"]
    texts["reply/template.toml"] = texts["reply/template.toml"].replace(*change)
    with pytest.raises(ComposeError, match=told):
        TemplateSet(texts)


# -- what may fill it -------------------------------------------------------------------------------------
ILL = {
    VariableType.LINE: ("a\nb", 7, "", "a\x00b"),
    VariableType.TEXT: ("a\x1bb", 7, "", ("a",)),
    VariableType.LINES: ((), "a", ("a\nb",), (7,)),
    VariableType.COUNT: (-1, "1", True, 10**9),
    VariableType.CHOICE: ("no such word", "", 7),
    VariableType.LINK: ("http://portal.experts.test/", "https://evil.example/", f"https://{PORTAL}@evil.example/", f'https://{PORTAL}/" x', 7),
    VariableType.MOMENT: (NOW.replace(tzinfo=None), "2026-11-25", 7),
    VariableType.FINDINGS: ("x", (1,)),
    VariableType.FIGURES: ("x", (1,)),
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name", "language"), [one for one in ALL if one.id.endswith(".en") and one.id.count(".") == 1]
)
def test_a_variable_that_is_missing_surplus_or_ill_typed_is_refused_in_words(kind, name, language):
    template = _Office.templates.get(kind, language)
    draft = draft_of(kind, name, language)
    letterhead = replace(LETTERHEAD, link_hosts=frozenset({PORTAL}))

    def refused(words, told):
        with pytest.raises(ComposeError, match=told) as error:
            render(replace(draft, variables=words), template, letterhead, stamp())
        assert str(error.value).endswith((".", ")."))

    refused({**draft.variables, "surprise": "x"}, f"{kind.value} mail has no place for 'surprise'")
    for variable in template.variables:
        without = {key: word for key, word in draft.variables.items() if key != variable.name}
        if not variable.optional:
            refused(without, f"{kind.value} mail needs '{variable.name}'")
        for ill in ILL[variable.type]:
            if (variable.optional and not ill and not isinstance(ill, bool)) or (
                variable.clean and isinstance(ill, (str, tuple)) and ill
            ):
                continue
            refused({**draft.variables, variable.name: ill}, f"'{variable.name}'")


def test_a_managed_response_without_any_step_is_refused():
    draft = draft_of(MailKind.MANAGED_RESPONSE, "managed-response.pending", "en")
    words = {name: word for name, word in draft.variables.items() if name != "pending"}
    with pytest.raises(ComposeError, match="needs 'pending' or 'completed'"):
        render(replace(draft, variables=words), _Office.templates.get(draft.kind, "en"), LETTERHEAD, stamp())


def test_automatic_kinds_have_no_place_for_a_senders_words():
    for declaration in _Office.templates.catalogue:
        if declaration.kind.automatic:
            assert all(variable.source is not Source.SENDER for variable in declaration.variables)
    texts = template_texts()
    texts["reminder/template.toml"] += '\n[variables.said]\ntype = "line"\nsource = "sender"\n'
    with pytest.raises(
        ComposeError,
        match="reminder is not complete: it is automatic, and 'said' may hold what a sender wrote",
    ):
        TemplateSet(texts)


@pytest.mark.parametrize("kind", [kind for kind in MailKind if kind.automatic and kind.templated])
def test_automatic_mail_repeats_no_name_that_came_by_mail(kind):
    draft = draft_of(kind, kind.value, "en")
    posing = replace(draft, recipient=replace(draft.recipient, display_name="PAY at evil"))
    letterhead = replace(LETTERHEAD, link_hosts=frozenset({PORTAL}))
    with pytest.raises(ComposeError, match="automatic"):
        render(posing, _Office.templates.get(kind, "en"), letterhead, stamp())


# -- how it reads -----------------------------------------------------------------------------------------
ELEMENTS = frozenset(
    {"html", "head", "meta", "title", "style", "body", "div", "h1", "h2", "p", "br", "ol", "ul", "li", "strong", "code", "a"}
    | {"table", "tbody", "tr", "th", "td"}
)  # fmt: skip


class _Page(HTMLParser):
    """Collects what a screen reader would be told."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def attributes(self, *tags):
        return [attributes for tag, attributes in self.tags if tag in tags]


@pytest.mark.parametrize(("kind", "name", "language"), ALL)
def test_each_mail_reads_by_ear_in_the_dark_on_a_phone_and_loads_nothing(kind, name, language):
    mail = catalogue_mail(kind, name, language, _Office)
    _text, html = parts(mail.raw)
    page = _Page(html)
    assert page.open == []  # well nested
    (root,) = page.attributes("html")
    assert root["lang"] == language
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert max(levels) <= 2
    assert {tag for tag, _ in page.tags} <= ELEMENTS
    for attributes in page.attributes("th"):
        assert attributes["scope"] in {"row", "col"}
    assert page.attributes("th") or not page.attributes("table")  # a table is one of facts, never of layout
    metas = {attributes.get("name"): attributes.get("content") for attributes in page.attributes("meta")}
    assert metas["color-scheme"] == "light dark"
    assert metas["viewport"] == "width=device-width, initial-scale=1"
    assert "prefers-color-scheme: dark" in html
    for attributes in page.attributes("a"):
        assert attributes["href"].startswith(f"https://{PORTAL}/")
    assert not re.search(r"\bsrc=|url\(|@import|\bon[a-z]+=|<!--", html)


@pytest.mark.parametrize(("kind", "name", "language"), ALL)
def test_each_mail_travels_as_seven_bit_in_short_lines(kind, name, language):
    raw = catalogue_mail(kind, name, language, _Office).raw
    assert raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    lines = raw.split(b"\r\n")
    assert max(map(len, lines)) <= 78
    head = raw.partition(b"\r\n\r\n")[0]
    assert all(len(line) <= 76 for line in head.split(b"\r\n") if b"=?" in line)  # RFC 2047 2
    assert b"Content-Transfer-Encoding: 8bit" not in raw
    if language == "ja":
        assert raw.count(b"Content-Transfer-Encoding: base64") >= 1


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("length", range(1, 150, 7))
def test_a_subject_of_any_length_keeps_its_lines(language, length):
    title = ("不審なサインインを検出しました" if language == "ja" else "Wörter with an odd sign-in ") * 12
    mail = catalogue_mail(MailKind.REPLY, "reply", language, _Office, title=title[:length].strip())
    head = mail.raw.partition(b"\r\n\r\n")[0]
    assert max(map(len, head.split(b"\r\n"))) <= 78
    assert email.message_from_bytes(mail.raw, policy=email.policy.default)["Subject"] == mail.subject
    assert len(mail.subject) <= 150


# -- where it leads ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("file", "evil"),
    [
        ("reply/en/body.html", '<a href="https://evil.example/">x</a>'),
        ("reply/en/body.html", '<a href="//evil.example/">x</a>'),
        ("reply/en/body.html", '<a href="mailto:x@evil.example">x</a>'),
        ("reply/en/body.html", '<a href="javascript:alert(1)">x</a>'),
        ("reply/en/body.html", f"<a href='https://{PORTAL}/'>single quotes</a>"),
        ("reply/en/body.html", f'<img src="https://{PORTAL}/pixel.png" alt="">'),
        ("reply/en/body.html", f'<p style="background-image: url(https://{PORTAL}/x)">x</p>'),
        ("reply/en/body.html", '<p onclick="x()">x</p>'),
        ("reply/en/body.html", "<form><input></form>"),
        ("reply/en/body.html", "<script>x</script>"),
        ("reply/en/body.html", "<iframe></iframe>"),
        ("reply/en/body.html", "<p>www.evil.example</p>"),
        ("reply/en/body.txt", "https://evil.example/"),
        ("reply/en/body.txt", "see ftp://evil.example"),
        ("reply/en/subject.txt", "www.evil.example"),
        ("letter/shared/frame.html", '<link rel="stylesheet" href="x.css">'),
    ],
)  # fmt: skip
def test_a_link_to_another_host_or_anything_to_load_is_refused_when_rendering(file, evil):
    texts = template_texts()
    texts[file] = (
        texts[file]
        .replace("{{ text ", evil + "{{ text ")
        .replace("{{ title }}", evil)
        .replace("<h1>", f"{evil}<h1>")
    )
    templates = TemplateSet(texts)
    letterhead = replace(LETTERHEAD, link_hosts=frozenset({PORTAL}))
    with pytest.raises(ComposeError, match=r"link|lead|element|load"):
        render(
            draft_of(MailKind.REPLY, "reply", "en"), templates.get(MailKind.REPLY, "en"), letterhead, stamp()
        )


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.example",
        "HTTPS://EVIL.EXAMPLE",
        "https://portal.experts.test@evil.example/",
        "https://evil.example\\@portal.experts.test/",
        "https://portal.experts.test.evil.example/",
        "https://portal%2eexperts.test/",
        "ms-msdt://evil.example/x",
        "file://evil.example/share",
        "www.evil.example",
    ],
)
def test_no_text_leads_elsewhere(text):
    with pytest.raises(ComposeError, match="links to"):
        catalogue_mail(MailKind.REPLY, "reply", "en", _Office, text=f"see {text} now")


def test_what_is_written_defanged_and_links_to_the_portal_go_through():
    text = f"see hxxps://evil[.]example and https://{PORTAL}/x, or 10://2"
    assert text in " ".join(
        parts(catalogue_mail(MailKind.REPLY, "reply", "en", _Office, text=text).raw)[0].split()
    )
