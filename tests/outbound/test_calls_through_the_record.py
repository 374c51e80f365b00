"""Break-glass calls under a moving clock, through the record: marks, sheets, calls, alarms, and what others do in between.

300 incidents in twelve days over two changes of the clock; ``FULL=1`` makes it 10,000, which takes some minutes of one core.

A desk looks at the sheets every quarter of an hour and calls whoever is due, or is away for some hours. What each sheet says is judged
by the rules written down here once more, without the code under test.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from outbound.call_sheet import Outcome
from outbound.store.call_sheets import (
    due_to_tell,
    open_sheets,
    tell_of_call,
)
from outbound.store.calls import (
    begin_break_glass,
    end_break_glass,
    record_call,
)
from threads.model import Contact, Severity, State
from threads.schema import calls, organisations
from threads.store.moving import merge_threads
from threads.store.people import add_contact, add_organisation, change_contact, remove_contact
from threads.store.thread import open_incident, set_state, thread_by_id

NUMBER = 10_000 if os.environ.get("FULL") == "1" else 300
PEOPLE_OF = 15  # incidents for each customer
# A Thursday; Europe changes its clocks on the 25th, America on the 1st of November.
BEGINS = datetime(2026, 10, 22, 0, 0, tzinfo=UTC)
DAYS = 12
LOOK, BREAK, LOOKS = timedelta(minutes=15), timedelta(hours=9), 8
"""Eight looks, then a break: so the desk comes too late to some, and not to all."""
ZONES = (
    "Europe/Madrid", "America/New_York", "America/Los_Angeles", "Asia/Tokyo", "Asia/Kathmandu", "Pacific/Auckland",
    "Pacific/Kiritimati", "America/Sao_Paulo", "Australia/Lord_Howe", None,
)  # fmt: skip
WAITS = {  # minutes: to the next one, to the next round, until experts are told
    Severity.HIGH: (0, 15, 5),
    Severity.MEDIUM: (15, 120, 15),
    Severity.LOW: (60, 1_440, 60),
    Severity.INFORMATIONAL: (240, 2_880, 240),
}
ENDS = {"resolved": 8, "ended": 8, "merged": 1, "erased": 1, "never": 2}
"""How often each comes; a merge asks the database for all its tables, and takes longest."""
MISSED = (Outcome.NO_ANSWER, Outcome.BUSY, Outcome.VOICEMAIL, Outcome.REFUSED)


@dataclass
class Story:
    """One incident: when its break-glass begins, when and how that ends, and on which call somebody is reached."""

    severity: Severity
    began: datetime
    ends: datetime | None
    by: str
    answers: int
    thread: int = 0
    customer: int = 0
    over: datetime | None = None
    calls: list[tuple[datetime, int, Outcome]] = field(default_factory=list)


def good(zone: str | None, at: datetime) -> bool:
    there = at.astimezone(ZoneInfo(zone) if zone else UTC)
    return there.weekday() < 5 and 8 <= there.hour < 20


@dataclass
class Judge:
    """Who has to be called now, told by the rules' words: a round, an order, hours."""

    people: dict[int, list[Contact]]  # of each customer, as they are now
    wrong: dict[int, str]  # the number that was wrong last, by contact

    def expected(self, story: Story, now: datetime) -> set[int | None]:
        """The one who is due; nothing when nobody is."""
        next_, round_, _ = WAITS[story.severity]
        able = [
            one for one in self.people[story.customer] if one.phone and self.wrong.get(one.id) != one.phone
        ]
        able.sort(key=lambda one: (one.call_order or 10_000, one.address))
        if not able:
            return {None}
        left, from_ = {one.id for one in able}, story.began
        for at, who, outcome in story.calls:
            if outcome is Outcome.WRONG_NUMBER:
                from_ = max(from_, at)
                continue
            left.discard(who)
            from_ = at + timedelta(minutes=next_)
            if not left:
                left, from_ = {one.id for one in able}, at + timedelta(minutes=round_)
        if now < from_:
            return set()
        for one in able:
            if one.id in left and (story.severity is Severity.HIGH or good(one.time_zone, now)):
                return {one.id}
        return set()


