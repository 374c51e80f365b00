"""Where a strict reading and those of common mail programs differ, nothing is genuine and a reason says so.

Every message here is signed by the protected domain over all of its fields, and one reader at least sees its pinned
address as the author. Each is judged a second time without a signature.
"""

from __future__ import annotations

import base64
import time

import pytest

from tests.verifier.judging import judged, txt
from tests.verifier.signing import rsa_record, signed
from verifier.address import AddressError, read_author_field
from verifier.ambiguity import ambiguities_of
from verifier.ambiguity_form import WORDS, Ambiguity, Form
from verifier.identity import Identity
from verifier.message import read_message
from verifier.report import Effect, Report, Verdict

DOMAIN = "experts.test"
IDN = "xn--bcher-kva.test"
PROTECTED = (
    Identity(
        "experts",
        display_names=("Defender Experts",),
        domains=(DOMAIN, IDN),
        addresses=(f"d@{DOMAIN}", f"d@{IDN}", f"a%b@{DOMAIN}", f"a!b@{DOMAIN}"),
        signing_domains=(DOMAIN, IDN),
    ),
)
EVIDENCE = txt({f"rsa._domainkey.{name}": rsa_record(1_024) for name in (DOMAIN, IDN)})
PLAIN = b"Defender Experts <d@experts.test>"
OTHERS = (
    b"To: Bob <bob@example.net>\r\nCc: carol@example.net\r\nReply-To: reply@experts.test\r\nSubject: hi\r\n"
    b"Date: Wed, 25 Nov 2026 10:00:01 +0000\r\nMessage-ID: <1@experts.test>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
)
VISIBLE = [field.name for field in read_message(OTHERS + b"\r\n").fields]


def message(author: bytes = PLAIN, others: bytes = OTHERS) -> bytes:
    return b"From: " + author + b"\r\n" + others + b"\r\nHello\r\n"


def with_field(name: bytes, value: bytes) -> bytes:
    """The plain message with another value of one field."""
    fields = [f for f in read_message(OTHERS + b"\r\n").fields if f.name != name]
    return message(others=b"".join(f.raw for f in fields) + name + b": " + value + b"\r\n")


def reports(raws: list[bytes]) -> list[Report]:
    return judged([(raw, EVIDENCE, None) for raw in raws], PROTECTED)


def by_owner(raw: bytes) -> bytes:
    """Signed over every field that there is, each one and one more (RFC 6376 5.4.2, 8.15)."""
    names = [field.lower.decode() for field in read_message(raw).fields]
    domain = IDN if "bücher".encode() in read_message(raw).named(b"from")[0].value else DOMAIN
    return signed(raw, bits=1_024, d=domain, h=":".join([*names, *dict.fromkeys(names)]))


def told(report: Report) -> set[str]:
    """What the reasons say about readers: the evidence of ``readers-differ``, or the code that says more."""
    return {
        str(reason.evidence) if reason.code == "readers-differ" else reason.code
        for reason in report.reasons
        if reason.effect in (Effect.WEAKENS, Effect.CONTRADICTS)
    }


def encoded(text: str) -> bytes:
    return b"=?utf-8?b?" + base64.b64encode(text.encode()) + b"?="


