"""Cards fit the schema, fit into a message, and hostile text in them stays text; what comes back is read strictly."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import jsonschema_rs
import pytest

from outbound.disclosure import Disclosure, Way, decide
from outbound.teams_activity import (
    SKEW,
    Activity,
    ActivityError,
    is_signed,
    read_activity,
    secret_refusal,
    why_not,
)
from outbound.teams_card import MAX_BODY, Shown, message_of, post_card, post_number, reply_card
from threads.model import EntryKind, Mark, Severity, State, Tlp

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
FULL = Disclosure(full=True, reason="TLP:GREEN")
REDUCED = decide(Tlp.RED, allowed=False, external=False, way=Way.VERIFIED)
SHOWN = Shown(
    "INC-000001", "Odd sign-ins", State.ACTIVE, Severity.HIGH, NOW, EntryKind.CHAT, "Ana", Mark.EXPERT,
    "Reset the password.", cut=False, tlp=Tlp.GREEN,
)  # fmt: skip
HOSTILE = [
    "[click](https://evil.example)", "**bold** _it_", "<script>alert(1)</script>", "<at>everyone</at>", "{{DATE(2026-01-01,SHORT)}}",
    "${$root.secret}", "![x](https://evil.example/x.png)", "\u202egnp.exe", "a\u200bb\ufeffc\x00d\x1b[31m", "\ud800", "# Heading\n- list\n1. one",
    "https://evil.example", "\r\n\r\n", "&lt;b&gt;", '"}],"actions":[{"type":"Action.OpenUrl"}]', "🙂" * 50, "   ",
]  # fmt: skip


@pytest.fixture(scope="module")
def schema() -> jsonschema_rs.Draft6Validator:
    """Microsoft's own, as the package brings it."""
    text = files("adaptive_cards").joinpath("schemas", "schema-1.4.json").read_text(encoding="utf-8")
    return jsonschema_rs.Draft6Validator(json.loads(text))


def runs(card: dict[str, Any]) -> list[str]:
    """Every text that is shown."""
    return [run["text"] for block in card["body"] for run in block["inlines"]]


@pytest.mark.parametrize("disclosure", [FULL, REDUCED], ids=["full", "reduced"])
@pytest.mark.parametrize("make", [post_card, reply_card])
@pytest.mark.parametrize("kind", EntryKind)
@pytest.mark.parametrize("mark", Mark)
def test_every_card_fits_the_schema(
    schema: jsonschema_rs.Draft6Validator, make: Any, disclosure: Disclosure, kind: EntryKind, mark: Mark
) -> None:
    shown = replace(SHOWN, kind=kind, mark=mark, severity=None)
    if mark is Mark.UNVERIFIED:
        shown = replace(shown, who=None, text=None)
    for one in (shown, replace(shown, severity=Severity.LOW, cut=True)):
        card = make(one, disclosure)
        assert [str(error) for error in schema.iter_errors(card)] == []
        assert {block["type"] for block in card["body"]} == {"RichTextBlock"}, "nothing that reads Markdown"


def test_the_schema_would_tell(schema: jsonschema_rs.Draft6Validator) -> None:
    card = post_card(SHOWN, FULL)
    card["body"].append({"type": "RichTextBlok", "inlines": []})
    assert not schema.is_valid(card)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(schema: jsonschema_rs.Draft6Validator, text: str) -> None:
    card = post_card(replace(SHOWN, title=text, who=text, text=text), FULL)
    assert schema.is_valid(
        json.loads(message_of(card, event="e", reference="INC-000001", entry=1, reply_to=None))[
            "attachments"
        ][0]["content"]
    )
    shown = runs(card)
    assert "actions" not in card
    for word in shown:
        assert not any(ord(one) < 32 and one != "\n" for one in word)
        assert not set(word) & set("\u202e\u200b\ufeff\u2066\u2069\ud800")
    plain = text.strip("\r\n")
    if plain.isprintable() and plain.strip():
        assert any(plain in word for word in shown), "as it is, and not escaped"


@pytest.mark.parametrize("text", ["a" * 10_000, "\x00" * 10_000, "🙂" * 10_000, '\\"' * 5_000, "ö" * 10_000])
def test_a_message_fits_whatever_is_in_it(schema: jsonschema_rs.Draft6Validator, text: str) -> None:
    shown = replace(SHOWN, title=text, who=text, text=text, cut=True)
    for make in (post_card, reply_card):
        made = message_of(
            make(shown, FULL), event="e" * 40, reference="INC-000001", entry=1, reply_to="9" * 200
        )
        assert len(made) <= MAX_BODY
        message = json.loads(made)
        assert "There is more" in json.dumps(message)
        assert schema.is_valid(message["attachments"][0]["content"])
        assert message["expertmail"] == {
            "event": "e" * 40,
            "incident": "INC-000001",
            "entry": 1,
            "reply_to": "9" * 200,
        }


