"""Automatic mail of every sort is held to the daily caps of the settings, and not to those that are built in."""

from __future__ import annotations

import ast
import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from expertmail.desk import now
from expertmail.generation import Lasting, _delivery
from expertmail.metrics import Metrics
from expertmail.post_room import judging_set
from expertmail.settings import load
from expertmail.world import open_world
from outbound.code_orders import code_question
from outbound.compose import compose, stamp
from outbound.delivery import Handover
from outbound.mail_code import MailCodes, plain_code
from outbound.model import AutomaticCaps, DeliveryState, Failure, MailKind, OrderState, Reply, SelfCheck
from outbound.store import order_automatic, queue_outgoing
from outbound.store.relay import queue_relayed
from tests.outbound.conftest import NOW, REQUEST, Answering
from tests.outbound.test_relayed_mail import MAIL, REFUSED

ROOT = Path(__file__).parents[2]
ROOMS = ("expertmail", "outbound", "smtp_gateway", "threads")
CODES = MailCodes([b"c" * 32])
# What orders automatic mail, or hands the caps on to what does, and at which place it takes them.
TAKES_CAPS = {"order_automatic": 3, "answer_codes": 5, "tell_sender": 4, "record_attempt": 6}


def calls() -> list[tuple[str, int, str, ast.Call]]:
    """Every call of those in the program itself: file, line, whose, and the call."""
    found = []
    for path in (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if name in TAKES_CAPS:
                    found.append((str(path.relative_to(ROOT)), node.lineno, name, node))
    return found


def test_whatever_orders_automatic_mail_says_under_which_caps() -> None:
    found = calls()
    assert {name for _, _, name, _ in found} == set(TAKES_CAPS)
    silent = [
        f"{path}:{line} {name}"
        for path, line, name, call in found
        if len(call.args) < TAKES_CAPS[name] and not any(one.arg == "caps" for one in call.keywords)
    ]
    assert silent == []


@pytest.mark.parametrize("cap", [1, 12])
def test_senders_of_relayed_mail_hear_of_failures_up_to_the_configured_cap(world, cap) -> None:
    world.options["caps"] = AutomaticCaps(per_address=cap, per_domain=cap)
    for number in range(12):
        world.write(queue_relayed, replace(MAIL, key=f"k{number}"), NOW)
    world.transport = Answering(*[REFUSED] * 12)
    world.work()
    found = [order.state for order in world.orders()]
    assert found.count(OrderState.CAPPED.value) == 12 - cap


@pytest.mark.parametrize("cap", [1, 12])
def test_questions_about_codes_are_answered_up_to_the_configured_cap(
    world, record, office, signer, cap
) -> None:
    made = world.worker

    def worker(owner="w"):
        one = made(owner)
        one._office = replace(office, codes=CODES)
        return one

    world.worker = worker
    world.options["caps"] = AutomaticCaps(per_address=cap, per_domain=cap)
    (mail,) = compose(
        MailKind.REQUEST_FOR_CONTEXT, office=replace(office, codes=CODES), thread=record.incident,
        contacts=[record.contact], variables=REQUEST, stamps=[stamp("t1", "experts.test", NOW)],
    )  # fmt: skip
    genuine = SelfCheck(genuine=True, verdict="genuine")
    world.write(
        queue_outgoing, signer.sign(mail, NOW), idempotency_key="t1", actor="ana", checked=genuine, now=NOW
    )
    world.work()
    code = plain_code(CODES.of(mail.message_id).text)
    for number in range(11):
        question = code_question(
            contact_id=record.contact.id, address=f"asker{number}@elsewhere{number}.test", codes=[code],
            idempotency_key=f"q{number}", ordered_at=NOW,
        )  # fmt: skip
        world.write(order_automatic, question, AutomaticCaps(1_000, 1_000))
    world.work()
    answers = [one for one in world.outbox() if one.kind is MailKind.CODE_ANSWER]
    assert len(answers) == min(cap, 11)


def test_a_mail_is_given_up_when_its_worker_was_told_to(world) -> None:
    world.options["give_up"] = timedelta(hours=1)
    world.queue()
    later = Handover("mx", Reply(451, "later"), Failure.REFUSED_FOR_NOW, begun=True)
    world.transport = Answering(later, later)
    world.work()
    assert world.outbox()[0].state is DeliveryState.DEFERRED
    world.clock.now = NOW + timedelta(hours=1)
    world.work()
    assert world.outbox()[0].state is DeliveryState.EXPIRED


def test_the_settings_reach_the_worker(record, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "settings.toml"
    config.write_text(
        "[delivery]\ngive_up_hours = 7\ndaily_automatic_per_address = 3\ndaily_automatic_per_domain = 4\n"
    )

    async def made():
        world = open_world(load(config))
        async with judging_set(world, now) as judging:
            lasting = Lasting(record.database, None, record.writer, Metrics(), lambda: None)
            return _delivery(world, lasting, judging)

    worker = asyncio.run(made())
    assert (worker._give_up, worker._caps) == (timedelta(hours=7), AutomaticCaps(3, 4))
