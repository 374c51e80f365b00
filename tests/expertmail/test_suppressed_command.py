"""The list of addresses that get no mail of ours, at the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.expertmail.test_daily_commands import world

__all__ = ["world"]
Command = Callable[..., Any]


def test_an_address_goes_on_the_list_and_off_it_again(world: Command) -> None:
    assert "Nobody is suppressed." in world("outbox", "suppressed").out
    assert world("outbox", "suppress", "Alice@contoso.test", "--reason", "left", "--by", "Robin").code == 0
    (item,) = world("outbox", "suppressed", "--json").json
    assert (item["address"], item["reason"], item["actor"]) == ("Alice@contoso.test", "left", "Robin")
    assert "Alice@contoso.test" in world("outbox", "suppressed").out
    assert world("outbox", "allow", "alice@contoso.test").code == 0
    assert world("outbox", "suppressed", "--json").json == []
    again = world("outbox", "allow", "alice@contoso.test")
    assert again.code == 66
    assert "is not suppressed" in again.err


def test_a_domain_is_one_however_it_is_written(world: Command) -> None:
    assert world("outbox", "suppress", "mo@b\u00fccher.test", "--reason", "left").code == 0
    assert world("outbox", "suppress", "MO@xn--bcher-kva.test", "--reason", "again").code == 0
    assert [one["reason"] for one in world("outbox", "suppressed", "--json").json] == ["left"]
    assert world("outbox", "allow", "Mo@xn--bcher-kva.test").code == 0
    assert world("outbox", "suppressed", "--json").json == []
    assert world("outbox", "allow", "mo@b\u00fccher.test").code == 66


def test_a_reason_is_asked_for(world: Command) -> None:
    assert world("outbox", "suppress", "alice@contoso.test").code == 64
