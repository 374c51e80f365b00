"""The table of routes, from a settings file to the gateway's rows, with a plain word for every row that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from expertmail.faults import FaultError
from expertmail.route_rows import route_table
from expertmail.settings import load
from smtp_gateway.next_hop import HopTls, NextHop
from smtp_gateway.route_kind import RouteKind
from smtp_gateway.route_policy import Action
from smtp_gateway.route_table import Row


def rows(tmp_path: Path, text: str) -> tuple[Row, ...]:
    (tmp_path / "s.toml").write_text(text)
    return route_table(load(tmp_path / "s.toml"))


def test_a_row_is_read_with_its_actions_and_takes_the_rest_from_the_defaults(tmp_path: Path) -> None:
    relay, strict, gone = rows(
        tmp_path,
        """
[routes]
on_temperror = "defer"

[[routes.table]]
recipient = "*@customer.test"
to = "relay"
next_hop = "10.0.0.5:10025"
next_hop_tls = "required"
on_unproven = "tag"
max_message_bytes = 1000000

[[routes.table]]
recipient = "*@reply.experts.test"
to = "incident"
on_program = "reject"

[[routes.table]]
recipient = "old@experts.test"
to = "reject"
""",
    )
    assert (relay.kind, relay.next_hop) == (RouteKind.RELAY, NextHop("10.0.0.5", 10025, HopTls.REQUIRED))
    assert (relay.policy.on_unproven, relay.policy.on_temperror) == (Action.TAG, Action.DEFER)
    assert (relay.policy.max_message_bytes, relay.policy.on_forged) == (1_000_000, Action.REJECT)
    assert (strict.kind, strict.policy.on_program) == (RouteKind.REPLY, Action.REJECT)
    assert gone.kind is None


@pytest.mark.parametrize(
    ("said", "hop"),
    [
        ("mail.test", NextHop("mail.test", 25)),
        ("mail.test:587", NextHop("mail.test", 587)),
        ("[2001:db8::1]:26", NextHop("2001:db8::1", 26)),
        ("2001:db8::1", NextHop("2001:db8::1", 25)),
        ("[2001:db8::1]", NextHop("2001:db8::1", 25)),
    ],
)
def test_a_next_hop_is_a_name_or_an_address_with_or_without_a_port(tmp_path: Path, said: str, hop: NextHop) -> None:
    (row,) = rows(tmp_path, f'[[routes.table]]\nrecipient = "*@b.test"\nto = "relay"\nnext_hop = "{said}"\n')
    assert row.next_hop == hop


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ('recipient = "*@b.test"\nto = "relay"', "no next_hop"),
        ('recipient = "*@b.test"\nto = "query"\nnext_hop = "x.test"', "only goes with"),
        ('recipient = "*@*"\nto = "relay"\nnext_hop = "x.test"', "no pattern of recipients"),
        ('recipient = "*@b.test"\nto = "relay"\nnext_hop = "x.test:0"', "no HOST or HOST:PORT"),
        ('recipient = "*@b.test"\nto = "relay"\nnext_hop = "x.test:x"', "no HOST or HOST:PORT"),
        ('recipient = "*@b.test"\nto = "relay"\nnext_hop = "127.0.0.1:2525"', "would be a loop"),
        ('recipient = "*@b.test"\nto = "sink"', "routes.table"),
        ('recipient = "*@b.test"\nto = "query"\non_forged = "burn"', "routes.table"),
        ('recipient = "*@b.test"\nto = "query"\non_forgery = "hold"', "routes.table"),
        ('to = "query"', "routes.table"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_used_is_named_with_what_to_do(tmp_path: Path, row: str, words: str) -> None:
    with pytest.raises(FaultError, match=words.replace(".", r"\.")) as fault:
        rows(tmp_path, f"[[routes.table]]\n{row}\n")
    assert "\n" not in str(fault.value)