# The author is read by all, but not as the same by all: not proven.
DIFFER: list[tuple[str, bytes, Form]] = [
    ("group", b"Experts: d@experts.test;", Form.GROUP),
    ("group by somebody else's name", b"Anna: d@experts.test;", Form.GROUP),
    ("comment that holds another address", b"d@experts.test (anna@evil.test)", Form.COMMENT),
    ("the same before the address", b"(anna@evil.test) d@experts.test", Form.COMMENT),
    ("the same in the name", b"Defender (anna@evil.test) Experts <d@experts.test>", Form.COMMENT),
    ("comment with a bracketed address", b"d@experts.test (<anna@evil.test>)", Form.COMMENT),
    ("comment with an encoded address", b"d@experts.test (" + encoded("anna@evil.test") + b")", Form.ENCODED_SPECIALS),
    ("comment in a comment", b"d@experts.test (a (b) c)", Form.COMMENT),
    ("comment that ends a list element", b"d@experts.test (a, b)", Form.COMMENT),
    ("comment with an escaped end", b"d@experts.test (a \\) b)", Form.COMMENT),
    ("comment inside the local part's word", b"d(x)@experts.test", Form.BLANK_IN_ADDRESS),
    ("comment after the at-sign", b"d@(x)experts.test", Form.BLANK_IN_ADDRESS),
    ("comment inside the brackets", b"X <d@experts.test (x)>", Form.BLANK_IN_ADDRESS),
    ("comment first in the brackets", b"X <(x)d@experts.test>", Form.BLANK_IN_ADDRESS),
    ("blank before the at-sign", b"X <d @experts.test>", Form.BLANK_IN_ADDRESS),
    ("blank after the at-sign", b"X <d@ experts.test>", Form.BLANK_IN_ADDRESS),
    ("blanks inside the brackets", b"X < d@experts.test >", Form.BLANK_IN_ADDRESS),
    ("fold before the at-sign", b"X <d\r\n @experts.test>", Form.BLANK_IN_ADDRESS),
    ("fold in a bare address", b"d\r\n @experts.test", Form.BLANK_IN_ADDRESS),
    ("fold inside the brackets", b"X <\r\n d@experts.test>", Form.BLANK_IN_ADDRESS),
    ("fold with a line of blanks", b"X\r\n \r\n <d@experts.test>", Form.BLANK_LINE),
    ("encoded address as the name", encoded("anna@evil.test") + b" <d@experts.test>", Form.ENCODED_SPECIALS),
    ("encoded address and comma", encoded("anna@evil.test,") + b" <d@experts.test>", Form.ENCODED_SPECIALS),
    ("encoded name and bracketed address", encoded("Anna <anna@evil.test>") + b" <d@experts.test>", Form.ENCODED_SPECIALS),
    ("encoded at-sign", b"=?utf-8?q?Anna=40home?= <d@experts.test>", Form.ENCODED_SPECIALS),
    ("encoded wide at-sign", encoded("anna＠evil.test") + b" <d@experts.test>", Form.ENCODED_SPECIALS),
    ("encoded bracket", b"=?utf-8?q?Anna_=3C?= <d@experts.test>", Form.ENCODED_SPECIALS),
    ("encoded comma", b"=?utf-8?q?Experts=2C_Defender?= <d@experts.test>", Form.ENCODED_SPECIALS),
    ("encoded quote", b"=?utf-8?q?Anna_=22?= <d@experts.test>", Form.ENCODED_SPECIALS),
    ("encoded semicolon", b"=?utf-8?q?Anna=3B?= <d@experts.test>", Form.ENCODED_SPECIALS),
    ("encoded parenthesis without its end", encoded("Anna (") + b" <d@experts.test>", Form.ENCODED_SPECIALS),
    ("encoded NUL", b"=?utf-8?q?Anna=00?= <d@experts.test>", Form.CONTROL_CHARACTER),
    ("encoded line end", encoded("Anna\r\nFrom: x") + b" <d@experts.test>", Form.CONTROL_CHARACTER),
    ("encoded word in quotes, with an address", b'"' + encoded("anna@evil.test") + b'" <d@experts.test>', Form.ENCODED_SPECIALS),
    ("encoded word of an unknown charset", b"=?nope?q?Anna?= <d@experts.test>", Form.ENCODED_WORD),
    ("encoded word that is not of its charset", b"=?utf-8?q?=ff?= <d@experts.test>", Form.ENCODED_WORD),
    ("encoded word in an encoded word", encoded("=?utf-8?q?Anna?=") + b" <d@experts.test>", Form.ENCODED_WORD),
    ("encoded word that does not end", b"=?utf-8?q?Anna <d@experts.test>", Form.ENCODED_WORD),
    ("encoded local part", b"<=?utf-8?q?d?=@experts.test>", Form.ENCODED_ADDRESS),
    ("encoded local part that is an address", b"<=?utf-8?q?d=40experts.test?=@experts.test>", Form.ENCODED_ADDRESS),
    ("encoded turn of direction", encoded("\u202etset.live@anna") + b" <d@experts.test>", Form.DIRECTION),
    ("dot in the name", b"Def. Experts <d@experts.test>", Form.DOT_IN_NAME),
    ("raw UTF-8 in the name", "Défender <d@experts.test>".encode(), Form.RAW_UTF8),
    ("raw wide at-sign in the name", "anna＠evil.test <d@experts.test>".encode(), Form.RAW_UTF8),
    ("U-label", "X <d@bücher.test>".encode(), Form.RAW_UTF8),
    ("quoted local part", b'X <"d"@experts.test>', Form.QUOTED_LOCAL_PART),
    ("quoted local part with an at-sign", b'X <"d@evil.test"@experts.test>', Form.QUOTED_LOCAL_PART),
    ("quoted local part with a bracket", b'X <"d<anna"@experts.test>', Form.QUOTED_LOCAL_PART),
    ("quoted name with an address", b'"anna@evil.test" <d@experts.test>', Form.QUOTED_NAME),
    ("quoted name with a bracketed address", b'"Anna <anna@evil.test>" <d@experts.test>', Form.QUOTED_NAME),
    ("quoted name with brackets", b'"a <b> c" <d@experts.test>', Form.QUOTED_NAME),
    ("quoted name with an escaped end and a bracket", b'"X\\" <anna@evil.test>" <d@experts.test>', Form.QUOTED_NAME),
    ("quoted name with an escaped end and a comma", b'"X\\", Y" <d@experts.test>', Form.QUOTED_NAME),
    ("own address as a part of another one", b'"anna.d@experts.test" <d@experts.test>', Form.QUOTED_NAME),
    ("percent hack", b"<a%b@experts.test>", Form.ROUTED_LOCAL_PART),
    ("bang path", b"<a!b@experts.test>", Form.ROUTED_LOCAL_PART),
]  # fmt: skip

