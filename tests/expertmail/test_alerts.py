"""Experts are told, by mail, of what waits for them: at once, then together, once each, and never with a customer's words."""

from __future__ import annotations

import asyncio
import smtplib
import sqlite3
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import pytest

from expertmail.alerting import AlertKeeper, alert_rules_of
from expertmail.faults import FaultError
from expertmail.settings import load
from outbound.alerts import AlertEvent, AlertKind, AlertRules, Digest, alert, alert_facts, due
from outbound.compose import Office, compose, compose_automatic, stamp
from outbound.delivery import Tls, smarthost
from outbound.dispatch import Signer, prepare
from outbound.errors import ComposeError
from outbound.key_files import generate_key
from outbound.model import Attempt, DeliveryState, Letterhead, MailKind, Reply, Sender
from outbound.orders import OrderError
from outbound.retry import Decision
from outbound.sign import SigningKey
from outbound.store import lease_due, queue_outgoing, record_attempt, work_waits
from outbound.store.alerts import OVERLAP, order_alerts
from outbound.template_files import load_templates
from outbound.worker import OutboundWorker
from tests.outbound.conftest import REQUEST, always_genuine
from tests.outbound.test_delivery import Sink, sink
from tests.proofs.served import Served
from tests.smtp_gateway.world import REPLIES, World, message, now, signed, whole_gateway
from threads import store
from threads.store.writer import Writer
from verifier.message import read_message

TEAM = "team@desk.test"
SENDER = Sender("Defender Experts", "defender-experts@experts.test", "experts.test", "s1")
LETTERHEAD = Letterhead(SENDER, "Defender Experts", "verify@experts.test", "query@experts.test", "reply.experts.test")
RULES = AlertRules(team=(TEAM,))
SECRET = "our-domain-controller"  # what no alert may ever hold


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return generate_key(tmp_path_factory.mktemp("keys") / "s1.pem")


@dataclass
class Desk:
    """A gateway, whoever tells the experts, and a server that takes the mail to them."""

    gateway: World
    keeper: AlertKeeper
    worker: OutboundWorker
    taken: list[tuple[str, tuple[str, ...], bytes]]
    clock: Clock
    rules: AlertRules

    async def receive(self, *, to: str | None = None, number: int = 1, author: str = "alex@contoso.test", **more: str) -> str:
        """One message over SMTP; a reply on the incident unless said otherwise."""
        domain = author.rpartition("@")[2]
        raw = message(
            f"{SECRET}\r\n", author=author, subject=SECRET, message_id=f"<{number}@{domain}>", **more
        )
        if domain != "silent.test":
            raw = signed(raw, self.gateway.key, domain)
        address = to or REPLIES.mint(self.gateway.incident.id, self.gateway.alex.id)
        return await self.gateway.send(raw, address, "" if more.get("extra") else author)

    async def told(self) -> list[str]:
        """What experts hear by now that they had not heard before, in words."""
        before = len(self.taken)
        await self.keeper.step()
        async with asyncio.timeout(60):
            while self._waits():
                running = asyncio.create_task(self.worker.run())
                while self._waits():  # noqa: ASYNC110 - the record tells, no event
                    await asyncio.sleep(0.005)
                self.worker.stop()
                await running
                self.worker._stopping = False
        experts = self.rules.addresses
        return [raw.decode() for _, to, raw in self.taken[before:] if to[0].lower() in experts]

    def _waits(self) -> bool:
        with self.gateway.database.reading() as conn:
            return work_waits(conn, self.clock()) or bool(
                conn.exec_driver_sql("SELECT 1 FROM deliveries WHERE state = 'leased'").first()
            )


