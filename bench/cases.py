"""The corpus of cases, judged by us and by the peers: what each takes for a message of the protected sender."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

import dkim

from bench import mailauth
from expertmail.saved_messages import repaired
from tests.cases.__main__ import cases
from tests.cases.genuine import DOMAIN, PROTECTED, zone
from tests.cases.kept import FILES, SESSION
from tests.verifier.judging import AT, txt
from verifier.address import AuthorField
from verifier.author import author_of
from verifier.driver import drive
from verifier.evaluate import Context, judge
from verifier.message import read_message
from verifier.opinion_worker import SecondOpinion
from verifier.report import Verdict


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
    """Judge all cases of ``count`` generated messages."""
    return _scores(list(cases(count)))


def score_kept() -> list[Score]:
    """Judge the kept files, as they are: bytes, names and right verdicts from their folder."""
    lines = (FILES / "expected.jsonl").read_text("ascii").splitlines()
    return _scores(
        [(row["file"], (FILES / row["file"]).read_bytes(), row["verdicts"]) for row in map(json.loads, lines)]
    )


def _scores(table: Sequence[tuple[str, bytes, list[str]]]) -> list[Score]:
    raws = [raw for _, raw, _ in table]
    rows = [_score("expertmail", table, _ours(raws)), _score("dkimpy", table, [_dkimpy(raw) for raw in raws])]
    if mailauth.missing() is None:
        records = {(name, "TXT"): text for name, text in zone().items()}
        session = {
            "ip": SESSION["client_ip"],
            "helo": SESSION["helo"],
            "sender": SESSION["mail_from"],
            "mta": SESSION["receiver"],
        }
        said = mailauth.authenticate(raws, records, session)
        rows.append(_score(f"mailauth {said.version}", table, [domain == DOMAIN for domain in said.passed]))
    return rows


def _score(name: str, table: Sequence[tuple[str, bytes, list[str]]], taken: Sequence[bool]) -> Score:
    genuine = [
        took for (_, _, right), took in zip(table, taken, strict=True) if right == [Verdict.GENUINE.value]
    ]
    attacks = [(case, took) for (case, _, _), took in zip(table, taken, strict=True) if "-attack-" in case]
    kinds = sorted({case.partition("-attack-")[2].removesuffix(".eml") for case, took in attacks if took})
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
                for raw in (repaired(raw)[0] for raw in raws)  # as any saved file is read
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
