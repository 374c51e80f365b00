"""Reminders under a moving clock, through the record: looks, orders, mail, tries, and what others write in between.

300 incidents in sixty days; ``FULL=1`` makes it 10,000, which takes some minutes of one core.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from outbound.delivery import Handover
from outbound.errors import ComposeError
from outbound.model import (
    Attempt,
    Delivery,
    Failure,
    LeasedOrder,
    OrderState,
    Rendered,
    Reply,
    SelfCheck,
    Signed,
)
from outbound.reminders import Action, asked_in_key
from outbound.retry import decide
from outbound.schema import automatic_orders, deliveries
from outbound.store import close_order, lease_due, next_orders, queue_ordered, record_attempt
from outbound.store.reminders import due_reminders, take_step, withdraw_needless
from tests.outbound.conftest import NOW
from tests.outbound.test_reminders import DAYS, LOOK, NOTHING_WRONG, RULES, Story, judge, stories
from threads.model import EntryKind, Mark, State
from threads.store.circumstances import distrust
from threads.store.moving import merge_threads
from threads.store.people import add_contact, add_organisation, organisation
from threads.store.thread import append, open_incident, set_state, thread_by_id

NUMBER = 10_000 if os.environ.get("FULL") == "1" else 300
CUSTOMERS = 20
AT_ONCE = 200
GENUINE = SelfCheck(genuine=True, verdict="genuine")
RAW = b"From: defender-experts@experts.test\r\nSubject: Reminder\r\n\r\nPlease act.\r\n"
TAKEN = Handover("mx", Reply(250, "taken"), begun=True)
LATER = Handover("mx", Reply(450, "come back later"), Failure.REFUSED_FOR_NOW)
HOURS_AWAY = (0, 0, 0, 0, 5, 12, 30)
"""How long a customer's server refuses a reminder for now; less than the five days for which it is tried."""


