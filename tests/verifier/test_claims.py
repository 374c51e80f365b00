"""What counts as claiming a protected identity, what as imitating one, and what as neither."""

from __future__ import annotations

import base64
import time

import pytest

from verifier.author import author_of
from verifier.claims import Claims, claims_of, protection_of
from verifier.identity import Identity
from verifier.message import read_message
from verifier.report import ClaimedBy

IDENTITIES = (
    Identity(
        "operated",
        display_names=("Defender Experts",),
        domains=("experts.test",),
        addresses=("defender-experts@experts.test",),
        signing_domains=("experts.test",),
        known_domains=("reply.experts.test",),
    ),
    Identity(
        "defender-experts",
        display_names=("Defender Experts", "Microsoft Defender Experts"),
        domains=("microsoft.com",),
        signing_domains=("microsoft.com",),
        known_domains=("microsoftonline.com", "office.com"),
    ),
)
PROTECTION = protection_of(IDENTITIES)


def claimed(*fields: str, raw: bytes | None = None) -> Claims:
    head = raw if raw is not None else "".join(f"{field}\r\n" for field in fields).encode()
    message = read_message(head + b"To: b@example.org\r\n\r\nhi\r\n")
    return claims_of(message, author_of(message), PROTECTION)


def encoded(text: str) -> str:
    return f"=?utf-8?B?{base64.b64encode(text.encode()).decode()}?="


def test_a_pinned_address_claims_by_address() -> None:
    found = claimed("From: Defender Experts <defender-experts@experts.test>")
    assert [(c.identity, c.by) for c in found.claims] == [("operated", ClaimedBy.AUTHOR_ADDRESS)]
    assert found.pinned
    assert not found.imitations


def test_another_address_of_a_protected_domain_claims_by_domain() -> None:
    found = claimed("From: Someone <x@microsoft.com>")
    assert [(c.identity, c.by) for c in found.claims] == [("defender-experts", ClaimedBy.AUTHOR_DOMAIN)]
    assert not found.pinned
    assert not found.imitations


def test_identities_that_share_a_name_do_not_imitate_each_other() -> None:
    assert not claimed("From: Defender Experts <x@microsoft.com>").imitations
    assert not claimed("From: Defender Experts <x@experts.test>").imitations


NAMES = [
    "Defender Experts",
    "DEFENDER  EXPERTS",
    "Microsoft Defender Experts via Share",
    '"Defender Experts (Incident 17)"',
    "Defender-Experts",
    "DefenderExperts",
    '"D e f e n d e r Experts"',
    '"Experts, Defender"',
    "D3fender Exp3rts",
    encoded("Dеfеndеr Ехреrts"),  # Cyrillic letters
    encoded("Defender\u200b Exp\u00aderts"),
    encoded("\u202eDefender Experts"),
    encoded("𝐃𝐞𝐟𝐞𝐧𝐝𝐞𝐫 𝐄𝐱𝐩𝐞𝐫𝐭𝐬"),
    encoded("Ｄｅｆｅｎｄｅｒ Ｅｘｐｅｒｔｓ"),
    encoded("Dëfender Expérts"),
    encoded("Defender\u00a0Experts"),
    f'"{encoded("Defender Experts")}"',  # left undecoded in quotes by strict readers, shown decoded by others
]


@pytest.mark.parametrize("name", NAMES)
def test_a_protected_name_from_elsewhere_is_an_imitation(name: str) -> None:
    found = claimed(f"From: {name} <alerts@mailer.example>")
    assert {c.by for c in found.imitations} == {ClaimedBy.DISPLAY_NAME}


def test_a_protected_name_as_the_name_of_a_group_is_an_imitation() -> None:
    assert claimed("From: Defender Experts: alerts@mailer.example;").imitations
    assert claimed("From: Alerts: alerts@mailer.example;").claims == ()


def test_a_protected_name_in_a_comment_is_an_imitation() -> None:
    assert claimed("From: alerts@mailer.example (Defender Experts)").imitations


@pytest.mark.parametrize(
    "author",
    [
        "Contoso Security <soc@contoso.com>",
        "Alice Example <alice@contoso.com>",
        "soc@contoso.com",
        "Expert Defenders Ltd <info@contoso.com>",
        "Windows Defender Team <it@contoso.com>",
        "Defender <d@contoso.com>",
        '"alice@contoso.com" <alice@contoso.com>',
        '"bob@fabrikam.com via Lists" <list@contoso.com>',
        "Experts <experts@contoso.com>",
        "Public Defender Office <x@city.example>",
        "Defender Expertson <x@expertson.example>",
        "Pathdefender Experts <x@pathdefender.example>",
        "Big Defender Expertsville <x@contoso.com>",
    ],
)
def test_a_customer_claims_nothing(author: str) -> None:
    assert claimed(f"From: {author}").claims == ()


