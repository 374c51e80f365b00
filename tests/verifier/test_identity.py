"""The identity file: all keys of the contract, and one clear sentence for each mistake."""

from __future__ import annotations

import pytest

from verifier.identity import MAX_FILE, IdentityError, parse_identities

WHOLE = """
[[identity]]
name = "defender-experts"
display_names = ["Defender Experts", "Microsoft Defender Experts"]
domains = ["Microsoft.com", ".mail.microsoft.com", "bücher.example"]
addresses = ["Defender@microsoft.com"]
signing_domains = ["microsoft.com"]
always_signs = true
known_domains = ["microsoftonline.com"]
brand_terms = ["defender experts"]
trusted_sealers = ["sealer.example"]
trusted_authserv_ids = ["mx.example"]
"""


def test_every_key_of_the_contract_is_read() -> None:
    (identity,) = parse_identities(WHOLE)
    assert identity.domains == ("microsoft.com", ".mail.microsoft.com", "xn--bcher-kva.example")
    assert identity.pins("DEFENDER@microsoft.com")
    assert not identity.pins("other@microsoft.com")
    assert identity.owns("microsoft.com")
    assert identity.owns("a.mail.microsoft.com")
    assert not identity.owns("mail.microsoft.com")
    assert not identity.owns("evilmicrosoft.com")
    assert identity.knows("login.microsoftonline.com")
    assert not identity.knows("evil-microsoftonline.com")
    assert identity.signs("MICROSOFT.com")
    assert not identity.signs("mail.microsoft.com")
    assert not identity.signs(None)
    assert identity.always_signs


def test_without_signing_domains_the_author_domains_sign() -> None:
    (identity,) = parse_identities('[[identity]]\nname = "x"\ndomains = ["a.example"]\n')
    assert identity.signing_domains == ("a.example",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no [[identity]]"),
        ("identity = 3", "no [[identity]]"),
        ("[[identity]]", "needs a name"),
        ('[[identity]]\nname = ""', "needs a name"),
        ('[[identity]]\nname = "x"', "at least one entry in domains"),
        ('[[identity]]\nname = "x"\ndomain = ["a.example"]', "unknown key “domain”"),
        ('[[identity]]\nname = "x"\ndomains = "a.example"', "must be a list"),
        ('[[identity]]\nname = "x"\ndomains = [3]', "must be a list"),
        ('[[identity]]\nname = "x"\ndomains = ["a b"]', "not a domain name"),
        ('[[identity]]\nname = "x"\ndomains = ["a.example"]\naddresses = ["nobody"]', "not an address"),
        (
            '[[identity]]\nname = "x"\ndomains = ["a.example"]\naddresses = ["a@b.example"]',
            "not at one of its domains",
        ),
        ('[[identity]]\nname = "x"\ndomains = ["a.example"]\nalways_signs = "yes"', "true or false"),
        ('[[identity]]\nname = "x"\ndomains = ["a.example"]\n' * 2, "Two identities"),
        ('[other]\nx = 1\n[[identity]]\nname = "x"', "only [[identity]]"),
        ("[[identity", "not TOML"),
        ("#" * (MAX_FILE + 1), "larger than"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(text: str, says: str) -> None:
    with pytest.raises(IdentityError) as caught:
        parse_identities(text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
