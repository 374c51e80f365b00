"""Patterns of recipients, and where the first row that fits leads."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from smtp_gateway.next_hop import NextHop
from smtp_gateway.paths import Path
from smtp_gateway.replies import SmtpRefusal
from smtp_gateway.route_kind import RouteKind
from smtp_gateway.route_policy import BY_DEFAULT, TAKES_ALL, Action, RoutePolicy
from smtp_gateway.route_table import PatternError, Row, row_for
from smtp_gateway.routes import Mailboxes
from tests.smtp_gateway.world import BOXES, message, signed, whole_gateway

HOP, OTHER_HOP = NextHop("mail.contoso.test", 25), NextHop("mail.fabrikam.test", 25)
STRICT = RoutePolicy(on_no_claim=Action.HOLD)


def path(text: str) -> Path:
    local, _, domain = text.rpartition("@")
    return Path(local, domain)


@pytest.mark.parametrize(
    ("pattern", "recipient", "fits"),
    [
        ("a@b.test", "a@b.test", True),
        ("a@b.test", "A@b.test", True),
        ("A@B.test", "a@b.test", True),
        ("a@b.test", "ab@b.test", False),
        ("a@b.test", "a@c.b.test", False),
        ("*@b.test", "anybody+at+all@b.test", True),
        ("*@b.test", "x@c.b.test", False),
        ("*@.b.test", "x@c.b.test", True),
        ("*@.b.test", "x@d.c.b.test", True),
        ("*@.b.test", "x@b.test", False),
        ("*@.b.test", "x@ab.test", False),
        ("sales-*@b.test", "sales-emea@b.test", True),
        ("sales-*@b.test", "sales@b.test", False),
        ("*-sales-*@b.test", "x-sales-y@b.test", True),
        ("a.c@b.test", "abc@b.test", False),
        ("[ab]@b.test", "a@b.test", False),
    ],
)
def test_a_pattern_fits_the_recipients_that_an_admin_means(pattern: str, recipient: str, fits: bool) -> None:
    assert Row(pattern, RouteKind.QUERY).matches(path(recipient)) is fits


@pytest.mark.parametrize("pattern", ["", "a", "@b.test", "*@*", "a@*.test", "a@test", "a@b..test", "a b@c.test", "a@b.test ", "a@@b.test", "a@-b.test"])
def test_a_pattern_that_is_none_or_that_would_open_a_relay_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError, match="no pattern of recipients"):
        Row(pattern, RouteKind.RELAY, BY_DEFAULT, HOP)


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    row = Row("*" * 60 + "x@b.test", RouteKind.QUERY)
    assert not row.matches(path("a" * 64 + "@b.test"))
    assert not Row("*a" * 30 + "*x@b.test", RouteKind.QUERY).matches(path("a" * 64 + "@b.test"))


def test_the_first_row_that_fits_counts() -> None:
    rows = (Row("vip@b.test", RouteKind.QUERY), Row("*@b.test", None), Row("vip@b.test", RouteKind.SERVICE))
    assert row_for(rows, path("vip@b.test")) is rows[0]
    assert row_for(rows, path("x@b.test")) is rows[1]
    assert row_for(rows, path("x@c.test")) is None


TABLE = (
    Row("gone@experts.test", None),
    Row("*@reply.experts.test", RouteKind.REPLY, STRICT),
    Row("query@experts.test", RouteKind.QUERY, STRICT),
    Row("bounces@experts.test", RouteKind.BOUNCE),
    Row("*@contoso.test", RouteKind.RELAY, BY_DEFAULT, HOP),
    Row("*@fabrikam.test", RouteKind.RELAY, BY_DEFAULT, OTHER_HOP),
    Row("*@.fabrikam.test", RouteKind.RELAY, BY_DEFAULT, OTHER_HOP),
    Row("*@experts.test", RouteKind.RELAY, BY_DEFAULT, HOP),
)
ROUTED: Mailboxes = replace(BOXES, table=TABLE)


@pytest.mark.parametrize(
    ("recipient", "kind", "policy", "hop"),
    [
        ("query@experts.test", RouteKind.QUERY, STRICT, None),
        ("bounces@experts.test", RouteKind.BOUNCE, BY_DEFAULT, None),
        ("x@contoso.test", RouteKind.RELAY, BY_DEFAULT, HOP),
        ("postmaster@contoso.test", RouteKind.RELAY, BY_DEFAULT, HOP),  # theirs, not ours
        ("x@a.fabrikam.test", RouteKind.RELAY, BY_DEFAULT, OTHER_HOP),
        ("x@experts.test", RouteKind.RELAY, BY_DEFAULT, HOP),
        ("postmaster@experts.test", RouteKind.POSTMASTER, TAKES_ALL, None),
        ("abuse@experts.test", RouteKind.ABUSE, TAKES_ALL, None),
    ],
)
def test_each_recipient_is_led_where_the_table_says(
    recipient: str, kind: RouteKind, policy: RoutePolicy, hop: NextHop | None
) -> None:
    route = ROUTED.resolve(path(recipient))
    assert (route.kind, route.policy, route.next_hop) == (kind, policy, hop)


@pytest.mark.parametrize(
    ("recipient", "code"),
    [("gone@experts.test", "5.7.1"), ("x@elsewhere.test", "5.7.1"), ("guess@reply.experts.test", "5.1.1")],
)
def test_a_row_opens_nothing_that_it_does_not_name(recipient: str, code: str) -> None:
    with pytest.raises(SmtpRefusal) as refused:
        ROUTED.resolve(path(recipient))
    assert refused.value.reply.enhanced == code


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a@contoso.test", "b@contoso.test", True),
        ("a@contoso.test", "a@fabrikam.test", False),
        ("a@fabrikam.test", "a@x.fabrikam.test", True),
        ("query@experts.test", "bounces@experts.test", False),
        ("postmaster@experts.test", "abuse@experts.test", True),
        ("query@experts.test", "a@contoso.test", False),
    ],
)
def test_recipients_share_a_transaction_only_where_they_share_policy_and_next_hop(one: str, other: str, same: bool) -> None:
    assert (ROUTED.resolve(path(one)).policy_class == ROUTED.resolve(path(other)).policy_class) is same


def test_over_smtp_the_routes_treat_the_same_message_as_their_rows_say(tmp_path, key) -> None:
    table = (
        Row("query@experts.test", RouteKind.QUERY, RoutePolicy(on_no_claim=Action.HOLD)),
        Row("service@experts.test", RouteKind.SERVICE, RoutePolicy(on_no_claim=Action.DEFER)),
        Row("small@experts.test", RouteKind.QUERY, RoutePolicy(max_message_bytes=100)),
        Row("bounces@experts.test", RouteKind.BOUNCE),
        Row("gone@experts.test", None),
    )

    async def scenario() -> None:
        async with whole_gateway(tmp_path, key, table=table) as world:
            raw = signed(message(), key)
            assert (await world.send(raw, "query@experts.test")).startswith("250")
            (copy,) = world.copies()
            assert (copy.disposition.value, copy.reason) == ("held", "the route's rule for a message that is no-claim")
            assert (await world.send(raw, "service@experts.test")).startswith("451 4.7.1")
            assert (await world.send(raw, "small@experts.test")).startswith("552 5.3.4")
            assert (await world.send(raw, "bounces@experts.test")).startswith("550 5.7.1")
            assert (await world.send(raw, "gone@experts.test")).startswith("550 5.7.1")
            assert len(world.copies()) == 1

    asyncio.run(scenario())