# No author at all to a strict reader, or several, while another one sees the pinned address: forged.
BROKEN: list[tuple[str, bytes, str]] = [
    ("two From fields, ours first", b"From: d@experts.test\r\nFrom: anna@evil.test", "malformed-author"),
    ("two From fields, ours last", b"From: anna@evil.test\r\nFrom: d@experts.test", "malformed-author"),
    ("the same From field twice", b"From: d@experts.test\r\nFrom: d@experts.test", "malformed-author"),
    ("two mailboxes", b"From: d@experts.test, anna@evil.test", "several-authors"),
    ("two mailboxes of ours", b"From: d@experts.test, e@experts.test", "several-authors"),
    ("group of two", b"From: X: d@experts.test, anna@evil.test;", "several-authors"),
    ("group and mailbox", b"From: X: anna@evil.test;, d@experts.test", "several-authors"),
    ("source route", b"From: <@evil.test:d@experts.test>", "malformed-author"),
    ("NUL", b"From: d@experts.test\0 <anna@evil.test>", "malformed-author"),
    ("NUL in another field", b"From: d@experts.test\r\nX: \0", "malformed-author"),
    ("control character", b"From: X\x01 <d@experts.test>", "malformed-author"),
    ("delete character", b"From: X\x7f <d@experts.test>", "malformed-author"),
    ("bytes that are not UTF-8", b"From: D\xe9 <d@experts.test>", "malformed-author"),
    ("blanks beside a dot of the local part", b"From: X <d . e@experts.test>", "malformed-author"),
    ("blank beside a dot of the domain", b"From: d@experts .test", "malformed-author"),
    ("comment beside a dot of the domain", b"From: d@experts(x).test", "malformed-author"),
    ("quotes beside a dot of the local part", b'From: "d".e@experts.test', "malformed-author"),
    ("blank before the colon", b"From : d@experts.test", "malformed-author"),
    ("fold before the colon", b"From\r\n : d@experts.test", "malformed-author"),
    ("bracket not closed", b"From: X <d@experts.test", "malformed-author"),
    ("bracket not opened", b"From: X d@experts.test>", "malformed-author"),
    ("brackets in brackets", b"From: X <<d@experts.test>>", "malformed-author"),
    ("two bracketed addresses", b"From: X <anna@evil.test> <d@experts.test>", "malformed-author"),
    ("text behind the bracket", b"From: <d@experts.test> anna@evil.test", "malformed-author"),
    ("address before the bracket", b"From: anna@evil.test <d@experts.test>", "malformed-author"),
    ("quote not closed", b'From: "X <d@experts.test>', "malformed-author"),
    ("comment not closed", b"From: X (y <d@experts.test>", "malformed-author"),
    ("comment that is only closed", b"From: X y) <d@experts.test>", "malformed-author"),
    ("trailing dot", b"From: <d@experts.test.>", "malformed-author"),
    ("doubled dot", b"From: <d@experts..test>", "malformed-author"),
    ("comma in a name without quotes", b"From: Experts, Defender <d@experts.test>", "malformed-author"),
    ("comma at the end", b"From: d@experts.test,", "malformed-author"),
    ("semicolon at the end", b"From: d@experts.test;", "malformed-author"),
    ("bare CR", b"From: X\r <d@experts.test>", "malformed-author"),
    ("bare LF before a blank", b"From: X\n <d@experts.test>", "malformed-author"),
    ("bare CR in another field", b"From: d@experts.test\r\nX: a\rFrom: b", "malformed-author"),
    ("encoded word that holds a colon as it stands", b"From: =?utf-8?q?X:?= <d@experts.test>", "malformed-author"),
]  # fmt: skip

