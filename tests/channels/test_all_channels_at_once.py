"""One incident by mail, chat, Teams, webhook and telephone at once, while each part is killed and delayed.

Every participant's view has every message once, and all views have them in one order.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import smtplib
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import SMTP
from email.utils import formataddr
from pathlib import Path

import pytest

from outbound.seal import Purpose, sealed
from outbound.store.subscribers import NewSubscriber, add_subscriber
from outbound.subscriber import Sealed, SubscriberKind
from outbound.webhook import secret_text
from tests.channels.receiver import Got, Receiver, receiver, says
from tests.channels.teams_room import SECRET, Room, activity, open_room, say
from tests.console.place import Place, make_place, now
from threads.api_token import ID_BYTES, SECRET_BYTES, Scope, token_text
from threads.model import EntryKind, Mark, TaskSource
from threads.store.api_tokens import add_token
from threads.store.tasks import add_task
from threads.store.thread import append, timeline_of

FULL = bool(os.environ.get("FULL"))
EACH = 30 if FULL else 6
"""Messages by each channel."""
KILLS = 8 if FULL else 2
WAIT_SECONDS = 600 if FULL else 150
ALLOWED = '[channels]\nallowed_networks = ["127.0.0.0/8"]\n[mail]\ndefault_tlp = "GREEN"\n'
QUICK = (sys.executable, str(Path(__file__).with_name("quick_serve.py")))


@dataclass
class Hook:
    """What a webhook's receiver has taken, each event once."""

    chance: random.Random
    seen: dict[str, dict[str, object]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, link: socket.socket, got: Got) -> None:
        """Take it, or fail, or be slow, or take it and say nothing of it."""
        mood = self.chance.random()
        if mood < 0.15:
            says(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")(link, got)
            return
        if mood < 0.25:
            time.sleep(0.3)
        with self.lock:
            self.seen.setdefault(got.fields["webhook-id"], json.loads(got.body))
        if mood < 0.9:
            says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")(link, got)

    def entries(self) -> list[dict[str, object]]:
        with self.lock:
            return [one["entry"] for one in self.seen.values()]


def moody(room: Room, chance: random.Random) -> Callable[[socket.socket, Got], None]:
    """A room whose workflow is away now and then."""

    def take(link: socket.socket, got: Got) -> None:
        if chance.random() < 0.2:
            return
        room.take(link, got)

    return take


@dataclass
class Scene:
    """Everything that takes part."""

    place: Place
    token: str
    hook: Hook
    room: Room
    there: Receiver

    def api(self, method: str, path: str, body: object = None, seconds: float = 20) -> object:
        request = urllib.request.Request(
            f"{self.place.url}/api/v1{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return json.loads(answer.read())

    @property
    def chat(self) -> str:
        return f"/incidents/{self.place.incident.reference}/chat"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    place = make_place(tmp_path, ALLOWED)
    chance = random.Random(20261125)
    with receiver() as hooked, receiver() as there:
        hook, room = Hook(chance), open_room(there)
        hooked.behave = hook.take
        there.behave = moody(room, chance)
        key = place.world.console_key
        text = token_text(secrets.token_bytes(ID_BYTES), secrets.token_bytes(SECRET_BYTES))
        with place.database.writing() as conn:
            add_task(conn, place.incident, "Isolate HOST-7", TaskSource.MANAGED_RESPONSE, now(), by="ana")
            add_token(conn, text, "portal", [Scope.READ_CHAT, Scope.WRITE_CHAT], now(), by="ana")
            for kind, name, url, secret in (
                (SubscriberKind.WEBHOOK, "hook", hooked.url, secret_text(b"s" * 32)),
                (SubscriberKind.TEAMS, "soc", there.url, SECRET),
            ):
                kept = Sealed(
                    sealed(url, key, Purpose.ADDRESS, name), sealed(secret, key, Purpose.SECRET, name)
                )
                add_subscriber(
                    conn,
                    NewSubscriber(kind, name, "localhost", kept),
                    now(),
                    by="ana",
                    organisations=(place.contoso,),
                )
        place.served.stop()
        place.served.start(*QUICK)
        yield Scene(place, text, hook, room, there)
        place.served.stop()
        place.database.close()


def patiently(act: Callable[[], object], stop: float) -> None:
    """Do it until it was answered: whoever hears nothing does the same again."""
    while True:
        try:
            act()
        except (OSError, smtplib.SMTPException, urllib.error.URLError, ValueError):
            assert time.monotonic() < stop, "the gateway does not come back"
            time.sleep(0.1)
        else:
            return


def answered(place: Place, text: str) -> None:
    """A mail of the contact; its bytes are the same each time it is sent."""
    to = place.reply_address(place.incident, place.alice)
    raw = (
        f"From: {formataddr((place.alice.name, place.alice.address))}\r\nTo: <{to}>\r\nSubject: Re: your question\r\n"
        f"Message-ID: <{text.replace(' ', '-')}@contoso.test>\r\nDate: Wed, 25 Nov 2026 12:00:00 +0000\r\n\r\n{text}\r\n"
    ).encode()
    stop = time.monotonic() + WAIT_SECONDS
    patiently(lambda: place.mail(raw, mail_from=place.alice.address, to=to), stop)


class Reader(threading.Thread):
    """The portal: reads the chat on from where it was, and is cut off now and then."""

    def __init__(self, scene: Scene, *, streams: bool) -> None:
        super().__init__(daemon=True)
        self.scene, self.streams = scene, streams
        self.after, self.entries, self.done = 0, [], threading.Event()
        self.chance = random.Random(streams)

    def run(self) -> None:
        while not self.done.is_set():
            try:
                self._stream() if self.streams else self._poll()
            except (OSError, urllib.error.URLError, ValueError):
                time.sleep(0.05)

    def _poll(self) -> None:
        page = self.scene.api(
            "GET", f"{self.scene.chat}?after={self.after}&wait=1", seconds=self.chance.choice([0.3, 5])
        )
        assert isinstance(page, dict)
        self.entries += page["entries"]
        self.after = page["next"]

    def _stream(self) -> None:
        request = urllib.request.Request(
            f"{self.scene.place.url}/api/v1{self.scene.chat}/stream?seconds=3",
            headers={"Authorization": f"Bearer {self.scene.token}", "Last-Event-ID": str(self.after)},
        )
        with urllib.request.urlopen(request, timeout=4) as answer:
            number, data = None, None
            for line in answer:
                word, _, value = line.decode().rstrip("\n").partition(": ")
                if word == "id":
                    number = int(value)
                elif word == "data":
                    data = json.loads(value)
                elif not word and number is not None:
                    if data is not None:
                        self.entries.append(data)
                    self.after, number, data = number, None, None
                    if self.chance.random() < 0.1:
                        return  # cut off


def kills(scene: Scene, times: int, done: threading.Event) -> None:
    for _ in range(times):
        if done.wait(1.5):
            return
        scene.place.served.kill()
        time.sleep(0.2)
        scene.place.served.start(*QUICK)


def test_every_view_has_every_message_once_in_one_order(scene: Scene) -> None:
    place, stop = scene.place, time.monotonic() + WAIT_SECONDS
    reference = place.incident.reference
    append_call(place, "call 0")
    while not scene.room.of(reference):  # once it has its post, replies can be written
        assert time.monotonic() < stop
        time.sleep(0.1)
    readers = [Reader(scene, streams=False), Reader(scene, streams=True)]
    killing = threading.Event()

    def mails() -> None:
        for number in range(EACH):
            answered(place, f"mail {number}")

    def chats(speaker: str) -> None:
        for number in range(EACH):
            said = {
                "id": f"{speaker}-{number}",
                "from": speaker,
                "name": "Sam",
                "text": f"{speaker} {number}",
            }
            patiently(lambda said=said: scene.api("POST", scene.chat, said), stop)

    def teams() -> None:
        for number in range(EACH):
            body = activity(scene.room, reference, f"teams {number}", f"900{number}")

            def act(body: bytes = body) -> None:
                status, text = say(place.served.console_port, "soc", body)
                assert (status, text) == (200, f"Passed on to Defender Experts ({reference}).")

            patiently(act, stop)

    def calls() -> None:
        for number in range(1, EACH):
            append_call(place, f"call {number}")
            time.sleep(0.2)

    writers = [
        threading.Thread(target=work, args=arguments)
        for work, arguments in (
            (mails, ()),
            (chats, ("customer",)),
            (chats, ("expert",)),
            (teams, ()),
            (calls, ()),
        )
    ]
    killer = threading.Thread(target=kills, args=(scene, KILLS, killing))
    for one in (*readers, *writers, killer):
        one.start()
    for one in (*writers, killer):
        one.join(WAIT_SECONDS)
        assert not one.is_alive()
    wanted = {
        f"{who} {number}" for who in ("mail", "customer", "expert", "teams", "call") for number in range(EACH)
    }
    views = {
        "portal": lambda: [one["text"] for one in readers[0].entries],
        "stream": lambda: [one["text"] for one in readers[1].entries],
        "webhook": lambda: [one["text"] for one in scene.hook.entries() if one["copy_of"] is None],
        "record": lambda: recorded(place),
    }
    until(lambda: all(wanted <= set(view()) for view in views.values()), stop, views, wanted)
    of_teams = {one for one in wanted if not one.startswith("teams ")}
    until(
        lambda: of_teams <= set(in_room(scene, of_teams)),
        stop,
        {"teams": lambda: in_room(scene, of_teams)},
        of_teams,
    )
    experts = {one for one in wanted if one.startswith("expert ")}
    until(
        lambda: experts <= set(mailed(place, experts)),
        stop,
        {"mail": lambda: mailed(place, experts)},
        experts,
    )
    for reader in readers:
        reader.done.set()
        reader.join(20)
    order = [one for one in recorded(place) if one in wanted]
    assert sorted(order) == sorted(wanted), "on record once"
    for name, view in views.items():
        assert [one for one in view() if one in wanted] == order, name
    assert in_room(scene, of_teams) == [one for one in order if one in of_teams], "teams"
    assert sorted(mailed(place, experts)) == sorted(experts), "once to who reads mail only"
    assert scene.room.wrong == []


def append_call(place: Place, text: str) -> None:
    with place.database.writing() as conn:
        append(conn, place.incident.id, now(), EntryKind.CALL, actor="ana", mark=Mark.EXPERT, text=text)


def recorded(place: Place) -> list[str]:
    """What stands on the timeline, but for mails that carry what stands there already."""
    with place.database.reading() as conn:
        entries = timeline_of(conn, place.incident.id)
    return [one.text.strip() for one in entries if one.kind is not EntryKind.MAIL_OUT]


def in_room(scene: Scene, wanted: set[str]) -> list[str]:
    """What cards of the incident say, in their order."""
    cards = scene.room.of(scene.place.incident.reference)
    return [line for card in cards for line in card.split("\n") if line in wanted]


def mailed(place: Place, wanted: set[str]) -> list[str]:
    """What mails to the contact say."""
    found = []
    for path in place.served.outbox.rglob("*.eml"):
        mail = message_from_bytes(path.read_bytes(), policy=SMTP)
        body = mail.get_body(("plain",))
        if body is not None and place.alice.address in str(mail["To"]):
            found += [line.strip() for line in body.get_content().splitlines() if line.strip() in wanted]
    return found


def until(
    so: Callable[[], bool], stop: float, views: dict[str, Callable[[], list[str]]], wanted: set[str]
) -> None:
    while not so():
        missing = {name: sorted(wanted - set(view())) for name, view in views.items()}
        assert time.monotonic() < stop, f"missing: {missing}"
        time.sleep(0.2)