def test_where_details_may_not_go_none_are_there() -> None:
    shown = replace(SHOWN, title="canary", who="canary", text="canary", tlp=Tlp.RED)
    for make in (post_card, reply_card):
        message = message_of(make(shown, REDUCED), event="e", reference="INC-000001", entry=1, reply_to=None)
        assert b"canary" not in message
        assert b"please see the portal" in message


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        (b'{"messageId": "1616990032035"}', "1616990032035"),
        (b'{"id": 1616990032035}', "1616990032035"),
        (b'{"messageId": "", "id": "7"}', "7"),
        (b'{"messageId": true}', None),
        (b'{"messageId": "' + b"9" * 201 + b'"}', None),
        (b'{"messageId": "a\\nb"}', None),
        (b'{"messageId": {"a": 1}}', None),
        (b"[]", None), (b"1", None), (b"", None), (b"\xff", None), (b"[" * 15_000, None), (b"<html>", None),
    ],
)  # fmt: skip
def test_the_number_of_a_post_is_read_from_an_answer(answer: bytes, number: str | None) -> None:
    assert post_number(answer) == number


SECRET = base64.b64encode(b"s" * 32).decode()


def activity(**changes: object) -> bytes:
    made: dict[str, object] = {
        "type": "message",
        "id": "1616990099999",
        "timestamp": "2026-11-25T11:59:30.123Z",
        "from": {"id": "29:1x", "name": "Alex Chen", "aadObjectId": "aad-1"},
        "conversation": {"id": "19:abc@thread.tacv2;messageid=1616990032035"},
        "text": "<at>Defender Experts</at> It was me &amp; <b>my</b> phone\n",
        "attachments": [{"contentType": "text/html", "content": "<div>the same</div>"}],
        "entities": [{"type": "clientInfo"}],
    }
    return json.dumps({**made, **changes}).encode()


def test_a_reply_is_read() -> None:
    assert read_activity(activity()) == Activity(
        "1616990099999", "1616990032035", datetime(2026, 11, 25, 11, 59, 30, 123_000, tzinfo=UTC),
        "Alex Chen", "aad-1", "It was me & my phone", frozenset({"defender experts"}), 0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, None),
        ({"text": "hello"}, "Mention Defender Experts"),
        ({"text": "&lt;at&gt;Defender Experts&lt;/at&gt; hello"}, "Mention Defender Experts"),
        ({"text": "<at>Somebody</at> hello"}, "Mention Defender Experts"),
        (
            {"text": "hello", "entities": [{"type": "mention", "mentioned": {"name": "defender  experts"}}]},
            None,
        ),
        ({"timestamp": "2026-11-25T10:00:00Z"}, "too old"),
        ({"timestamp": "2027-11-25T10:00:00Z"}, "too old"),
        ({"from": {"id": "29:1x", "name": "  "}}, "author"),
    ],
)
def test_what_counts_is_a_reply_that_mentions_the_experts(
    changes: dict[str, object], why: str | None
) -> None:
    said = why_not(read_activity(activity(**changes)), experts="Defender Experts", known=True, now=NOW)
    assert said is None if why is None else why in str(said)


def test_only_a_reply_to_a_post_of_ours_counts() -> None:
    for conversation in ("19:abc@thread.tacv2", "19:abc@thread.tacv2;messageid=1616990099999"):
        read = read_activity(activity(conversation={"id": conversation}))
        assert read.post is None, "it begins a conversation of its own"
    assert "own posts" in str(
        why_not(read_activity(activity()), experts="Defender Experts", known=False, now=NOW)
    )
    assert timedelta(minutes=5) < SKEW


def test_files_are_counted_and_the_message_itself_is_none() -> None:
    file = {"contentType": "application/vnd.microsoft.teams.file.download.info", "name": "a.exe"}
    assert read_activity(activity(attachments=[file, {"contentType": "text/html"}, "odd", 7])).files == 3
    assert read_activity(activity(attachments=None)).files == 0


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\xff", b"{}", b"[]", b"null", b"[" * 60_000, b'{"type":"message"}', activity(type="typing"), activity(id=7), activity(id=""),
        activity(id="9" * 201), activity(**{"from": "x"}), activity(conversation=[]), activity()[:-5],
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(ActivityError):
        read_activity(body)


def signed(body: bytes, secret: str = SECRET) -> str:
    return (
        "HMAC " + base64.b64encode(hmac.new(base64.b64decode(secret), body, hashlib.sha256).digest()).decode()
    )


def test_a_signature_counts_for_its_body_and_secret() -> None:
    body = activity()
    assert is_signed(signed(body), body, SECRET)
    assert is_signed(signed(body).replace("HMAC", "hmac"), body, SECRET)
    other = base64.b64encode(b"o" * 32).decode()
    for field, content, secret in [
        (signed(body), body + b" ", SECRET), (signed(body), body, other), ("HMAC ", body, SECRET), ("", body, SECRET),
        (signed(body).replace("HMAC", "Bearer"), body, SECRET), ("HMAC \u00e9", body, SECRET), (signed(body)[5:], body, SECRET),
        (signed(body)[:-4], body, SECRET), (signed(body), body, "no base64!"), (signed(body), body, ""),
    ]:  # fmt: skip
        assert not is_signed(field, content, secret)


@pytest.mark.parametrize(
    "secret", ["", "short", "no base64!", base64.b64encode(b"a" * 15).decode(), "a" * 43]
)
def test_what_is_no_security_token_is_refused(secret: str) -> None:
    assert secret_refusal(secret) is not None


def test_a_security_token_of_teams_is_one() -> None:
    assert secret_refusal(SECRET) is None
