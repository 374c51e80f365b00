"""A record filled with as many messages as are wanted, in bulk: conversations of customers with a realistic spread.

Every twelfth message opens a conversation; some are long and most are short. Words follow Zipf's law, as written language
does: the commonest stand in nearly every message, most in a handful. What comes out depends on the number alone.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Table

from threads.model import Assignee, Severity, State
from threads.schema import (
    contacts,
    evidence,
    message_ids,
    messages,
    organisation_domains,
    organisations,
    raw_messages,
    threads,
    timeline,
)
from threads.store.engine import Database

BEGAN: Final = datetime(2025, 1, 1, tzinfo=UTC)
APART: Final = timedelta(seconds=40)  # a million messages are fifteen months
TOGETHER: Final = 5_000  # messages in one transaction of the filling
PER_THREAD: Final = 12
CONTACTS: Final = 5  # of an organisation
OF_ORGANISATION: Final = 2_000  # messages
WORDS: Final = 30_000
VERDICTS: Final = (
    ("no-claim", 930),
    ("unproven", 45),
    ("authentic-unpinned", 15),
    ("forged", 9),
    ("genuine", 1),
)
DISPOSITIONS: Final = (("filed", 900), ("held", 60), ("triage", 30), ("discarded", 10))
# Such as people look for: they are among the words, at places of their own in the order of how common they are.
KNOWN_WORDS: Final = {
    3: "please", 8: "alert", 14: "account", 25: "password", 40: "server", 70: "phishing", 120: "ransomware", 200: "malware",
    300: "outlook", 450: "kerberos", 700: "mimikatz", 1_200: "beacon", 3_000: "quarantine", 9_000: "cobaltstrike",
    20_000: "zerologon",
}  # fmt: skip
Vocabulary = tuple[list[str], list[float]]
_SYLLABLES: Final = (
    *("ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "qui", "ro", "su", "ta", "ve"),
    *("wi", "xo", "zu", "ber", "con", "del", "fin", "gar", "hol"),
)


@dataclass(frozen=True, slots=True)
class Filled:
    """What a record of so many messages holds: enough to write messages that belong there."""

    number: int
    threads: int
    organisations: int


def sizes(number: int) -> Filled:
    """The spread of a record of ``number`` messages."""
    return Filled(number, -(-number // PER_THREAD), max(3, number // OF_ORGANISATION))


def message_id(number: int) -> str:
    """The Message-ID of one of its messages, without angle brackets."""
    digest = hashlib.sha256(b"%d" % number).hexdigest()[:24]
    return f"{digest}.{number}@mail.customer{number % 977}.test"


def author(filled: Filled, thread: int, number: int) -> str:
    """Who wrote a message: one of the contacts of its thread's organisation."""
    of = thread % filled.organisations
    return f"person{number % CONTACTS}@customer{of}.test"


def reference(thread: int) -> str:
    """A thread's reference; a third are inquiries."""
    return f"{'INQ' if thread % 3 == 0 else 'INC'}-{thread + 1:06d}"


def thread_of(filled: Filled, number: int) -> int:
    """The thread of a message. Those that go on at the same time are mixed; some have much more mail than others."""
    chance = random.Random(number)
    opened = max(1, (number + 1) * filled.threads // filled.number)
    return max(0, opened - 1 - int(chance.expovariate(1 / 40)))


def vocabulary() -> Vocabulary:
    """Words, the commonest first, and how often each stands beside the others, added up."""
    chance = random.Random(1)
    made = dict.fromkeys(KNOWN_WORDS.values())
    invented: list[str] = []
    while len(invented) < WORDS:
        word = "".join(chance.choices(_SYLLABLES, k=chance.choice((2, 2, 3, 3, 4))))
        if word not in made:
            made[word] = None
            invented.append(word)
    for place, word in sorted(KNOWN_WORDS.items()):
        invented.insert(place, word)
    weights = itertools.accumulate(1 / (place + 3) for place in range(len(invented)))
    return invented, list(weights)


def fill(database: Database, number: int) -> Filled:
    """Fill an empty record of the newest schema; the index to search in is left to the indexer."""
    filled = sizes(number)
    with database.writing() as conn:
        _people(conn, filled)
    words = vocabulary()
    chance = random.Random(number)
    for start in range(0, number, TOGETHER):
        with database.writing() as conn:
            _messages(conn, filled, range(start, min(number, start + TOGETHER)), words, chance)
    if database.path is None:  # what serial columns give out next
        with database.writing() as conn:
            for table in (organisations, contacts, threads, evidence, timeline):
                conn.exec_driver_sql(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), max(id)) FROM {table.name}"
                )
    return filled


def settle(database: Database) -> None:
    """Let the database know what its tables are like, as it finds out by itself in time."""
    if database.path is None:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.exec_driver_sql("VACUUM ANALYZE")


