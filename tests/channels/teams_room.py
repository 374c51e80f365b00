"""A stand-in for a Teams channel with its workflow and its outgoing webhook: it checks cards by the schema, and keeps posts and replies."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import jsonschema_rs

from tests.channels.receiver import Got, Receiver

SECRET = base64.b64encode(b"teams" * 8).decode()
_SCHEMA = jsonschema_rs.Draft6Validator(
    json.loads(files("adaptive_cards").joinpath("schemas", "schema-1.4.json").read_text(encoding="utf-8"))
)


def words_of(card: dict[str, Any]) -> str:
    """What a card shows."""
    return "\n".join(run["text"] for block in card["body"] for run in block["inlines"])


@dataclass
class Room:
    """What is in the channel: each post with its replies, as words. Put ``take`` to a receiver as its behaviour."""

    answers: bool = True  # the workflow says the number of the message it made
    posts: dict[str, list[str]] = field(default_factory=dict)
    incidents: dict[str, str] = field(default_factory=dict)  # the post of each incident
    events: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _number: int = 1_616_990_032_000

    def take(self, link: socket.socket, got: Got) -> None:
        """One call of the workflow's webhook."""
        message = json.loads(got.body)
        (attachment,) = message["attachments"]
        card, where = attachment["content"], message["expertmail"]
        with self._lock:
            self.wrong += [str(error) for error in _SCHEMA.iter_errors(card)]
            if len(got.body) > 28_000:
                self.wrong.append("larger than Teams takes")
            number = self._put(card, where)
            self.events.append(where["event"])
        body = json.dumps({"messageId": number}).encode() if self.answers else b""
        link.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            + body
        )

    def _put(self, card: dict[str, Any], where: dict[str, Any]) -> str:
        if where["event"] in self.events:  # a copy, as a receiver knows it
            return self.incidents[where["incident"]]
        self._number += 1
        number = str(self._number)
        if where["reply_to"] is None:
            if where["incident"] in self.incidents:
                self.wrong.append(f"a second post for {where['incident']}")
            self.incidents[where["incident"]] = number
            self.posts[number] = [words_of(card)]
            return number
        post = where["reply_to"] if where["reply_to"] in self.posts else self.incidents[where["reply_to"]]
        self.posts[post].append(words_of(card))
        return number

    def of(self, reference: str) -> list[str]:
        """The post of an incident and the replies below it."""
        with self._lock:
            return list(self.posts.get(self.incidents.get(reference, ""), []))


def activity(room: Room, reference: str, words: str, number: str, **changes: object) -> bytes:
    """A reply to an incident's post, as Teams sends it."""
    post = room.incidents.get(reference, "1")
    made: dict[str, object] = {
        "type": "message",
        "id": number,
        "timestamp": datetime.now(UTC).isoformat(),
        "from": {"id": "29:1x", "name": "Alex Chen", "aadObjectId": "aad-1"},
        "conversation": {"id": f"19:abc@thread.tacv2;messageid={post}"},
        "text": f"<at>Defender Experts</at> {words}",
        "attachments": [{"contentType": "text/html", "content": "<div>the same</div>"}],
    }
    return json.dumps({**made, **changes}).encode()


def say(
    port: int, channel: str, body: bytes, secret: str = SECRET, field: str | None = None
) -> tuple[int, str]:
    """Send a message as the outgoing webhook does; the status, and what is shown below it."""
    made = base64.b64encode(hmac.new(base64.b64decode(secret), body, hashlib.sha256).digest()).decode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/hooks/teams/{channel}",
        data=body,
        headers={
            "Authorization": f"HMAC {made}" if field is None else field,
            "Content-Type": "application/json",
        },
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())["text"]
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())["error"]


def open_room(there: Receiver, *, answers: bool = True) -> Room:
    """A room behind a receiver."""
    room = Room(answers=answers)
    there.behave = room.take
    return room
