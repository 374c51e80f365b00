"""A Teams channel follows incidents, and replies that mention the experts come back: with a real gateway between."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.channels.receiver import receiver
from tests.channels.teams_room import SECRET, Room, activity, open_room, say
from tests.proofs.served import Served

WAIT_SECONDS = 60
ALLOWED = '[channels]\nallowed_networks = ["127.0.0.0/8"]\n[mail]\nsubmission_channel = "https://files.experts.test"\nportal_hosts = ["files.experts.test"]\n'


def until(so: Callable[[], bool], why: str = "it never came to that") -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not so():
        assert time.monotonic() < deadline, why
        time.sleep(0.05)


@dataclass
class Followed:
    """A gateway whose incidents of Contoso are followed by a room."""

    served: Served
    room: Room

    def said(self, reference: str, words: str, number: str, **changes: object) -> tuple[int, str]:
        return say(self.served.console_port, "soc", activity(self.room, reference, words, number, **changes))

    def timeline(self, reference: str) -> list[dict[str, object]]:
        return self.served.json("incidents", "show", reference)["timeline"]


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    folder = tmp_path_factory.mktemp("teams")
    token = folder / "token"
    token.write_text(SECRET + "\n")
    token.chmod(0o600)
    with receiver() as there, Served(folder, ALLOWED, forked=True) as served:
        room = open_room(there)
        served.run("orgs", "add", "Contoso")
        served.run("orgs", "add", "Fabrikam")
        served.run("teams", "add", "soc", there.url, "--org", "Contoso", "--tlp", "AMBER")
        served.run("teams", "secret", "soc", str(token))
        yield Followed(served, room)
        assert room.wrong == []


def opened(followed: Followed, title: str, org: str = "Contoso") -> str:
    made = followed.served.json("incidents", "open", "--title", title, "--org", org, "--severity", "High")
    return str(made["reference"])


def test_an_incident_is_a_post_and_each_entry_a_reply(followed: Followed) -> None:
    theirs = opened(followed, "Theirs", "Fabrikam")
    ours = opened(followed, "Odd [sign-ins](https://evil.example)")
    followed.served.run("incidents", "chat", ours, "Reset the **password**")
    followed.served.run("incidents", "note", ours, "canary for experts")
    followed.served.run("incidents", "resolve", ours)
    until(lambda: len(followed.room.of(ours)) == 3, str(followed.room.posts))
    post, chat, resolved = followed.room.of(ours)
    assert "Odd [sign-ins](https://evil.example)" in post
    assert "Severity: High" in post
    assert "TLP:AMBER" in post
    assert "Reset the **password**" in chat
    assert "Resolved" in resolved
    assert followed.room.of(theirs) == []
    assert "canary" not in json.dumps(followed.room.posts)


def test_a_reply_that_mentions_the_experts_comes_back_once(followed: Followed) -> None:
    reference = opened(followed, "Reply")
    until(lambda: bool(followed.room.of(reference)))
    said = [followed.said(reference, "It was &lt;me&gt;", "100") for _ in range(2)]
    assert said == [(200, f"Passed on to Defender Experts ({reference}).")] * 2
    chats = [one for one in followed.timeline(reference) if one["kind"] == "chat"]
    assert [(one["text"], one["actor"], one["mark"]) for one in chats] == [
        ("It was <me>", "Alex Chen", "portal")
    ]
    status, text = followed.said(reference, "something else", "100")
    assert (status, "nothing was added" in text) == (200, True)
    followed.served.run("incidents", "chat", reference, "Thank you")
    until(lambda: len(followed.room.of(reference)) == 2)
    assert "It was" not in json.dumps(followed.room.of(reference)), "the room has it already: no loop"


NOT_COUNTED = [
    ({"text": "without a mention"}, "Mention Defender Experts"),
    ({"conversation": {"id": "19:abc@thread.tacv2;messageid=1"}}, "own posts"),
    ({"conversation": {"id": "19:abc@thread.tacv2"}}, "own posts"),
    ({"timestamp": "2020-01-01T00:00:00Z"}, "too old"),
    (
        {"attachments": [{"contentType": "image/png", "contentUrl": "https://x"}]},
        "https://files.experts.test",
    ),
    ({"text": "<at>Defender Experts</at>"}, "no words"),
]


def test_what_does_not_count_is_told_why(followed: Followed) -> None:
    reference = opened(followed, "Not counted")
    until(lambda: bool(followed.room.of(reference)))
    for number, (changes, said) in enumerate(NOT_COUNTED):
        status, text = followed.said(reference, "hello", f"20{number}", **changes)
        assert status == 200
        assert said in text, changes
    assert [one for one in followed.timeline(reference) if one["kind"] == "chat"] == []


def test_who_does_not_sign_is_refused(followed: Followed) -> None:
    body = activity(followed.room, "INC-000001", "hello", "300")
    port = followed.served.console_port
    refused = [
        say(port, "soc", body, secret="A" * 43 + "="),
        say(port, "nobody", body),
        say(port, "soc", body, field=""),
        say(port, "soc", body, field=f"Bearer {SECRET}"),
    ]
    assert {status for status, _ in refused} == {401}
    assert len({text for _, text in refused}) == 1, "whether there is such a channel is not told"
    assert say(port, "soc", b'{"type": "typing"}')[0] == 422
    assert say(port, "soc", b"x" * 70_000)[0] == 413


def test_of_a_customer_whose_mail_is_untrusted_nothing_is_shown_and_nothing_taken(followed: Followed) -> None:
    reference = opened(followed, "Compromised")
    until(lambda: bool(followed.room.of(reference)))
    followed.served.run("orgs", "distrust", "Contoso", "--reason", "an intruder reads it")
    try:
        followed.served.run("incidents", "chat", reference, "canary")
        until(lambda: len(followed.room.of(reference)) == 2)
        assert "canary" not in followed.room.of(reference)[1]
        assert followed.said(reference, "hello", "400") == (
            200,
            "Defender Experts take no messages here for now; please telephone.",
        )
    finally:
        followed.served.run("orgs", "trust", "Contoso", "--reason", "it is over")


def test_secrets_are_nowhere(followed: Followed) -> None:
    for place in Path(followed.served.folder).rglob("*"):
        if place.is_file() and place.name != "token":
            content = place.read_bytes()
            assert SECRET.encode() not in content, place.name
            assert b"/hooks?x=1" not in content, place.name
