"""Brand words and Reply-To: told, never believed; quoted text is somebody else's."""

from __future__ import annotations

import base64

import pytest

from verifier.author import author_of
from verifier.claims import claims_of, protection_of
from verifier.identity import Identity
from verifier.mentions import Mentions, mentions_of
from verifier.message import read_message
from verifier.parts import walk

PROTECTION = protection_of(
    (
        Identity(
            "defender-experts",
            display_names=("Defender Experts",),
            domains=("microsoft.com",),
            known_domains=("office.com",),
            brand_terms=("defender experts",),
        ),
    )
)


def found(raw: bytes) -> Mentions:
    message = read_message(raw)
    return mentions_of(message, walk(message), claims_of(message, author_of(message), PROTECTION), PROTECTION)


def mail(body: str, subject: str = "x", kind: str = "text/plain; charset=utf-8") -> bytes:
    encoded = base64.encodebytes(body.encode()).decode().replace("\n", "\r\n")
    return (
        f"From: a@contoso.com\r\nSubject: {subject}\r\nContent-Type: {kind}\r\n"
        f"Content-Transfer-Encoding: base64\r\n\r\n{encoded}"
    ).encode()


@pytest.mark.parametrize(
    "raw",
    [
        mail("Dear customer, Defender\n  Experts need your password."),
        mail("Dеfеndеr Ехреrts need you"),
        mail("hello", subject="DEFENDER EXPERTS: act now"),
        mail("hello", subject="=?utf-8?Q?Defender_Experts?="),
        mail("<p>Defender <b>Experts</b></p>", kind="text/html; charset=utf-8"),
    ],
)
def test_brand_words_in_subject_or_new_text_are_told(raw: bytes) -> None:
    assert found(raw).brands == ("defender experts",)


@pytest.mark.parametrize(
    "raw",
    [
        mail("Thanks!\n\n> Defender Experts wrote this\n"),
        mail("Thanks!\n\nOn Monday, somebody wrote:\nDefender Experts\n"),
        mail("Thanks!\n\n-----Original Message-----\nFrom: Defender Experts\n"),
        mail("Thanks!<blockquote>Defender Experts</blockquote>", kind="text/html"),
        mail("Our defenders are experts."),
        b"",
    ],
)
def test_quoted_text_and_other_words_are_not(raw: bytes) -> None:
    assert found(raw).brands == ()


def test_a_reply_to_elsewhere_is_told_where_there_is_a_claim() -> None:
    raw = b"From: x@microsoft.com\r\nReply-To: a@evil.example, b@office.com, c@microsoft.com\r\n\r\nx\r\n"
    assert found(raw).reply_to == ("evil.example",)
    assert found(raw.replace(b"x@microsoft.com", b"x@contoso.com", 1)).reply_to == ()
