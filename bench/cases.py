"""The corpus of cases, judged by us and by the peers: what each takes for a message of the protected sender."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import dkim

from bench import mailauth
from tests.cases.__main__ import cases
from tests.cases.genuine import DOMAIN, PROTECTED, zone
from tests.verifier.judging import AT, txt
from verifier.address import AuthorField
from verifier.author import author_of
from verifier.driver import drive
from verifier.evaluate import Context, judge
from verifier.message import read_message
from verifier.opinion_worker import SecondOpinion
from verifier.report import Verdict

SESSION = {
    "ip": "192.0.2.1",
    "helo": "mx.elsewhere.test",
    "sender": "bounce@elsewhere.test",
    "mta": "mx.contoso.test",
}


@dataclass(frozen=True, slots=True)
class Score:
    """What a verifier took for the sender's: of what is his and unharmed, and of the attacks, by their kinds."""

    name: str
    genuine: int
    of_genuine: int
    attacks: int
    of_attacks: int
    kinds: tuple[str, ...]


def score(count: int) -> list[Score]:
    """Judge all cases of ``count`` messages."""
    table = list(cases(count))
    raws = [raw for _, raw, _ in table]
    rows = [_score("expertmail", table, _ours(raws)), _score("dkimpy", table, [_dkimpy(raw) for raw in raws])]
    if mailauth.missing() is None:
        records = {(name, "TXT"): text for name, text in zone().items()}
        said = mailauth.authenticate(raws, records, SESSION)
        rows.append(_score(f"mailauth {said.version}", table, [domain == DOMAIN for domain in said.passed]))
    return rows


def _score(name: str, table: Sequence[tuple[str, bytes, list[str]]], taken: Sequence[bool]) -> Score:
    genuine = [
        took for (_, _, right), took in zip(table, taken, strict=True) if right == [Verdict.GENUINE.value]
    ]
    attacks = [(case, took) for (case, _, _), took in zip(table, taken, strict=True) if "-attack-" in case]
    kinds = sorted({case.partition("-attack-")[2] for case, took in attacks if took})
    return Score(
        name, sum(genuine), len(genuine), sum(took for _, took in attacks), len(attacks), tuple(kinds)
    )


def _ours(raws: Sequence[bytes]) -> list[bool]:
    evidence = txt(zone())

    async def run() -> list[bool]:
        opinion = SecondOpinion()
        try:
            reports = [
                await drive(
                    judge(read_message(raw), Context(PROTECTED, AT)), evidence, None, opinion, raw=raw
                )
                for raw in raws
            ]
            return [report.verdict is Verdict.GENUINE for report, _ in reports]
        finally:
            await opinion.close()

    return asyncio.run(run())


def _dkimpy(raw: bytes) -> bool:
    """A signature of the author's domain that dkimpy verifies: what a program makes of dkimpy alone."""
    records = {(name + ".").encode(): text.encode() for name, text in zone().items()}
    author = author_of(read_message(raw))
    if not isinstance(author, AuthorField) or DOMAIN not in {mailbox.domain for mailbox in author.mailboxes}:
        return False
    try:
        check = dkim.DKIM(raw)
        verified = check.verify(dnsfunc=lambda name, timeout=5: records.get(name))  # noqa: ARG005 - dkimpy names it
    except Exception:  # noqa: BLE001 - dkimpy leaks exceptions of many kinds; that is no acceptance
        return False
    return bool(verified) and check.domain == DOMAIN.encode()