@dataclass
class Simulation:
    database: object
    chance: random.Random = field(default_factory=lambda: random.Random(8))
    seen: Counter = field(default_factory=Counter)
    judge: Judge = field(default_factory=lambda: Judge({}, {}))
    told: dict[int, list[datetime]] = field(default_factory=dict)

    def run(self) -> None:
        self.stories = self._stories()
        happen = [(story.began, number, "began") for number, story in enumerate(self.stories)]
        happen += [
            (story.ends, number, story.by)
            for number, story in enumerate(self.stories)
            if story.ends is not None
        ]
        happen.sort(reverse=True)
        now, away, looks = BEGINS, BEGINS, 0
        while now < BEGINS + timedelta(days=DAYS):
            looks += 1
            now += LOOK if looks % LOOKS else BREAK
            with self.database.writing() as conn:
                while happen and happen[-1][0] <= now:
                    at, number, what = happen.pop()
                    self._happen(conn, self.stories[number], at, what)
                for _ in range(NUMBER // 300 if self.chance.random() < 0.5 else 0):
                    self._change_somebody(conn, now)
            if now >= away and self.chance.random() < 0.01:
                away = now + timedelta(hours=self.chance.choice([1, 6, 30]))  # nobody sits at the desk
            self._look(now, at_desk=now >= away)

    def _stories(self) -> list[Story]:
        made = []
        for _ in range(NUMBER):
            began = BEGINS + timedelta(minutes=self.chance.randrange((DAYS - 3) * 24 * 60))
            by = self.chance.choices(list(ENDS), list(ENDS.values()))[0]
            ends = (
                None
                if by == "never"
                else began + timedelta(minutes=self.chance.choice([5, 60, 600, 3_000, 9_000]))
            )
            answers = self.chance.choice([1, 2, 3, 5, 8, 25])
            made.append(Story(self.chance.choice(list(Severity)), began, ends, by, answers))
        with self.database.writing() as conn:
            for number, story in enumerate(made):
                if number % PEOPLE_OF == 0 or made[number - 1].by == "erased" or story.by == "erased":
                    customer = self._customer(conn, number)
                story.customer = customer
            self.survivors = {
                one: open_incident(conn, one, "What goes on for others", BEGINS)
                for one in {s.customer for s in made}
            }
            for one in self.survivors.values():  # of one that goes on the calls would go on, too
                set_state(conn, one.id, State.RESOLVED, BEGINS, actor="Eva")
        return made

    def _customer(self, conn, number: int) -> int:
        one = add_organisation(conn, f"Customer {number}", BEGINS)
        people = [
            add_contact(
                conn, one.id, f"{letter}@c{one.id}.test", letter, BEGINS,
                phone=None if self.chance.random() < 0.1 else f"+1 555 {one.id:04} {place}",
                call_order=self.chance.choice([0, 0, 1, 2, 3]), time_zone=self.chance.choice(ZONES) or "",
            )
            for place, letter in enumerate("abcd"[: self.chance.choice([1, 2, 3, 4])])
        ]  # fmt: skip
        self.judge.people[one.id] = people
        return one.id

    def _happen(self, conn, story: Story, at: datetime, what: str) -> None:
        if what == "began":
            thread = open_incident(conn, story.customer, "Ransomware", at, severity=story.severity)
            story.thread = thread.id
            begin_break_glass(conn, thread, "it spreads", at, by="Eva")
            return
        thread = thread_by_id(conn, story.thread)
        if what == "resolved":
            set_state(conn, thread.id, State.RESOLVED, at, actor="Eva")
        elif what == "ended":
            end_break_glass(conn, thread, at, by="Eva")
        elif what == "merged":
            merge_threads(conn, thread, self.survivors[story.customer], at, by="Eva")
        else:
            conn.execute(
                organisations.update().where(organisations.c.id == story.customer).values(erased_at=at)
            )
        story.over = min(story.over or at, at)

    def _change_somebody(self, conn, now: datetime) -> None:
        """A number changes, somebody comes or leaves, or is called earlier."""
        whose = self.chance.choice(list(self.judge.people))
        people = self.judge.people[whose]
        if not people:
            return
        one, what = self.chance.choice(people), self.chance.randrange(5)
        if what == 0 and len(people) > 1:
            remove_contact(conn, one, now)
            people.remove(one)
            return
        if what == 1:
            people.append(
                add_contact(
                    conn, whose, f"n{self.chance.random()}@c{whose}.test", "New", now, phone="+1 555 9"
                )
            )
            return
        change = (
            {"phone": f"+1 556 {self.chance.randrange(10**6):06}"}
            if what < 4
            else {"call_order": self.chance.randrange(4)}
        )
        people[people.index(one)] = change_contact(conn, one, **change)

    def _look(self, now: datetime, *, at_desk: bool) -> None:
        with self.database.reading() as conn:
            found = open_sheets(conn, now)
            to_tell = due_to_tell(conn, found, now)
        sheets = {one.sheet.emergency.thread.id: one.sheet for one in found}
        open_ = {story.thread: story for story in self.stories if story.thread and story.over is None}
        assert set(sheets) == set(open_), "nobody is called after the end, and nobody is forgotten before it"
        for number, sheet in sheets.items():
            story, due = open_[number], sheet.due
            expected = self.judge.expected(story, now)
            assert expected == (set() if due is None else {due.contact.id if due.contact else None}), (
                story,
                sheet,
                now,
            )
            assert (due is None) == (sheet.waits is not None)
            if sheet.waits is not None:
                assert sheet.waits[1] > now
                assert self.judge.expected(story, sheet.waits[1]) == {sheet.waits[0].id}
                assert not self.judge.expected(story, sheet.waits[1] - timedelta(seconds=1))
                self.seen["waits"] += 1
        self._tell(to_tell, sheets, now)
        if not at_desk or not any(one.due and one.due.contact for one in sheets.values()):
            return
        with self.database.writing() as conn:
            for number, sheet in sheets.items():
                if sheet.due is not None and sheet.due.contact is not None:
                    self._call(conn, open_[number], sheet.due.contact, now)

    def _tell(self, to_tell: tuple[int, ...], sheets, now: datetime) -> None:
        if to_tell:
            with self.database.writing() as conn:
                for number in to_tell:
                    turn = tell_of_call(conn, number, now)
                    assert turn is not None
                    assert tell_of_call(conn, number, now) is None, "another node, at the same moment"
                    severity = sheets[number].emergency.thread.severity
                    assert turn.since <= now - timedelta(minutes=WAITS[severity][2])
                    self.told.setdefault(number, []).append(now)
                    self.seen["told"] += 1
        for number, sheet in sheets.items():
            if sheet.due is not None and now >= sheet.due.tell_at:
                told = self.told.get(number, [])
                assert any(at >= sheet.due.since for at in told), "who is due too long was told of since then"

    def _call(self, conn, story: Story, who: Contact, now: datetime) -> None:
        assert story.severity is Severity.HIGH or good(who.time_zone, now)
        story.answers -= 1
        outcome = (
            Outcome.REACHED
            if story.answers <= 0
            else self.chance.choice([*MISSED, *MISSED, Outcome.WRONG_NUMBER])
        )
        record_call(conn, thread_by_id(conn, story.thread), who, outcome, "They know.", now, by="Eva")
        story.calls.append((now, who.id, outcome))
        if outcome is Outcome.WRONG_NUMBER:
            self.judge.wrong[who.id] = who.phone or ""
        else:
            self.judge.wrong.pop(who.id, None)
        if outcome is Outcome.REACHED:
            story.over = now
        self.seen[outcome.value] += 1
        self.seen["night" if not good(who.time_zone, now) else "day"] += 1


def test_nobody_is_called_after_the_end_nobody_due_is_missed_and_order_and_hours_hold(record):
    simulation = Simulation(record.database)
    simulation.run()
    with record.database.reading() as conn:
        made = conn.execute(calls.select()).all()
        over = {story.thread: story.over for story in simulation.stories}
        assert all(
            over[row.thread_id] is None or row.at <= over[row.thread_id]
            for row in made
            if row.thread_id in over
        )
    for what in (*Outcome, "waits", "told", "night", "day"):
        assert simulation.seen[str(what)] > NUMBER / 100, f"the simulation has none of this: {what}"
    print(f"{NUMBER} incidents: {dict(simulation.seen)}")