# What all of them see alike, or at least as the same author.
HARMLESS: list[tuple[str, bytes]] = [
    ("bare address", b"d@experts.test"),
    ("bracketed address", b"<d@experts.test>"),
    ("name", PLAIN),
    ("quoted name", b'"Defender Experts" <d@experts.test>'),
    ("quoted name with a comma", b'"Experts, Defender" <d@experts.test>'),
    ("quoted name with a dot and parentheses", b'"Def. Experts (EMEA)" <d@experts.test>'),
    ("quoted nickname", b'"Robert \\"Bob\\" Roe" <d@experts.test>'),
    ("name without a blank behind it", b'"Defender Experts"<d@experts.test>'),
    ("empty name", b'"" <d@experts.test>'),
    ("fold behind the colon", b"\r\n Defender Experts <d@experts.test>"),
    ("fold in the name", b"Defender\r\n Experts <d@experts.test>"),
    ("fold before the brackets", b"Defender Experts\r\n\t<d@experts.test>"),
    ("encoded name", encoded("Défender Experts") + b" <d@experts.test>"),
    ("encoded name in two words", encoded("Défender") + b"\r\n " + encoded(" Experts") + b" <d@experts.test>"),
    ("encoded name with parentheses", encoded("Défender (EMEA)") + b" <d@experts.test>"),
    ("encoded name in quotes", b'"' + encoded("Défender") + b'" <d@experts.test>'),
    ("own address as the name", b'"d@experts.test" <d@experts.test>'),
    ("own address in the name", b'"Experts <D@Experts.test>" <d@experts.test>'),
    # The oldest way to write a name (RFC 822): who shows the comment shows it as the name of this very address, where
    # imitations are looked for too; who does not shows the address. Nobody is led to another author.
    ("comment of words behind the address", b"d@experts.test (Defender Experts)"),
    ("encoded comment behind the address", b"d@experts.test (" + encoded("Défender") + b")"),
    ("comment of words in the name", b"Defender Experts (EMEA) <d@experts.test>"),
    ("domain in capitals", b"Defender Experts <d@EXPERTS.test>"),
    ("tab behind the colon", b"\tDefender Experts <d@experts.test>"),
]  # fmt: skip


def test_an_author_that_is_read_differently_is_not_proven_and_a_reason_names_the_form() -> None:
    raws = [message(author) for _, author, _ in DIFFER]
    found = reports([by_owner(raw) for raw in raws])
    for (what, _, form), report in zip(DIFFER, found, strict=True):
        assert report.verdict is Verdict.UNPROVEN, what
        assert any(each.endswith(f": {form}") for each in told(report)), (what, told(report))
    for (what, _, form), report in zip(DIFFER, reports(raws), strict=True):
        assert report.verdict is Verdict.UNPROVEN, what
        assert any(each.endswith(f": {form}") for each in told(report)), (what, told(report))


@pytest.mark.parametrize("sign", [True, False], ids=["signed", "unsigned"])
def test_an_author_that_only_some_can_read_is_forged(sign: bool) -> None:
    raws = [head + b"\r\n" + OTHERS + b"\r\nHello\r\n" for _, head, _ in BROKEN]
    for (what, _, code), report in zip(
        BROKEN, reports([by_owner(r) if sign else r for r in raws]), strict=True
    ):
        assert report.verdict is Verdict.FORGED, what
        assert code in told(report), (what, told(report))


