"""From the command to the receiver, with a real gateway between; docs/channels.md is true."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.channels.receiver import receiver, says
from tests.expertmail.conftest import Ended, command  # noqa: F401 -- a fixture
from tests.proofs.conftest import serve  # noqa: F401 -- a fixture
from tests.proofs.served import Served

PAGE = Path(__file__).resolve().parents[2] / "docs" / "channels.md"
_BLOCK = re.compile(r"^<!-- run: webhooks (\w+) -->\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
WAIT_SECONDS = 30
ALLOWED = '[channels]\nallowed_networks = ["127.0.0.0/8"]\n'


def until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not so():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:  # noqa: F811
    made = serve(ALLOWED)
    made.start()
    made.run("orgs", "add", "Contoso")
    made.run("orgs", "add", "Fabrikam")
    return made


def program() -> Callable[[Mapping[str, str], bytes, str], bool]:
    """The one that the document gives to receivers."""
    blocks = dict(_BLOCK.findall(PAGE.read_text(encoding="utf-8")))
    assert len(blocks["check"].rstrip().split("\n")) <= 11, "ten lines, and one between"
    names: dict[str, Any] = {}
    exec(blocks["check"], names)
    made = names["is_ours"]
    assert callable(made)
    return made


def test_the_documents_program_knows_what_is_ours_from_what_is_not(served: Served) -> None:
    is_ours = program()
    with receiver() as there:
        secret = served.run("webhooks", "add", "portal", there.url, "--org", "Contoso").strip()
        served.run("incidents", "open", "--title", "Theirs", "--org", "Fabrikam")
        served.run("incidents", "open", "--title", "Odd sign-ins", "--org", "Contoso", "--severity", "High")
        served.run("incidents", "chat", "INC-000002", "Reset the password")
        until(lambda: len(there.got) == 2)
        opened, chat = (json.loads(got.body) for got in there.got)
        assert opened["thread"]["title"] == "Odd sign-ins"
        assert chat["entry"]["text"] == "Reset the password"
        got = there.got[1]
        assert is_ours(got.fields, got.body, secret)
        assert not is_ours(got.fields, got.body.replace(b"Reset", b"Leave"), secret)
        assert not is_ours(got.fields | {"webhook-id": "evt_other"}, got.body, secret)
        assert not is_ours(got.fields | {"webhook-timestamp": str(int(time.time()) - 301)}, got.body, secret)
        assert not is_ours(got.fields | {"webhook-signature": "v1,AAAA v2,BBBB"}, got.body, secret)
        newer = served.run("webhooks", "rotate", "portal").strip()
        served.run("incidents", "chat", "INC-000002", "Thank you")
        until(lambda: len(there.got) == 3)
        for good in (secret, newer):
            assert is_ours(there.got[2].fields, there.got[2].body, good)
        assert "took it: 204" in served.run("webhooks", "test", "portal")
        assert json.loads(there.got[3].body)["type"] == "test"
    metrics = (
        urllib.request.urlopen(f"http://127.0.0.1:{served.console_port}/metrics", timeout=10).read().decode()
    )
    assert 'expertmail_channel_tries_total{kind="webhook",outcome="delivered"} 3.0' in metrics
    for place in served.folder.rglob("*"):
        if place.is_file() and place.suffix != ".toml":
            content = place.read_bytes()
            for canary in (secret, newer, there.url):
                assert canary.encode() not in content, f"{place.name} holds what is secret"


def test_a_receiver_that_comes_back_has_everything_in_order(served: Served) -> None:
    with receiver() as there:
        there.behave = says(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
        port = there.port
        served.run("webhooks", "add", "portal", there.url)
        served.run("incidents", "open", "--title", "Odd sign-ins", "--org", "Contoso")
        served.run("incidents", "chat", "INC-000001", "first")
        until(lambda: len(there.got) >= 1)
    waiting = served.json("webhooks", "events", "portal")
    assert [one["state"] for one in waiting] == ["waiting", "waiting"]
    assert waiting[0]["last_answer"] in {"503", "no connection"}
    served.kill()
    served.start()
    with receiver(port=port) as back:
        until(lambda: len(back.got) == 2)
        texts = [json.loads(got.body)["entry"]["text"] for got in back.got]
        assert texts[1] == "first"
        assert back.got[0].fields["webhook-id"] == waiting[0]["event_id"]


def test_where_it_must_not_lead_and_what_is_said_of_it(command: Callable[..., Ended]) -> None:  # noqa: F811
    assert command("keys", "list").code == 0  # makes the world
    with receiver() as there:
        assert command("webhooks", "add", "portal", there.url).code == 0
        refused = command("webhooks", "test", "portal")
        assert refused.code == 69
        assert "not called: without TLS only networks of channels.allowed_networks are called" in refused.err
        assert there.connections == 0
    for url in ("ftp://portal.example/", "https://user:canary@portal.example/"):
        refused = command("webhooks", "add", "other", url)
        assert refused.code == 65
        assert "canary" not in refused.err
    for words in (("pause", "portal", "--reason", "x"), ("resume", "portal"), ("move", "portal", "https://b.example/x"), ("remove", "portal")):  # fmt: skip
        assert command("webhooks", *words).code == 0, words
    assert command("webhooks", "list", "--json").json == []
    acts = [one["act"] for one in command("audit", "show", "--json").json]
    for act in ("webhook-added", "webhook-paused", "webhook-resumed", "webhook-moved", "webhook-removed"):
        assert act in acts
    for words in (
        ("pause", "none", "--reason", "x"),
        ("events", "none"),
        ("retry", "none", "evt_1"),
        ("test", "none"),
    ):
        assert command("webhooks", *words).code == 66, words
    assert command("webhooks", "retry", "portal").code == 64


def test_a_page_of_the_document_names_each_field(served: Served) -> None:
    with receiver() as there:
        served.run("webhooks", "add", "portal", there.url)
        served.run("incidents", "open", "--title", "Odd sign-ins", "--org", "Contoso")
        until(lambda: bool(there.got))
        told = json.loads(there.got[0].body)
    example = json.loads(
        re.findall(r"^```json\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)[0]
    )
    assert told.keys() == example.keys()
    assert told["thread"].keys() == example["thread"].keys()
    assert told["entry"].keys() == example["entry"].keys()