def test_a_protected_name_at_one_of_their_other_domains_claims_but_does_not_imitate() -> None:
    found = claimed("From: Defender Experts <x@microsoftonline.com>")
    assert [c.by for c in found.claims] == [ClaimedBy.DISPLAY_NAME]
    assert not found.imitations


@pytest.mark.parametrize(
    "author",
    [
        '"defender@microsoft.com" <x@evil.example>',
        "\"'defender@microsoft.com'\" <x@evil.example>",
        '"Security <defender@microsoft.com>" <x@evil.example>',
        f"{encoded('defender@microsoft.com')} <x@evil.example>",
        f'"{encoded("defender@microsoft.com")}" <x@evil.example>',
        f"{encoded('defender＠microsoft.com')} <x@evil.example>",
        encoded("defender@micro\u200bsoft.com") + " <x@evil.example>",
        "x@evil.example (defender@microsoft.com)",
    ],
)
def test_an_address_hidden_in_the_name_is_an_imitation(author: str) -> None:
    found = claimed(f"From: {author}")
    assert ClaimedBy.HIDDEN_ADDRESS in {c.by for c in found.imitations}


def test_a_protected_author_may_show_its_own_address_as_its_name() -> None:
    assert not claimed('From: "x@microsoft.com" <x@microsoft.com>').imitations
    assert not claimed('From: "team@microsoft.com" <x@microsoft.com>').imitations


def test_a_lookalike_domain_is_an_imitation() -> None:
    assert [c.by for c in claimed("From: x@rnicrosoft.com").imitations] == [ClaimedBy.LOOKALIKE_DOMAIN]


@pytest.mark.parametrize(
    "fields",
    [
        ("From: a@evil.example", "From: x@microsoft.com"),
        ("From: a@evil.example, x@microsoft.com",),
        ("From: x@microsoft.com, a@evil.example",),
        ("From: <a@evil.example>x@microsoft.com",),
        ("From: x@microsoft.com <a@evil.example",),
        ("From : a@evil.example", "From: x@microsoft.com"),
        ("From: <@evil.example:x@microsoft.com>",),
        (" From: a@evil.example", "From: x@microsoft.com"),
        ("From: Defender Experts",),
        ("From: a@evil.example, Defender Experts <b@evil.example>",),
        ("Sender: x@microsoft.com",),
    ],
)
def test_several_or_malformed_authors_that_name_a_protected_one_are_imitations(
    fields: tuple[str, ...],
) -> None:
    found = claimed(*fields)
    assert found.imitations
    assert found.several or found.malformed


@pytest.mark.parametrize(
    "fields", [(), ("From: a@evil.example", "From: b@evil.example"), ("From: ,",), ("From:",)]
)
def test_malformed_authors_that_name_nobody_protected_claim_nothing(fields: tuple[str, ...]) -> None:
    assert claimed(*fields).claims == ()


@pytest.mark.parametrize(
    "value",
    [
        b"@" * 60_000,
        b"(" * 60_000,
        b'"' * 60_000,
        b"=?utf-8?B?" * 6_000,
        b"a@b.example," * 5_000,
        "К".encode() * 30_000,
    ],
)
def test_hostile_author_fields_cost_little(value: bytes) -> None:
    started = time.perf_counter()
    claimed(raw=b"From: " + value + b"\r\n")
    assert time.perf_counter() - started < 2  # measured: 0.1 s at most; two busy processors take longer


def test_an_ordinary_author_costs_little() -> None:
    message = read_message(b"From: Alice Example <alice@contoso.com>\r\n\r\n")
    author = author_of(message)
    started = time.perf_counter()
    for _ in range(500):
        claims_of(message, author, PROTECTION)
    assert (time.perf_counter() - started) / 500 < 1e-3  # measured: about 20 microseconds


@pytest.mark.parametrize(
    "before",
    [b"X-A: b\r\n" * 2_500, b"X-A: " + b"b\r\n " * 300_000 + b"\r\n", b"DKIM-Signature: v=1\r\n" * 9_000],
    ids=["many fields", "one huge field", "many signatures"],
)
@pytest.mark.parametrize("author", [b"Defender Experts <x@evil.example>", b"help@microsoft.com"])
def test_a_from_behind_the_limits_of_a_header_is_an_imitation(before: bytes, author: bytes) -> None:
    for where in (before + b"From: " + author + b"\r\n", before + b"fRoM \t:\r\n\t" + author + b"\r\n"):
        claims = claimed(raw=where)
        assert claims.imitations
        assert claims.malformed == "malformed-header"