def test_harmless_forms_stay_genuine() -> None:
    for (what, _), report in zip(HARMLESS, reports([by_owner(message(a)) for _, a in HARMLESS]), strict=True):
        assert report.verdict is Verdict.GENUINE, (what, told(report))
        assert report.reasons[0].code == "signed-by-identity"
        assert not told(report), what


def test_an_imitation_stays_forged_and_the_form_is_told_beside_it() -> None:
    raw = message(b"anna@evil.test (d@experts.test)")
    for report in reports([raw, signed(raw, bits=1_024, d="evil.test")]):
        assert report.verdict is Verdict.FORGED
        assert {"imitates-by-hidden-address", "from: comment"} <= told(report)


@pytest.mark.parametrize("name", [b"Sender", b"Reply-To"])
def test_whom_one_answers_or_sees_as_sender_must_be_read_alike_too(name: bytes) -> None:
    raws = [with_field(name, author) for _, author, _ in DIFFER]
    for sign in (True, False):
        found = reports([by_owner(raw) if sign else raw for raw in raws])
        for (what, _, form), report in zip(DIFFER, found, strict=True):
            assert report.verdict is Verdict.UNPROVEN, what
            assert any(each.endswith(f": {form}") for each in told(report)), (what, told(report))


@pytest.mark.parametrize("name", [b"Sender", b"Reply-To"])
def test_a_sender_or_reply_to_that_only_some_can_read_is_not_proven(name: bytes) -> None:
    heads = [
        h.removeprefix(b"From: ") for _, h, c in BROKEN if c == "malformed-author" and h.startswith(b"From: ")
    ]
    heads = [h for h in heads if b"From" not in h and b"\0" not in h and b"\r" not in h and b"\n" not in h]
    assert len(heads) > 20
    for head, report in zip(heads, reports([by_owner(with_field(name, h)) for h in heads]), strict=True):
        assert report.verdict is Verdict.UNPROVEN, head
        assert f"{name.decode().lower()}: unreadable" in told(report), (head, told(report))


def test_harmless_forms_of_reply_to_stay_genuine_and_so_do_all_forms_of_to() -> None:
    raws = [with_field(b"Reply-To", value) for _, value in HARMLESS]
    raws += [with_field(b"Reply-To", b"a@experts.test, b@experts.test"), with_field(b"Reply-To", b"")]
    # Whom a message is addressed to does not change who wrote it, and most do not even sign it.
    raws += [with_field(b"To", value) for _, value, form in DIFFER if form is not Form.BLANK_LINE]
    raws += [with_field(b"To", b"undisclosed-recipients:;")]
    for raw, report in zip(raws, reports([by_owner(raw) for raw in raws]), strict=True):
        assert report.verdict is Verdict.GENUINE, (raw, told(report))


@pytest.mark.parametrize("sign", [True, False], ids=["signed", "unsigned"])
def test_a_field_that_people_see_stands_there_once(sign: bool) -> None:
    raws = [message(others=OTHERS + field.raw) for field in read_message(OTHERS + b"\r\n").fields]
    raws.append(message(others=OTHERS + b"Sender: d@experts.test\r\nSender: d@experts.test\r\n"))
    names = [*VISIBLE, b"Sender"]
    for name, report in zip(names, reports([by_owner(r) if sign else r for r in raws]), strict=True):
        assert report.verdict is Verdict.UNPROVEN, name
        assert f"{name.decode().lower()}: duplicate-field" in told(report), name


