"""``expertmail replay``: judge a stored message again from its stored evidence, and hide no difference."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import typer

from expertmail.desk import AsJson, Config, open_desk
from expertmail.dmarc_mode import suffixes_for
from expertmail.faults import ExitCode, FaultError
from expertmail.gateway import settings_hash
from expertmail.tables import moment, say, show_json
from threads.model import Judgement
from threads.store.read import judgements, raw_message
from verifier.dmarc_7489 import PublicSuffixes
from verifier.driver import closed
from verifier.evaluate import EVALUATOR_VERSION, Context, judge
from verifier.evidence import SessionOrigin, conclude
from verifier.evidence_file import EvidenceError, read_evidence
from verifier.identity import Identity
from verifier.message import read_message
from verifier.report_json import as_json as report_as_json


@dataclass(frozen=True, slots=True)
class Difference:
    """One place in which two verdict objects differ."""

    place: str
    then: Any
    today: Any


class Lists(NamedTuple):
    """The versions of the public suffix list that DMARC goes by; None where it goes by none."""

    then: str | None
    today: str | None


def _list_of(judgement: Judgement) -> str | None:
    """The version that is kept with the evidence; what cannot be read is told when the evidence is."""
    try:
        kept = json.loads(judgement.evidence)
    except ValueError:
        return None
    version = kept.get("public_suffixes") if isinstance(kept, dict) else None
    return version if isinstance(version, str) else None


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.command("replay")(replay)


def replay(
    message_id: Annotated[
        str, typer.Argument(metavar="MESSAGE-ID", help="The id said in the 250 reply and shown in lists.")
    ],
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Judge a stored message again from its stored evidence, at its clock and session; no network.

    Shows every difference from the verdict of that day; exit code 1 if there is any.
    """
    with open_desk(config) as desk:
        with desk.database.reading() as conn:
            raw = raw_message(conn, message_id)
            judged = judgements(conn, message_id)
        if not judged:
            raise FaultError(f"No judgement of {message_id} is stored.", ExitCode.NO_INPUT)
        last = judged[-1]
        suffixes = suffixes_for(desk.settings.verifier.dmarc_mode)
        today = judge_again(raw, last, desk.world.identities, desk.settings.hostname, suffixes)
        same_settings = last.settings_hash == settings_hash(desk.settings, desk.world.identities)
    then = json.loads(last.report)
    found = tuple(differences(then, today))
    lists = Lists(_list_of(last), None if suffixes is None else suffixes.version)
    if as_json:
        show_json(
            {
                "id": message_id,
                "at": last.at,
                "then": then,
                "today": today,
                "differences": found,
                "same_settings": same_settings,
                "evaluator": {"then": last.evaluator, "today": EVALUATOR_VERSION},
                "public_suffixes": lists._asdict(),
            }
        )
    else:
        _tell(message_id, last, today, found, same_settings=same_settings, lists=lists)
    if found:
        raise typer.Exit(1)


def judge_again(
    raw: bytes,
    judgement: Judgement,
    identities: tuple[Identity, ...],
    hostname: str,
    suffixes: PublicSuffixes | None = None,
) -> dict[str, Any]:
    """The verdict object of stored bytes by the stored evidence, clock and session. Raises FaultError."""
    try:
        evidence, session = read_evidence(judgement.evidence.encode(), SessionOrigin.STORED)
    except EvidenceError as error:
        raise FaultError(f"The stored evidence cannot be read: {error}.", ExitCode.DATA) from error
    context = Context(
        identities=identities, at=judgement.at, session=session, receiver=hostname, suffixes=suffixes
    )
    report = conclude(judge(read_message(raw), context), closed(evidence))
    found: dict[str, Any] = json.loads(json.dumps(report_as_json(report, None)))
    return found


def differences(then: Any, today: Any, place: str = "") -> Iterator[Difference]:
    """Every place in which two JSON values differ, by its path."""
    if isinstance(then, dict) and isinstance(today, dict):
        for name in dict.fromkeys((*then, *today)):
            if name == "file":  # a name for people, not part of the verdict
                continue
            yield from differences(then.get(name), today.get(name), f"{place}.{name}".lstrip("."))
    elif isinstance(then, list) and isinstance(today, list) and len(then) == len(today):
        for number, (one, other) in enumerate(zip(then, today, strict=True)):
            yield from differences(one, other, f"{place}[{number}]")
    elif then != today:
        yield Difference(place, then, today)


def _tell(
    message_id: str,
    last: Judgement,
    today: dict[str, Any],
    found: tuple[Difference, ...],
    *,
    same_settings: bool,
    lists: Lists,
) -> None:
    say(f"{message_id}, judged {moment(last.at)}: {last.verdict}; today: {today['verdict']}.")
    say(str(today["sentence"]))
    if not same_settings:
        say("Identities, routes, the DMARC mode or our name have changed since.")
    if lists.then != lists.today:
        say(
            f"DMARC went by the public suffix list {lists.then or '(none)'}; today's is {lists.today or '(none)'}."
        )
    if last.evaluator != EVALUATOR_VERSION:
        say(f"It was judged by evaluator {last.evaluator}; this is {EVALUATOR_VERSION}.")
    if not found:
        say("Nothing differs.")
    for one in found:
        say(f"{one.place}: then {json.dumps(one.then)}, today {json.dumps(one.today)}")
