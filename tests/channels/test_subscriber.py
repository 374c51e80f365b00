"""What follows from a receiver's answer, how patient we are, and whom we call at all."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest

from outbound.errors import SealError
from outbound.patience import AT_ONCE, FREE, MOST_SECONDS, Patience
from outbound.seal import Purpose, opened, sealed
from outbound.subscriber import (
    GIVE_UP,
    JITTER_SHARE,
    MOST_ASKED,
    WAITS,
    Answer,
    EventState,
    decide,
    name_refusal,
)
from outbound.web_address import MAX_ADDRESS, address_refusal, target_refusal
from outbound.webhook import body_of, fields_of, secret_text

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
KEY = b"k" * 32


def after(answer: Answer, tries: int = 1, age: timedelta = timedelta(0), jitter: float = 0.0) -> object:
    return decide(answer, tries=tries, since=NOW - age, now=NOW, jitter=jitter)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_two_hundred_is_taken(status: int) -> None:
    then = after(Answer(status, "well"))
    assert (then.state, then.pause) == (EventState.DELIVERED, False)


@pytest.mark.parametrize(
    "status", [0, 100, 199, 300, 301, 302, 307, 308, 400, 401, 404, 408, 429, 500, 502, 503, 599]
)
def test_anything_else_is_tried_again_also_a_redirect(status: int) -> None:
    then = after(Answer(status, "no"))
    assert (then.state, then.next_at, then.pause) == (EventState.WAITING, NOW + WAITS[0], False)


def test_waits_grow_and_the_last_one_stays() -> None:
    waits = [after(Answer(500, "no"), tries=number).next_at - NOW for number in range(1, 13)]
    assert waits == sorted(waits)
    assert waits[-1] == waits[-2] == WAITS[-1]


def test_a_wait_is_stretched_by_a_fifth_at_most() -> None:
    assert after(Answer(500, "no"), jitter=1.0).next_at - NOW == WAITS[0] * (1 + JITTER_SHARE)


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        (timedelta(seconds=1), WAITS[0]),  # no sooner than we would
        (timedelta(minutes=10), timedelta(minutes=10)),
        (timedelta(days=400), MOST_ASKED),
    ],
)
def test_retry_after_is_kept_to_within_reason(asked: timedelta, kept: timedelta) -> None:
    assert after(Answer(503, "busy", asked)).next_at - NOW == kept


def test_after_three_days_an_entry_is_given_up() -> None:
    assert after(Answer(500, "no"), tries=30, age=GIVE_UP).state is EventState.DEAD
    assert after(Answer(500, "no"), tries=30, age=GIVE_UP - timedelta(seconds=1)).state is EventState.WAITING
    assert after(Answer(200, "well"), tries=30, age=GIVE_UP).state is EventState.DELIVERED


def test_gone_pauses_and_gives_nothing_up() -> None:
    then = after(Answer(410, "gone"), age=10 * GIVE_UP)
    assert (then.state, then.pause) == (EventState.WAITING, True)


def test_one_failure_changes_nothing_and_several_leave_one_try_with_growing_pauses() -> None:
    patience, now, pauses = Patience(), 0.0, []
    assert patience.room(1, now) == AT_ONCE
    for number in range(20):
        patience.begun(1)
        patience.ended(1, now, well=False)
        if number < FREE:
            assert patience.room(1, now) == AT_ONCE
            continue
        assert patience.room(1, now) == 0
        begun = now
        while patience.room(1, now) == 0:
            now += 1
        assert patience.room(1, now) == 1
        pauses.append(now - begun)
        patience.begun(1)
        assert patience.room(1, now) == 0, "one try at a time"
        patience.ended(1, now, well=False)
        while patience.room(1, now) == 0:
            now += 1
    assert pauses == sorted(pauses)
    assert pauses[-1] == MOST_SECONDS
    assert patience.room(2, now) == AT_ONCE, "others are served as ever"
    patience.begun(1)
    patience.ended(1, now, well=True)
    assert patience.room(1, now) == AT_ONCE


def test_a_slow_receiver_has_its_places_and_no_more() -> None:
    patience = Patience()
    for number in range(AT_ONCE):
        assert patience.room(1, 0) == AT_ONCE - number
        patience.begun(1)
    assert patience.room(1, 0) == 0


PUBLIC = ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "8.8.8.8"]
NOT_PUBLIC = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "192.0.2.1", "198.18.0.1", "203.0.113.9", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.0.8",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "fe80::1", "fe80::1%eth0",
    "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1", "2002:7f00:1::", "2001:0:7f00:1::", "64:ff9b::7f00:1",
    "64:ff9b:1::1", "fec0::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_called_with_tls_only(address: str) -> None:
    assert target_refusal("https", [address], ()) is None
    assert "TLS" in str(target_refusal("http", [address], ()))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_are_not_public_are_not_called(address: str) -> None:
    assert "not public" in str(target_refusal("https", [address], ()))
    assert "not public" in str(target_refusal("https", [PUBLIC[0], address], ())), (
        "not even beside a public one"
    )


def test_what_was_allowed_by_name_is_called_and_nothing_beside_it() -> None:
    allowed = (ip_network("10.20.0.0/16"), ip_network("fd00:1::/32"))
    assert target_refusal("http", ["10.20.3.4"], allowed) is None
    assert target_refusal("https", ["::ffff:10.20.3.4", "fd00:1::5"], allowed) is None
    assert target_refusal("https", ["10.21.0.1"], allowed) is not None
    assert target_refusal("https", ["10.20.3.4", "127.0.0.1"], allowed) is not None
    assert target_refusal("https", [], allowed) == "its name has no address"


@pytest.mark.parametrize(
    "address",
    [
        "", "portal", "ftp://portal.example/", "file:///etc/passwd", "gopher://x/", "javascript:alert(1)", "https://",
        "https:///path", "https://user:secret@portal.example/", "https://user@portal.example/", "https://portal.example/#a",
        "https://portal.example/ with blank", "https://portal.example/\r\nHost: other", "https://portal.example:0/",
        "https://portal.example:99999/", "https://portal.example:x/", "https://p\u00f6rtal.example/", "https://a\\b/",
        "https://[::1", "https://portal.example/" + "a" * MAX_ADDRESS, "//portal.example/", "\x00https://portal.example/",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_and_not_repeated(address: str) -> None:
    refused = address_refusal(address)
    assert refused is not None
    assert "secret" not in refused


@pytest.mark.parametrize(
    "address",
    [
        "https://portal.example/hooks?x=1",
        "http://10.20.3.4:8080/a",
        "HTTPS://Portal.Example:8443",
        "https://[2606:2800:220:1::1]/a",
    ],
)
def test_addresses_are_taken(address: str) -> None:
    assert address_refusal(address) is None


@pytest.mark.parametrize("name", ["", "Portal", "-a", ".a", "a b", "a/b", "a" * 61, "ä", "a\n"])
def test_odd_names_are_refused(name: str) -> None:
    assert name_refusal(name) is not None


def test_what_is_sealed_opens_for_its_row_its_purpose_and_its_key_alone() -> None:
    kept = sealed("https://portal.example/hooks?token=abc", KEY, Purpose.ADDRESS, "portal")
    assert opened(kept, KEY, Purpose.ADDRESS, "portal") == "https://portal.example/hooks?token=abc"
    assert b"abc" not in kept
    assert kept != sealed("https://portal.example/hooks?token=abc", KEY, Purpose.ADDRESS, "portal")
    for stored, key, purpose, name in [
        (kept, b"x" * 32, Purpose.ADDRESS, "portal"),
        (kept, KEY, Purpose.SECRET, "portal"),
        (kept, KEY, Purpose.ADDRESS, "other"),
        (kept[:-1], KEY, Purpose.ADDRESS, "portal"),
        (kept[:5], KEY, Purpose.ADDRESS, "portal"),
        (b"", KEY, Purpose.ADDRESS, "portal"),
        (kept[:-1] + bytes([kept[-1] ^ 1]), KEY, Purpose.ADDRESS, "portal"),
    ]:
        with pytest.raises(SealError) as raised:
            opened(stored, key, purpose, name)
        assert "abc" not in str(raised.value)


def test_a_call_is_signed_with_each_secret_over_number_time_and_body() -> None:
    first, second = secret_text(b"1" * 32), secret_text(b"2" * 32)
    body = body_of({"b": "Grüße \ud800", "a": 1})
    fields = fields_of("evt_1", body, [first, second], NOW)
    assert fields["webhook-id"] == "evt_1"
    assert fields["webhook-timestamp"] == str(int(NOW.timestamp()))
    expected = [
        "v1," + base64.b64encode(
            hmac.new(key, b"evt_1." + fields["webhook-timestamp"].encode() + b"." + body, hashlib.sha256).digest()
        ).decode()
        for key in (b"1" * 32, b"2" * 32)
    ]  # fmt: skip
    assert fields["webhook-signature"] == " ".join(expected)
    assert fields_of("evt_1", body, [first], NOW) == fields_of("evt_1", body, [first], NOW), (
        "nothing in it is drawn"
    )