@pytest.mark.parametrize("sign", [True, False], ids=["signed", "unsigned"])
def test_every_field_that_people_see_is_free_of_control_characters_and_odd_line_ends(sign: bool) -> None:
    cases: list[tuple[bytes, str]] = []
    for name in VISIBLE:
        lower = name.decode().lower()
        plain = b"\r\n" + name + b": "
        raw = message()
        cases += [
            (raw.replace(plain, plain + b"\x08"), f"{lower}: control-character"),
            (raw.replace(plain, plain + b"\x1b[2J"), f"{lower}: control-character"),
            (raw.replace(plain, b"\r\n" + name + b" : "), f"{lower}: blank-before-colon"),
            (raw.replace(plain, b"\n" + name + b": "), "header: bare-line-end"),
            (raw.replace(plain, b"\r\n" + name + b": \r\n \t\r\n "), "header: blank-line"),
        ]
    cases += [
        (with_field(b"Subject", encoded("hi\r\nFrom: anna@evil.test")), "subject: control-character"),
        (with_field(b"Subject", b"=?utf-8?q?hi=00?="), "subject: control-character"),
    ]
    for (raw, what), report in zip(
        cases, reports([by_owner(r) if sign else r for r, _ in cases]), strict=True
    ):
        assert report.verdict is Verdict.UNPROVEN, (raw, what)
        assert what in told(report), (what, told(report))


@pytest.mark.parametrize("sign", [True, False], ids=["signed", "unsigned"])
def test_every_field_that_people_see_without_nul_and_bare_cr(sign: bool) -> None:
    raws = [
        message().replace(b"\r\n" + n + b": ", b"\r\n" + n + b": " + odd)
        for n in VISIBLE
        for odd in (b"\0", b"\r")
    ]
    for report in reports([by_owner(r) if sign else r for r in raws]):
        assert report.verdict is Verdict.FORGED
        assert "malformed-author" in told(report)


def test_the_reason_has_a_sentence_its_own_section_and_a_form_that_is_described() -> None:
    (report,) = reports([by_owner(message(b"Experts: d@experts.test;"))])
    (found,) = [reason for reason in report.reasons if reason.code == "readers-differ"]
    assert (found.rfc, found.effect, found.evidence) == ("RFC 6854 2.1", Effect.WEAKENS, "from: group")
    assert found.text.startswith("Its author field names a group")
    assert "mail programs read differently" in report.sentence
    assert set(WORDS) == set(Form)
    tested = {form for _, _, form in DIFFER}
    assert tested | {
        Form.DUPLICATE_FIELD,
        Form.BLANK_BEFORE_COLON,
        Form.BARE_LINE_END,
        Form.UNREADABLE,
    } == set(Form)


def test_a_message_that_claims_nothing_is_not_looked_at() -> None:
    (report,) = reports([message(b"Anna: anna@contoso.test;")])
    assert report.verdict is Verdict.NO_CLAIM
    assert "readers-differ" not in {reason.code for reason in report.reasons}


def _seen(author: bytes, others: bytes = OTHERS) -> tuple[Ambiguity, ...]:
    return ambiguities_of(read_message(message(author, others)), read_author_field(author))


@pytest.mark.parametrize(
    ("author", "others"),
    [
        (b'"' + b"=?" * 30_000 + b'" <d@experts.test>', OTHERS),
        (b'"' + b"=?a?q?" * 10_000 + b'" <d@experts.test>', OTHERS),
        (b'"' + b"=?a?q?x?= " * 6_000 + b'" <d@experts.test>', OTHERS),
        (b'"' + b"d@experts.test " * 4_000 + b'" <d@experts.test>', OTHERS),
        (b"(" + b" " * 60_000 + b") d@experts.test", OTHERS),
        (b"d@experts.test", b"Reply-To: " + b"a@b.test, " * 6_000 + b"a@b.test\r\n"),
        (b"d@experts.test", (b"Reply-To: " + b"(" * 60_000 + b"\r\n") * 10),
        (b"d@experts.test", b"X: " + b"\r\n \t" * 100_000 + b"x\r\n"),
        (b"d@experts.test", b"X: " + b"\x01" * 900_000 + b"\r\n"),
        (b"d@experts.test", b"Subject: " + b"=?a?q?" * 100_000 + b"\r\n"),
    ],
    ids=range(10),
)
def test_hostile_fields_are_looked_at_in_linear_time(author: bytes, others: bytes) -> None:
    started = time.process_time()
    _seen(author, others)
    assert time.process_time() - started < 5


def test_every_truncation_of_an_author_field_is_looked_at() -> None:
    for _, author, _ in DIFFER:
        for end in range(len(author)):
            value = author[:end]
            try:
                field = read_author_field(value)
            except AddressError:  # what the strict reader refuses has tests of its own
                continue
            ambiguities_of(read_message(message(value)), field)
