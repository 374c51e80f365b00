"""Two forms of an address are one mailbox only where nobody else can have the other form."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threads.mailbox_name import forwarded_for, other_forms, same_mailbox


@pytest.mark.parametrize(
    ("author", "contact"),
    [
        ("alex@contoso.test", "ALEX@Contoso.Test"),
        ("alex+soc@gmail.com", "alex@gmail.com"),
        ("a.l.e.x+soc@googlemail.com", "alex@gmail.com"),
        ("alex@gmail.com", "al.ex@googlemail.com"),
        ("alex+soc@outlook.com", "alex@outlook.com"),
        ("alex+a@icloud.com", "alex+b@icloud.com"),
        ("alex@pm.me", "alex+tag@proton.me"),
    ],
)
def test_one_mailbox(author: str, contact: str) -> None:
    assert same_mailbox(author, contact)


@pytest.mark.parametrize(
    ("author", "contact"),
    [
        ("alex+soc@contoso.test", "alex@contoso.test"),  # only contoso.test's own server knows
        ("alex@contoso.test", "alex+soc@contoso.test"),
        ("al.ex@contoso.test", "alex@contoso.test"),
        ("al.ex@outlook.com", "alex@outlook.com"),  # dots count but at Gmail
        ("alex@outlook.com", "alex@hotmail.com"),
        ("alex@gmail.com", "alex@gmail.com.attack.test"),
        ("alex@mail.gmail.com", "alex@gmail.com"),
        ("alex-soc@gmail.com", "alex@gmail.com"),
        ("+alex@gmail.com", "alex@gmail.com"),
        ("srs0=ab=cd=contoso.test=alex@gmail.com", "alex@contoso.test"),
        ("alex=contoso.test@stranger.test", "alex@contoso.test"),
        ("alex%contoso.test@gmail.com", "alex@contoso.test"),
        ("", "alex@gmail.com"),
        ("gmail.com", "alex@gmail.com"),
    ],
)
def test_two_mailboxes(author: str, contact: str) -> None:
    assert not same_mailbox(author, contact)


@pytest.mark.parametrize(
    ("address", "forms"),
    [
        ("alex@contoso.test", ()),
        ("Alex+Soc@Contoso.Test", ("alex@contoso.test",)),
        ("al.ex+1@gmail.com", ("al.ex@gmail.com", "al.ex@googlemail.com", "alex@gmail.com", "alex@googlemail.com")),
        ("alex@pm.me", ("alex@proton.me", "alex@protonmail.com")),
        ("+x@contoso.test", ()),
        ("nobody", ()),
    ],
)  # fmt: skip
def test_the_forms_that_are_looked_for(address: str, forms: tuple[str, ...]) -> None:
    assert other_forms(address) == forms


@pytest.mark.parametrize(
    ("mail_from", "address"),
    [
        ("SRS0=HHH=TT=contoso.test=alex@fwd.test", "alex@contoso.test"),
        ("srs0+HHHH=TT=contoso.test=alex+soc@fwd.test", "alex+soc@contoso.test"),
        ("SRS1=HHH=fwd.test==HHH=TT=contoso.test=alex@second.test", "alex@contoso.test"),
        ("SRS1=HHH=fwd.test=+HHH=TT=contoso.test=alex@second.test", "alex@contoso.test"),
        ("prvs=0123456789=alex@contoso.test", "alex@contoso.test"),
        ("alex@contoso.test", None),
        ("SRS0=HHH=TT=contoso.test@fwd.test", None),
        ("xSRS0=HHH=TT=contoso.test=alex@fwd.test", None),
        ("", None),
        ("SRS0=" + "=" * 100_000 + "@fwd.test", None),
    ],
)
def test_what_a_forwarder_says_it_has_rewritten(mail_from: str, address: str | None) -> None:
    assert forwarded_for(mail_from) == address


@given(st.text(max_size=60))
def test_no_text_raises_and_each_form_is_of_the_same_provider(text: str) -> None:
    forwarded_for(text)
    same_mailbox(text, "alex@gmail.com")
    assert not any(form == text.lower() for form in other_forms(text))


def test_long_addresses_take_no_time() -> None:
    start = time.process_time()
    for text in (
        "SRS1=" + "a=" * 450 + "@x",
        "+" * 900 + "@gmail.com",
        "." * 900 + "@gmail.com",
        "prvs=" + "0" * 900,
    ):
        forwarded_for(text)
        other_forms(text)
        same_mailbox(text, "alex@gmail.com")
    assert time.process_time() - start < 0.5