@dataclass
class Simulation:
    """One gateway under a clock that moves from look to look. Whatever happened since the last look is on record before it."""

    database: object
    made: list[Story]
    ids: dict[int, int] = field(default_factory=dict)  # of the threads, by the stories' numbers
    numbers: dict[int, int] = field(default_factory=dict)
    taken: dict[int, list[datetime]] = field(default_factory=dict)
    story_of: dict[int, int] = field(default_factory=dict)  # by the mail's number
    up_at: dict[int, datetime] = field(default_factory=dict)  # from when the mail's server takes it
    ends: Counter = field(default_factory=Counter)
    handed: list[tuple[int, datetime]] = field(default_factory=list)
    dropped: list[tuple[int, datetime]] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(12))

    def run(self, until: datetime) -> None:
        self._begin()
        happenings = [(story.asked, number, "asked") for number, story in enumerate(self.made)]
        happenings += [
            (story.ends, number, story.by) for number, story in enumerate(self.made) if story.ends is not None
        ]
        happenings.sort(reverse=True)
        now = NOW
        while now < until:
            now += LOOK
            with self.database.writing() as conn:
                while happenings and happenings[-1][0] <= now:
                    at, number, what = happenings.pop()
                    self._happen(conn, at, number, what)
                # Ordered at the last look: what ended since then is found out here, or at a later try.
                while orders := next_orders(conn, now, "w", AT_ONCE):
                    for leased in orders:
                        self._compose(conn, leased, now)
            self._look(now)
            with self.database.writing() as conn:
                while due := lease_due(conn, now, "w", AT_ONCE):
                    for mail in due:
                        self._one_try(conn, mail, now)

    def _begin(self) -> None:
        with self.database.writing() as conn:
            self.customers = [self._customer(conn, f"Customer {number}") for number in range(CUSTOMERS)]
            # Who is marked untrusted stands alone: the mark is the whole customer's.
            self.lone = {
                number: self._customer(conn, f"Lone {number}")
                for number, story in enumerate(self.made)
                if story.by == "untrusted" and story.ends is not None
            }
            self.goes_on = [open_incident(conn, one.id, "What goes on for others", NOW) for one in self.customers]

    def _customer(self, conn, name):
        one = add_organisation(conn, name, NOW)
        add_contact(conn, one.id, f"a@c{one.id}.test", "A", NOW)
        add_contact(conn, one.id, f"b@c{one.id}.test", "B", NOW, phone="+1 555 0100")
        return one

    def _happen(self, conn, at, number, what) -> None:
        story, customer = self.made[number], self.lone.get(number, self.customers[number % CUSTOMERS])
        if what == "asked":
            thread = open_incident(conn, customer.id, f"Incident {number}", at, severity=story.severity)
            set_state(conn, thread.id, State.AWAITING_CUSTOMER, at, actor="Ana")
            self.ids[number], self.numbers[thread.id] = thread.id, number
        elif what == "resolved":
            set_state(conn, self.ids[number], State.RESOLVED, at, actor="Ana")
        elif what == "answered":
            append(conn, self.ids[number], at, EntryKind.MAIL_IN, actor="A", mark=Mark.VERIFIED, text="Done.")
        elif what == "untrusted":
            distrust(conn, organisation(conn, customer.id), "an intruder", at, by="Ana")
        else:
            assert what == "merged"
            into = self.goes_on[number % CUSTOMERS]
            merge_threads(conn, thread_by_id(conn, self.ids[number]), into, at, by="Ana")

    def _look(self, now) -> None:
        with self.database.reading() as conn:
            due = due_reminders(conn, RULES, now)
        if not due:
            return
        with self.database.writing() as conn:
            for thread_id in due:
                step = take_step(conn, thread_id, RULES, now)
                assert step is not None
                assert take_step(conn, thread_id, RULES, now) is None, "another node, at the same moment"
                self.taken.setdefault(self.numbers[thread_id], []).append(now)
                self.ends["calls" if step.action is Action.TELEPHONE else "ordered"] += 1

    def _compose(self, conn, leased, now) -> None:
        assert isinstance(leased, LeasedOrder)
        order = leased.order
        number = self.numbers[asked_in_key(order.idempotency_key)[0]]
        name = f"<{leased.order_id}@experts.test>"
        mail = Rendered(RAW, name, "", order.address, "Reminder", "Please act.", order.kind, 1, "en", order.thread_id, order.contact_id, now)  # fmt: skip
        try:
            made = queue_ordered(conn, leased, Signed(RAW, mail, "s1"), checked=GENUINE, now=now)
        except ComposeError as error:  # as the worker does
            close_order(conn, leased.order_id, OrderState.REFUSED, reason=str(error))
            self.dropped.append((number, now))
            self.ends["refused"] += 1
            return
        self.story_of[made.outgoing_id] = number
        self.up_at[made.outgoing_id] = now + timedelta(hours=self.chance.choice(HOURS_AWAY))

    def _one_try(self, conn, mail, now) -> None:
        assert isinstance(mail, Delivery)
        assert mail.reminder
        number = self.story_of[mail.outgoing_id]
        if withdraw_needless(conn, mail.outgoing_id, now):
            self.dropped.append((number, now))
            self.ends["withdrawn"] += 1
            return
        self.handed.append((number, now))
        done = TAKEN if now >= self.up_at[mail.outgoing_id] else LATER
        attempt = Attempt(now, now, done.host, done.reply, done.failure, tls=True)
        after = decide(
            attempts=mail.attempts, failure=done.failure, reply=done.reply, created=mail.since, now=now, jitter=0.0
        )
        assert record_attempt(conn, mail.outgoing_id, "w", attempt, after)
        self.ends["delivered" if done is TAKEN else "tries that were refused for now"] += 1


def test_through_the_record_with_a_second_node_at_every_step_and_servers_that_are_away(record):
    made = stories(NUMBER, seed=11)
    until = NOW + timedelta(days=DAYS)
    simulation = Simulation(record.database, made)
    simulation.run(until)
    assert judge(made, simulation.taken, until) == NOTHING_WRONG

    def over(number, at):
        end = made[number].ends
        return end is not None and at >= end

    assert [one for one in simulation.handed if over(*one)] == [], "no byte leaves after the end"
    assert [one for one in simulation.dropped if not over(*one)] == [], "nothing is kept back before it"
    ends = simulation.ends
    assert ends["delivered"] + ends["refused"] + ends["withdrawn"] == ends["ordered"] > NUMBER
    with record.database.reading() as conn:
        assert {row.state for row in conn.execute(automatic_orders.select())} == {"composed", "refused"}
        assert {row.state for row in conn.execute(deliveries.select())} == {"delivered", "withdrawn"}
    for what in ("refused", "withdrawn", "calls", "tries that were refused for now"):
        assert ends[what] > NUMBER / 100, f"the simulation has none of this: {what}"
    print(f"{NUMBER} incidents: {dict(ends)}")
