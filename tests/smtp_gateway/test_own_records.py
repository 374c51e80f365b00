"""What our own records say, from a real gateway: mail of ours that comes back, replays, and keys that are gone."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from outbound.schema import deliveries, outgoing
from outbound.sign import SigningKey
from smtp_gateway.own_records import StoredRecords
from tests.smtp_gateway.world import PROTECTED, World, Yes, message, now, signed, whole_gateway, zone_text
from threads.schema import archived_keys, seen_signatures
from threads.store.read import judgements
from verifier.canonical import BodyHashes
from verifier.driver import closed, drive
from verifier.evaluate import Context, judge
from verifier.evidence import Evidence, SessionOrigin, conclude
from verifier.evidence_file import read_evidence
from verifier.message import read_message
from verifier.own_records import body_hash
from verifier.report import Report, Verdict
from verifier.report_json import as_json
from verifier.resolver import Resolver
from verifier.zone import read_zone

OURS = "defender-experts@experts.test"
NOTICE = message("Was this you?\r\n", author=f"Defender Experts <{OURS}>", subject="A sign-in")


def send_ledger(world: World, raw: bytes, *, attempts: int = 1) -> None:
    """Put a mail into the ledger as one that was sent."""
    with world.database.writing() as conn:
        number = conn.execute(
            insert(outgoing)
            .values(
                idempotency_key="1",
                raw=raw,
                sha256=hashlib.sha256(raw).hexdigest(),
                body_sha256=body_hash(BodyHashes(read_message(raw))),
                message_id=read_message(raw).named(b"message-id")[0].value.decode().strip(" <>"),
                kind="letter",
                template_version=1,
                language="en",
                selector="s1",
                mail_from=OURS,
                rcpt_to="alex@contoso.test",
                subject="A sign-in",
                said="",
                actor="ana",
                created_at=now(),
            )
            .returning(outgoing.c.id)
        ).scalar_one()
        conn.execute(
            insert(deliveries).values(
                outgoing_id=number,
                state="delivered",
                checked_at=now(),
                attempts=attempts,
                last_reply="",
                updated_at=now(),
            )
        )


async def judged(world: World, raw: bytes, zone: str = "") -> Report:
    """The verdict on a saved message, with our records at hand; the zone is empty unless one is given."""
    resolver = Resolver([], read_zone(zone or "$ORIGIN experts.test.\n@ 300 IN A 192.0.2.1\n"))
    context = Context((PROTECTED,), now())
    records = StoredRecords(world.database)
    try:
        report, _ = await drive(
            judge(read_message(raw), context), Evidence(), resolver, Yes(), raw=raw, records=records
        )
    finally:
        records.close()
    return report


def codes(report: Report) -> set[str]:
    return {reason.code for reason in report.reasons}


@pytest.mark.parametrize(
    ("above", "verdict"),
    [
        (b"", Verdict.GENUINE),
        (b"Received: from a by b; now\r\nReturn-Path: <x@y.test>\r\n", Verdict.GENUINE),
        (b"DKIM-Signature: v=1; b=broken\r\nDelivered-To: alex@contoso.test\r\n", Verdict.GENUINE),
        (b"Subject: Urgent\r\n", Verdict.UNPROVEN),
        (b"From: Mallory <m@evil.test>\r\n", Verdict.FORGED),
        (b"Content-Type: text/html\r\n", Verdict.UNPROVEN),
        (b"X-Unknown: x\r\n", Verdict.UNPROVEN),
        (b"no field at all\r\n", Verdict.FORGED),
    ],
)
def test_identical_octets_below_trace_fields_prove_our_mail_without_any_key(
    tmp_path: Path, key: SigningKey, above: bytes, verdict: Verdict
) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            raw = signed(NOTICE, key, "experts.test")
            send_ledger(world, raw)
            report = await judged(world, above + raw)
            assert report.verdict is verdict
            assert ("ledger-identical" in codes(report)) is (verdict is Verdict.GENUINE)

    asyncio.run(scenario())


def test_a_changed_octet_is_no_identity_and_the_difference_is_stated(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            raw = signed(NOTICE, key, "experts.test")
            send_ledger(world, raw)
            report = await judged(world, raw.replace(b"Subject: A sign-in", b"Subject: Pay now"))
            (equal,) = [r for r in report.reasons if r.code == "ledger-equal-body"]
            assert "what differs: subject" in equal.text
            other = await judged(world, raw.replace(b"Was this you?", b"Call us now!"))
            (same,) = [r for r in other.reasons if r.code == "ledger-same-message-id"]
            assert "what differs: body" in same.text
            assert {report.verdict, other.verdict} == {Verdict.UNPROVEN}

    asyncio.run(scenario())


def test_a_mail_that_was_never_handed_over_proves_nothing(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            raw = signed(NOTICE, key, "experts.test")
            send_ledger(world, raw, attempts=0)
            assert not {code for code in codes(await judged(world, raw)) if code.startswith("ledger")}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("first", "ago", "again", "flagged"),
    [
        ("query@experts.test", timedelta(minutes=1), "verify@experts.test", False),  # split by recipient
        ("query@experts.test", timedelta(hours=2), "service@experts.test", True),  # for somebody else
        ("query@experts.test", timedelta(hours=2), "query@experts.test", False),  # our reply was lost
        ("query@experts.test", timedelta(days=6), "query@experts.test", True),  # long ago
    ],
)
def test_a_signature_that_came_in_before_is_flagged(
    tmp_path: Path, key: SigningKey, first: str, ago: timedelta, again: str, *, flagged: bool
) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            raw = signed(message("Hello\r\n"), key)
            assert (await world.send(raw, first)).startswith("250")
            with world.database.writing() as conn:
                conn.execute(update(seen_signatures).values(first_seen=now() - ago))
            assert (await world.send(raw, again, mail_from="b@contoso.test")).startswith("250")
            newest = world.copies()[0]
            with world.database.reading() as conn:
                last = judgements(conn, newest.id)[-1]
            report = json.loads(last.report)
            assert ("signature-replayed" in {r["code"] for r in report["reasons"]}) is flagged
            assert report["dkim"][0]["acceptable"] is not flagged
            # And from stored evidence alone, the same verdict.
            evidence, session = read_evidence(last.evidence.encode(), SessionOrigin.STORED)
            context = Context((PROTECTED,), last.at, session, "mx.experts.test")
            today = as_json(conclude(judge(read_message(raw), context), closed(evidence)), None)
            assert json.loads(json.dumps(today)) == report

    asyncio.run(scenario())


def test_a_key_that_was_seen_and_is_gone_proves_only_what_came_in_before(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            came = signed(NOTICE, key, "experts.test")
            assert (await world.send(came, "query@experts.test", mail_from=OURS)).startswith("250")
            with world.database.reading() as conn:
                (row,) = conn.execute(archived_keys.select()).all()
            assert row.name == "s1._domainkey.experts.test"
            recorded = await judged(world, b"Received: from a by b; now\r\n" + came)
            assert recorded.verdict is Verdict.GENUINE
            assert "recorded-under-key" in codes(recorded)
            second = signed(NOTICE.replace(b"Was this you?", b"And this?"), key, "experts.test")
            assert (await world.send(second, "query@experts.test", mail_from=OURS)).startswith("250")
            assert (await judged(world, second)).verdict is Verdict.GENUINE  # the key's last date has not moved
            later = signed(NOTICE.replace(b"Was this you?", b"Another one"), key, "experts.test")
            report = await judged(world, later)
            assert report.verdict is Verdict.UNPROVEN
            assert "archived-key" in codes(report)
            revoked = '$ORIGIN experts.test.\ns1._domainkey 300 IN TXT "v=DKIM1; p="\n'
            for raw in (came, later):
                gone = await judged(world, raw, revoked)
                assert gone.verdict is Verdict.UNPROVEN
                assert not codes(gone) & {"archived-key", "recorded-under-key"}
            assert (await judged(world, came, zone_text(key))).verdict is Verdict.GENUINE

    asyncio.run(scenario())