def _people(conn: Connection, filled: Filled) -> None:
    at = _time(conn, BEGAN)
    every = range(filled.organisations)
    _put(
        conn,
        organisations,
        [
            {"id": n + 1, "name": f"Customer {n}", "name_key": f"customer {n}", "created_at": at}
            for n in every
        ],
    )
    _put(
        conn,
        organisation_domains,
        [
            {"domain": f"customer{n}.test", "organisation_id": n + 1, "verified": True, "created_at": at}
            for n in every
        ],
    )
    people = [(n, m) for n in every for m in range(CONTACTS)]
    _put(
        conn,
        contacts,
        [
            {
                "id": number + 1, "organisation_id": n + 1, "address": f"person{m}@customer{n}.test",
                "address_key": f"person{m}@customer{n}.test", "name": f"Person {m}", "kind": "incident-notification",
                "language": "en", "created_at": at,
            }
            for number, (n, m) in enumerate(people)
        ],
    )  # fmt: skip
    for start in range(0, filled.threads, TOGETHER):
        _put(
            conn,
            threads,
            [
                {
                    "id": n + 1, "kind": "inquiry" if n % 3 == 0 else "incident", "reference": reference(n),
                    "title": f"Conversation {n}", "state": State.ACTIVE.value, "severity": Severity.MEDIUM.value,
                    "assigned_to": Assignee.DEFENDER_EXPERTS.value, "organisation_id": n % filled.organisations + 1,
                    "opened_at": at, "updated_at": at,
                }
                for n in range(start, min(filled.threads, start + TOGETHER))
            ],
        )  # fmt: skip


def _messages(
    conn: Connection,
    filled: Filled,
    some: range,
    words: Vocabulary,
    chance: random.Random,
) -> None:
    count = len(some)
    verdicts = _chosen(chance, VERDICTS, count)
    dispositions = _chosen(chance, DISPOSITIONS, count)
    raws, copies, judged, entries, known = [], [], [], [], []
    for number, verdict, disposition in zip(some, verdicts, dispositions, strict=True):
        received = BEGAN + APART * number + timedelta(microseconds=chance.randrange(10**6))
        at = _time(conn, received)
        thread = thread_of(filled, number)
        whole = chance.choices(words[0], cum_weights=words[1], k=6 + int(chance.lognormvariate(4, 0.7)))
        subject = " ".join(whole[:5]).capitalize()
        body = " ".join(whole[5:])
        who, own_id = author(filled, thread, number), message_id(number)
        attached = f'; name="report_{number}.pdf"' if number % 20 == 0 else ""
        raw = (
            f"From: Person {number % CONTACTS} <{who}>\r\nTo: query@experts.test\r\nSubject: {subject}\r\n"
            f"Message-ID: <{own_id}>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain{attached}\r\n\r\n{body}\r\n"
        ).encode()
        digest = hashlib.sha256(raw).hexdigest()
        copy_id = f"{number:026d}"
        filed = disposition == "filed"
        raws.append({"sha256": digest, "size": len(raw), "raw": raw})
        copies.append(
            {
                "id": copy_id, "sha256": digest, "mail_from": who, "rcpt_to": "query@experts.test", "received_at": at,
                "client_ip": "192.0.2.1", "helo": "mail.test", "message_id": own_id, "subject": subject, "author": who,
                "kind": "human", "verdict": verdict, "disposition": disposition, "reason": "because", "thread_id": thread + 1 if filed else None,
                "rule": "references", "match_reason": "", "signals": "[]", "standing": "contact", "standing_reason": "",
                "new_text": body, "quoted_text": "", "trace": "",
            }
        )  # fmt: skip
        judged.append(
            {
                "id": number + 1, "message_id": copy_id, "at": at, "verdict": verdict, "report": "{}", "body": "{}",
                "evaluator": "bench", "settings_hash": "0" * 64, "client_ip": "192.0.2.1", "helo": "mail.test",
            }
        )  # fmt: skip
        if filed:
            entries.append(
                {
                    "thread_id": thread + 1, "at": at, "kind": "mail-in", "actor": who, "mark": "verified",
                    "text": body, "quoted": "", "message_id": own_id, "copy_id": copy_id,
                }
            )  # fmt: skip
            known.append(
                {
                    "message_id": own_id,
                    "thread_id": thread + 1,
                    "direction": "out" if number % 4 == 0 else "in",
                }
            )
    for table, rows in (
        (raw_messages, raws),
        (messages, copies),
        (evidence, judged),
        (timeline, entries),
        (message_ids, known),
    ):
        _put(conn, table, rows)


def _chosen(chance: random.Random, words: Sequence[tuple[str, int]], count: int) -> list[str]:
    return chance.choices([word for word, _ in words], [weight for _, weight in words], k=count)


def _time(conn: Connection, at: datetime) -> Any:
    if conn.dialect.name == "sqlite":
        return at.replace(tzinfo=None).isoformat(" ", "microseconds")
    return at


def _put(conn: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows by the driver's own way for many."""
    if not rows:
        return
    columns = list(rows[0])
    names = ", ".join(f'"{name}"' for name in columns)
    driver: Any = conn.connection.driver_connection
    values = _values(columns, rows)
    if conn.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        driver.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", values)
        return
    with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
        for row in values:
            copy.write_row(row)


def _values(columns: list[str], rows: list[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
    return (tuple(row[name] for name in columns) for row in rows)