class Clock:
    """The time, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return now() + self.ahead

    def pass_(self, **time: float) -> None:
        self.ahead += timedelta(**time)


@asynccontextmanager
async def desk(folder: Path, key: SigningKey, rules: AlertRules = RULES) -> AsyncIterator[Desk]:
    taken = Sink()
    async with whole_gateway(folder, key) as gateway, sink(taken) as port:
        writer = Writer(gateway.database)
        clock = Clock()
        office = Office(LETTERHEAD, load_templates(), REPLIES.mint)
        worker = OutboundWorker(
            writer=writer,
            database=gateway.database,
            office=office,
            transport=smarthost("127.0.0.1", port, tls=Tls.NONE, hostname="mx.experts.test"),
            signer=Signer(SENDER, key),
            check=always_genuine,
            clock=clock,
        )
        found = Desk(gateway, None, worker, taken.taken, clock, rules)  # type: ignore[arg-type]
        found.keeper = keeper(found, writer)
        try:
            await found.keeper.step()  # from here on it is told
            yield found
        finally:
            await asyncio.to_thread(writer.close)


def keeper(found: Desk, writer: Writer) -> AlertKeeper:
    return AlertKeeper(
        found.gateway.database, writer, rules=lambda: found.rules, clock=found.clock, ordered=lambda: None
    )


def body(mail: str) -> str:
    return " ".join(mail.replace("=\r\n", "").split())


def test_the_first_reply_is_told_at_once_and_what_follows_in_one_mail(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with desk(tmp_path, key) as office:
            await office.receive()
            (mail,) = await office.told()
            assert "INC-000001: a reply came" in body(mail)
            for number in (2, 3, 4):
                await office.receive(number=number)
            assert await office.told() == []
            office.clock.pass_(minutes=14)
            assert await office.told() == []
            office.clock.pass_(minutes=1)
            (mail,) = await office.told()
            assert "Subject: For the experts: 3 replies came" in mail
            office.clock.pass_(hours=1)
            assert await office.told() == []

    asyncio.run(scenario())


def test_an_alert_holds_nothing_of_the_message_and_cannot_loop(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with desk(tmp_path, key) as office:
            await office.receive()
            await office.receive(author="x@stranger.test", to="query@experts.test")
            (mail,) = await office.told()
            ((mail_from, recipients, raw),) = office.taken
            assert (mail_from, recipients) == ("<>", (TEAM,))
            for word in (SECRET, "Alex", "alex@", "contoso", "Contoso", "Odd sign-in", "stranger.test"):
                assert word not in body(mail), word
            fields = {field.lower: field.value.strip() for field in read_message(raw).fields}
            assert fields[b"auto-submitted"] == b"auto-generated"
            assert fields[b"x-auto-response-suppress"] == b"All"
            assert fields[b"reply-to"] == b"<defender-experts@experts.test>"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("author", "to", "says"),
    [
        ("x@stranger.test", None, "INC-000001: a message is held"),
        ("kim@silent.test", "query@experts.test", "a stranger's message waits"),
        ("alex@contoso.test", "query@experts.test", "INQ-000001: a reply came"),
    ],
)
def test_what_waits_is_told_with_its_verdict(
    tmp_path: Path, key: SigningKey, author: str, to: str | None, says: str
) -> None:
    async def scenario() -> None:
        async with desk(tmp_path, key) as office:
            await office.receive(author=author, to=to)
            (mail,) = await office.told()
            assert says in body(mail)
            assert "no-claim" in body(mail)

    asyncio.run(scenario())


QUIET = {
    "an absence": {"extra": "Auto-Submitted: auto-replied\r\n"},
    "what an expert's own mailbox sent": {"author": "team@stranger.test", "to": "query@experts.test"},
}


@pytest.mark.parametrize("what", QUIET)
def test_nobody_is_told_of(tmp_path: Path, key: SigningKey, what: str) -> None:
    async def scenario() -> None:
        rules = replace(RULES, people=MappingProxyType({"ana": "Team@Stranger.test"}))
        async with desk(tmp_path, key, rules) as office:
            assert (await office.receive(**QUIET[what])).startswith("250")
            assert await office.told() == []
            office.clock.pass_(hours=1)
            assert await office.told() == []

    asyncio.run(scenario())


def test_what_is_not_asked_for_is_not_told_and_nothing_is_without_an_address(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with desk(tmp_path, key, AlertRules()) as office:
            await office.receive(number=1)
            assert await office.told() == []
            office.rules = replace(RULES, tell=frozenset({AlertKind.HELD}))
            assert await office.told() == []  # it begins here: what came before is no news
            await office.receive(number=2)
            assert await office.told() == []
            await office.receive(number=3, author="x@stranger.test")
            assert len(await office.told()) == 1

    asyncio.run(scenario())


async def ask(office: Desk, key: SigningKey, actor: str = "ana") -> int:
    """An expert's question to Alex goes into the queue."""
    at = office.clock()
    thread = office.gateway.thread(office.gateway.incident.id)
    made = Office(LETTERHEAD, load_templates(), REPLIES.mint)
    (mail,) = compose(
        MailKind.REQUEST_FOR_CONTEXT,
        office=made,
        thread=thread,
        contacts=[office.gateway.alex],
        variables=REQUEST,
        stamps=[stamp(f"q{at.timestamp()}", "experts.test", at)],
    )
    ready = await prepare(mail, Signer(SENDER, key), always_genuine, at)
    with office.gateway.database.writing() as conn:
        return queue_outgoing(
            conn, ready.signed, idempotency_key=f"q{at.timestamp()}", actor=actor, checked=ready.checked, now=at
        ).outgoing_id


def test_who_wrote_last_hears_of_the_answer_and_everybody_else_of_the_rest(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        rules = replace(RULES, people=MappingProxyType({"ana": "ana@desk.test"}))
        async with desk(tmp_path, key, rules) as office:
            await ask(office, key)
            await office.told()
            del office.taken[:]
            await office.receive()
            await office.receive(number=2, author="x@stranger.test", to="query@experts.test")
            await office.told()
            heard = {recipients[0]: body(raw.decode()) for _, recipients, raw in office.taken}
            assert set(heard) == {"ana@desk.test", TEAM}
            assert "INC-000001: a reply came" in heard["ana@desk.test"]
            assert "a stranger's message waits" in heard[TEAM]

    asyncio.run(scenario())


def fail(office: Desk, number: int) -> None:
    """The next server refuses a mail for good."""
    at = office.clock()
    with office.gateway.database.writing() as conn:
        lease_due(conn, at, "w", 10)
        attempt = Attempt(at, at, "mx", Reply(550, "no such user"))
        record_attempt(conn, number, "w", attempt, Decision(DeliveryState.FAILED, None, "refused"))


def test_a_question_that_could_not_be_sent_or_came_back_is_told_to_who_asked(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        rules = replace(RULES, people=MappingProxyType({"ana": "ana@desk.test"}), digest=timedelta(minutes=1))
        async with desk(tmp_path, key, rules) as office:
            fail(office, await ask(office, key))
            (mail,) = await office.told()
            assert "INC-000001: a mail of ours did not arrive" in body(mail)
            assert office.taken[0][1] == ("ana@desk.test",)
            office.clock.pass_(minutes=2)
            number = await ask(office, key)
            assert await office.told() == []
            assert office.taken[-1][1] == ("alex@contoso.test",)  # the question, and it was taken
            with office.gateway.database.reading() as conn:
                sent = conn.exec_driver_sql(f"SELECT message_id FROM outgoing WHERE id = {number}").scalar_one()
            assert (await bounce(office, sent)).startswith("250")
            office.clock.pass_(minutes=2)
            (mail,) = await office.told()
            assert "INC-000001: a mail of ours did not arrive" in body(mail)
            assert "no such mailbox" not in mail

    asyncio.run(scenario())


async def bounce(office: Desk, message_id: str) -> str:
    """The customer's server returns a mail of ours (RFC 3464)."""
    report = (
        "From: MAILER-DAEMON@contoso.test\r\nTo: r@reply.experts.test\r\nSubject: Undelivered\r\n"
        "Message-ID: <dsn@contoso.test>\r\nAuto-Submitted: auto-replied\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\n\r\nno such mailbox\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.contoso.test\r\n\r\nFinal-Recipient: rfc822; alex@contoso.test\r\n"
        "Action: failed\r\nStatus: 5.1.1\r\n\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{message_id}>\r\n\r\n--b--\r\n"
    ).encode()
    raw = signed(report, office.gateway.key)
    return await office.gateway.send(raw, REPLIES.mint(office.gateway.incident.id, office.gateway.alex.id), "")


def test_a_crash_between_two_steps_loses_nothing_and_tells_nothing_twice(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with desk(tmp_path, key) as office:
            await office.receive()
            writer = Writer(office.gateway.database)

            def broken(conn: store.Connection) -> None:
                order_alerts(conn, RULES, office.clock())
                raise RuntimeError("the power went")

            with pytest.raises(RuntimeError, match="power"):
                await writer.submit(broken)
            office.keeper = keeper(office, writer)  # another process
            assert len(await office.told()) == 1
            office.keeper = keeper(office, writer)
            office.clock.pass_(minutes=16)
            assert await office.told() == []
            await asyncio.to_thread(writer.close)

    asyncio.run(scenario())


def test_two_nodes_that_look_at_the_same_moment_tell_once(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with desk(tmp_path, key) as office:
            await office.receive()
            writers = [Writer(office.gateway.database) for _ in range(3)]
            await asyncio.gather(*(keeper(office, writer).step() for writer in writers))
            assert len(await office.told()) == 1
            for writer in writers:
                await asyncio.to_thread(writer.close)

    asyncio.run(scenario())


def test_what_is_committed_late_is_told_all_the_same_and_old_marks_are_forgotten(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with desk(tmp_path, key) as office:
            await office.receive(number=1)
            await office.told()
            office.clock.pass_(minutes=20)
            await office.receive(number=2)
            with office.gateway.database.writing() as conn:
                # As if it had waited for its turn while others were told.
                conn.exec_driver_sql(
                    "UPDATE messages SET received_at = ? WHERE message_id = '2@contoso.test'",
                    ((now() + office.clock.ahead - timedelta(minutes=9)).strftime("%Y-%m-%d %H:%M:%S.%f"),),
                )
            assert len(await office.told()) == 1
            office.clock.pass_(hours=3)
            await office.receive(number=3, to="query@experts.test")
            with office.gateway.database.writing() as conn:
                conn.exec_driver_sql(
                    "UPDATE messages SET received_at = ? WHERE message_id = '3@contoso.test'",
                    ((now() + office.clock.ahead).strftime("%Y-%m-%d %H:%M:%S.%f"),),
                )
            assert len(await office.told()) == 1
            with office.gateway.database.reading() as conn:
                (told,) = conn.exec_driver_sql("SELECT at FROM alert_told").all()
                seen_to = conn.exec_driver_sql("SELECT seen_to FROM alert_progress").scalar_one()
            assert told.at >= seen_to
            assert timedelta(hours=1) > OVERLAP

    asyncio.run(scenario())


def test_an_alert_that_fails_is_told_by_no_alert(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with desk(tmp_path, key) as office:
            await office.receive()
            await office.keeper.step()
            with office.gateway.database.reading() as conn:
                orders = conn.exec_driver_sql("SELECT count(*) FROM automatic_orders").scalar_one()
            await office.told()
            with office.gateway.database.writing() as conn:
                conn.exec_driver_sql("UPDATE deliveries SET state = 'failed'")
            office.clock.pass_(hours=1)
            assert await office.told() == []
            with office.gateway.database.reading() as conn:
                assert conn.exec_driver_sql("SELECT count(*) FROM automatic_orders").scalar_one() == orders

    asyncio.run(scenario())


# -- what is decided, without a gateway
AT = datetime.fromisoformat("2026-11-26T12:00:00+00:00")


def event(number: int, *, minutes: float = 0, kind: AlertKind = AlertKind.REPLY, **more: str) -> AlertEvent:
    return AlertEvent(f"{kind.value}:{number}", kind, AT + timedelta(minutes=minutes), "INC-000001", **more)


DUE = [
    ("at once", [event(1)], {}, 0, 1),
    ("first waits for company", [event(1)], {}, 0.1, 0),
    ("company is over", [event(1), event(2, minutes=1)], {}, 2, 1),
    ("too soon after the last", [event(1)], {"team": AT - timedelta(minutes=14)}, 0, 0),
    ("late enough after the last", [event(1)], {"team": AT - timedelta(minutes=15)}, 0, 1),
    ("another's last does not count", [event(1)], {"person:ana": AT}, 0, 1),
]


@pytest.mark.parametrize(("case", "events", "last", "minutes", "digests"), DUE)
def test_when_a_digest_is_due(
    case: str, events: Iterable[AlertEvent], last: dict[str, datetime], minutes: float, digests: int
) -> None:
    first = timedelta(minutes=1) if "company" in case else timedelta(0)
    found = due(events, replace(RULES, first=first), last, AT + timedelta(minutes=minutes))
    assert len(found.digests) == digests
    assert len(found.waiting) == (0 if digests else 1)
    assert found.untold == ()


def test_whom_nobody_is_named_for_is_told_to_nobody_and_waits_for_nothing() -> None:
    rules = AlertRules(people=MappingProxyType({"ana": "ana@desk.test"}))
    found = due([event(1), event(2, expert="ana"), event(3, expert="bob")], rules, {}, AT)
    assert [digest.addresses for digest in found.digests] == [("ana@desk.test",)]
    assert {one.key for one in found.untold} == {"reply:1", "reply:3"}


def composed(events: tuple[AlertEvent, ...], *, long: bool) -> str:
    order = alert(Digest("team", (TEAM,), events), TEAM, AT, long=long)
    office = Office(LETTERHEAD, load_templates(), lambda _thread, _contact: "r@reply.experts.test")
    mail = compose_automatic(order, office=office, thread=None, contact=None, one=stamp("t", "experts.test", AT))
    return " ".join(mail.said.split())


def test_the_longer_form_adds_what_experts_wrote_and_the_short_one_does_not() -> None:
    events = (event(1, about="Contoso: see https://evil.test/\r\nnow", verdict="forged"),)
    assert "Contoso" not in composed(events, long=False)
    said = composed(events, long=True)
    assert "INC-000001: a reply came, 2026-11-26 12:00Z, forged (Contoso: see hxxps[:]//evil[.]test/ now)" in said


def test_one_digest_tells_of_every_kind_at_once() -> None:
    said = composed(tuple(replace(event(1), key=kind.value, kind=kind) for kind in AlertKind), long=False)
    assert said.count("INC-000001") == len(AlertKind)
    (news,) = (one for one in load_templates().get(MailKind.ALERT, "en").variables if one.name == "news")
    assert news.count >= len(AlertKind)


def test_a_long_digest_lists_some_and_counts_the_rest() -> None:
    said = composed(tuple(event(number) for number in range(30)), long=False)
    assert said.startswith("30 replies came.")
    assert said.count("INC-000001") == 25
    assert "and 5 more." in said


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"count_reply": -1},
        {"count_reply": True},
        {"count_reply": 1},
        {"count_reply": 1, "event_1": "INC-000001 reply 2026-11-26T12:00Z genuine, really"},
        {"count_reply": 1, "event_1": "INC-000001 reply 2026-11-26T12:00Z maybe"},
        {"count_reply": 1, "event_1": "INC-000001 secret 2026-11-26T12:00Z"},
        {"count_reply": 1, "event_1": "INC-000001 reply 2026-11-26T12:00Z", "about_1": "a\nb"},
        {"count_reply": 1, "event_1": "INC-000001 reply 2026-11-26T12:00Z", "subject": "hello"},
    ],
)
def test_an_order_with_anything_else_in_it_is_composed_by_nobody(params: dict[str, object]) -> None:
    with pytest.raises(OrderError):
        alert_facts(params)  # type: ignore[arg-type]
    order = replace(alert(Digest("team", (TEAM,), (event(1),)), TEAM, AT, long=False), params=params)
    office = Office(LETTERHEAD, load_templates(), lambda _thread, _contact: "r@reply.experts.test")
    with pytest.raises(ComposeError):
        compose_automatic(order, office=office, thread=None, contact=None, one=stamp("t", "experts.test", AT))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ('team = ["query@experts.test"]', "takes itself"),
        ('people = ["ana=x@reply.experts.test"]', "takes itself"),
        ('people = ["ana@desk.test"]', "a name and an address"),
        ('team = ["nobody"]', "mail address"),
        ('tell = ["everything"]', "alerts.tell"),
        ('form = "long"\n[delivery]\nmode = "mx"', "not protected"),
        ('form = "long"\n[delivery]\nmode = "smarthost"\nsmarthost_tls = "none"', "not protected"),
    ],
)
def test_settings_that_would_loop_or_say_too_much_are_refused(tmp_path: Path, settings: str, says: str) -> None:
    file = tmp_path / "x.toml"
    file.write_text(f"[alerts]\n{settings}\n")
    with pytest.raises(FaultError, match=says):
        load(file)


def test_a_list_of_addresses_needs_no_json_in_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPERTMAIL_ALERTS__TEAM", "a@desk.test, b@desk.test")
    monkeypatch.setenv("EXPERTMAIL_ALERTS__PEOPLE", "ana=ana@desk.test")
    monkeypatch.setenv("EXPERTMAIL_ALERTS__TELL", "held,bounce")
    rules = alert_rules_of(load())
    assert (rules.team, dict(rules.people)) == (("a@desk.test", "b@desk.test"), {"ana": "ana@desk.test"})
    assert rules.tell == {AlertKind.HELD, AlertKind.BOUNCE}


def test_the_settings_become_rules(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text(
        '[alerts]\nteam = ["team@desk.test"]\npeople = ["ana=ana@Desk.test"]\ntell = ["held"]\nfirst_seconds = 30\n'
        'digest_minutes = 60\nform = "long"\n[delivery]\nmode = "smarthost"\n'
    )
    rules = alert_rules_of(load(file))
    assert rules == AlertRules(
        ("team@desk.test",),
        MappingProxyType({"ana": "ana@desk.test"}),
        frozenset({AlertKind.HELD}),
        timedelta(seconds=30),
        timedelta(hours=1),
        long=True,
    )


def letter(number: int) -> str:
    return (
        "From: x@stranger.test\r\nTo: query@experts.test\r\nSubject: secret plans\r\n"
        f"Message-ID: <{number}@stranger.test>\r\n\r\nThe plans.\r\n"
    )


def alerts_in(served: Served, count: int) -> list[str]:
    """The alerts that a gateway wrote to its outbox, once there are so many."""
    deadline = time.monotonic() + 120
    found: list[str] = []
    while time.monotonic() < deadline:
        found = [mail for mail in map(Path.read_text, served.outbox.glob("*.eml")) if "For the experts" in mail]
        if len(found) >= count:
            return found
        time.sleep(0.1)
    raise AssertionError(served.log.read_text()[-2000:])


def test_a_gateway_that_is_killed_tells_each_thing_once(tmp_path: Path) -> None:
    """A stranger's mail, a kill right after its 250, and the gateway again: one alert, whoever ordered it."""
    served = Served(tmp_path, f'[alerts]\nteam = ["{TEAM}"]\n', forked=True)
    try:
        served.start()
        deadline = time.monotonic() + 120
        while not begun(served.database):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with smtplib.SMTP("127.0.0.1", served.smtp_port, timeout=20) as client:
            client.sendmail("x@stranger.test", ["query@experts.test"], letter(1))
        served.kill()
        served.start()
        (mail,) = alerts_in(served, 1)
        assert f"To: <{TEAM}>" in mail
        assert "Subject: For the experts: 1 stranger's message waits" in mail
        assert "plans" not in mail
        with closing(sqlite3.connect(served.database)) as conn:
            told = "SELECT count(*), (SELECT count(*) FROM automatic_orders WHERE kind = 'alert') FROM alert_told"
            assert conn.execute(told).fetchone() == (1, 1)
    finally:
        served.stop()


def begun(database: Path) -> bool:
    """Whether the gateway has begun to look for what is to be told."""
    with closing(sqlite3.connect(database)) as conn:
        return conn.execute("SELECT count(*) FROM alert_progress").fetchone()[0] == 1
