"""``expertmail verify``: the verdict on saved messages, for a person or as one JSON object a line."""

from __future__ import annotations

import asyncio
import importlib
import ipaddress
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Final

import typer

from expertmail.default_identities import default_identities
from expertmail.dmarc_mode import suffixes_for
from expertmail.faults import ExitCode, FaultError
from expertmail.saved_messages import NOTE_TEXT, SavedMessage, load
from verifier.dmarc_7489 import PublicSuffixes
from verifier.driver import Resolves, drive
from verifier.evaluate import Context, judge
from verifier.evidence import Absent, Answer, Evidence, Opinion, Question, Session, SessionOrigin
from verifier.evidence_file import EvidenceError, read_evidence, write_evidence
from verifier.identity import Identity, IdentityError, parse_identities
from verifier.message import read_message
from verifier.opinion_worker import SecondOpinion
from verifier.report import DmarcMode, Report, Verdict
from verifier.report_json import as_json
from verifier.zone import ZoneError, read_zone

MAX_SIDE_BY_SIDE: Final = 8  # messages judged at once where DNS is asked
MAX_OPTION_FILE: Final = 64 * 1024 * 1024  # bytes of a zone, evidence or identity file

_TEXT: Final = "expertmail.verdict_view"  # rich is slow to load, and of no use with --json
_JSON: Final = "verifier.report_json"

_DNS_PORT: Final = 53
_MAX_PORT: Final = 65_535


class VerdictExit:
    """Exit codes of ``verify`` (the outside contract)."""

    PROVEN = 0  # genuine, with or without no-claim beside it
    FORGED = 1
    DOUBTFUL = 2  # unproven or authentic-unpinned
    NO_CLAIM = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """What the options say: the facts to judge by, and where DNS answers come from."""

    identities: tuple[Identity, ...]
    at: datetime
    evidence: Evidence
    session: Session | None
    supplied: tuple[str, ...]
    name_server: tuple[str, int] | None = None
    suffixes: PublicSuffixes | None = None


@dataclass(slots=True)
class JudgedMessage:
    """One judged message."""

    saved: SavedMessage
    report: Report
    evidence: Evidence = field(default_factory=Evidence)


def register(
    app: typer.Typer,
    identities: Callable[[], tuple[Identity, ...]] | None = None,
    usual_mode: Callable[[], str] | None = None,
) -> None:
    """Add the command; ``identities`` gives the protected ones where no ``--identity`` names a file.

    ``usual_mode`` gives the DMARC mode where no ``--dmarc-mode`` does.
    """

    @app.command("verify")
    def verify(
        paths: Annotated[
            list[str],
            typer.Argument(metavar="PATH", help="Files (.eml, mbox), folders, or - for standard input."),
        ],
        *,
        as_lines: Annotated[
            bool, typer.Option("--json", help="One JSON object per message, one a line.")
        ] = False,
        evidence: Annotated[
            Path | None,
            typer.Option(metavar="FILE", help="Use the DNS answers of this file only; no network."),
        ] = None,
        save_evidence: Annotated[
            Path | None,
            typer.Option(metavar="FILE", help="Write the DNS answers that were used to this file."),
        ] = None,
        zone: Annotated[
            Path | None, typer.Option(metavar="FILE", help="Use this RFC 1035 master file as the only DNS.")
        ] = None,
        resolver: Annotated[
            str | None, typer.Option(metavar="HOST[:PORT]", help="Ask this name server (an IP address).")
        ] = None,
        client_ip: Annotated[str | None, typer.Option(help="The computer that sent it, for SPF.")] = None,
        helo: Annotated[str | None, typer.Option(help="The name it gave in HELO or EHLO.")] = None,
        mail_from: Annotated[
            str | None, typer.Option(help="The envelope sender; empty for the empty one.")
        ] = None,
        at: Annotated[str | None, typer.Option(metavar="ISO-TIME", help="Judge as of this time.")] = None,
        identity: Annotated[
            Path | None,
            typer.Option(metavar="FILE", help="The protected identities (TOML); replaces the defaults."),
        ] = None,
        dmarc_mode: Annotated[
            DmarcMode | None,
            typer.Option(help="Evaluate DMARC by this RFC; the older one goes by the public suffix list."),
        ] = None,
        explain: Annotated[
            bool, typer.Option("--explain", help="Show every reason and every check.")
        ] = False,
    ) -> None:
        """Give the verdict on saved messages.

        Exit code: 1 if any is forged, else 2 if any is unproven or authentic-unpinned, else 0 if any is genuine,
        3 when none claims to be from a protected sender; 64 bad usage, 66 unreadable input. Attached messages
        count as well.
        """
        if evidence is not None and (zone is not None or resolver is not None):
            raise FaultError(
                "--evidence excludes --zone and --resolver: give one source of DNS.", ExitCode.USAGE
            )
        if zone is not None and resolver is not None:
            raise FaultError("--zone excludes --resolver: give one source of DNS.", ExitCode.USAGE)
        protected = _identities(identity) if identity is not None else (identities or default_identities)()
        plan = _plan(protected, evidence, zone, resolver, _session(client_ip, helo, mail_from), at)
        mode = dmarc_mode or (usual_mode() if usual_mode is not None else DmarcMode.RFC9989)
        plan = replace(plan, suffixes=suffixes_for(mode))
        outcomes, unreadable = _judge_all(paths, plan, _JSON if as_lines else _TEXT)
        if save_evidence is not None:
            _save(save_evidence, plan, [o.evidence for o in outcomes])
        _print(outcomes, as_lines=as_lines, explain=explain)
        for fault in unreadable:
            typer.echo(f"expertmail: {fault.sentence}", err=True)
        raise typer.Exit(int(ExitCode.NO_INPUT) if unreadable else exit_code(o.report for o in outcomes))


def exit_code(reports: Iterable[Report]) -> int:
    """The contract's exit code for a set of verdicts, attached messages included."""
    seen = {report.verdict for each in reports for report in _with_inner(each)}
    if Verdict.FORGED in seen:
        return VerdictExit.FORGED
    if seen & {Verdict.UNPROVEN, Verdict.AUTHENTIC_UNPINNED}:
        return VerdictExit.DOUBTFUL
    return VerdictExit.PROVEN if Verdict.GENUINE in seen else VerdictExit.NO_CLAIM


def _with_inner(report: Report) -> Iterator[Report]:
    yield report
    for inner in report.inner:
        yield from _with_inner(inner)


def _plan(  # noqa: PLR0917 - one argument for each option
    identities: tuple[Identity, ...],
    evidence: Path | None,
    zone: Path | None,
    resolver: str | None,
    session: Session | None,
    at: str | None,
) -> Plan:
    supplied: list[str] = []
    clock = _time(at) if at is not None else None
    known = Evidence()
    if evidence is not None:
        supplied.append("evidence")
        try:
            known, stored = read_evidence(_read(evidence))
        except EvidenceError as error:
            raise FaultError(f"{evidence}: {error}.", ExitCode.NO_INPUT) from None
        # What a second implementation said belongs to one message's bytes: it is asked anew.
        known = Evidence(known.answers, {}, known.absent, known.at)
        session = session or stored
        clock = clock or known.at
    elif zone is not None:
        supplied.append("evidence")
        try:
            known = read_zone(_read(zone).decode("utf-8", "surrogateescape"), str(zone)).evidence()
        except ZoneError as error:
            raise FaultError(f"{zone}: {error}.", ExitCode.NO_INPUT) from None
    if clock is not None:
        supplied.append("clock")
    if session is not None:
        supplied.append("session")
    server = _name_server(resolver) if resolver is not None else None
    return Plan(identities, clock or datetime.now(UTC), known, session, tuple(supplied), server)


def _judge_all(paths: list[str], plan: Plan, printer: str) -> tuple[list[JudgedMessage], list[FaultError]]:
    unreadable: list[FaultError] = []
    outcomes = asyncio.run(_judged(_each(paths, unreadable), plan, printer))
    return outcomes, unreadable


def _each(paths: list[str], unreadable: list[FaultError]) -> Iterator[SavedMessage]:
    """All messages of all paths; one that cannot be read does not keep the others from being judged."""
    for path in paths:
        try:
            yield from load(path, sys.stdin.buffer)
        except FaultError as fault:
            unreadable.append(fault)


async def _judged(messages: Iterator[SavedMessage], plan: Plan, printer: str) -> list[JudgedMessage]:
    """Judge them, and load meanwhile what will print them: a second opinion takes 0.1 s to start."""
    loading = asyncio.create_task(asyncio.to_thread(importlib.import_module, printer))
    outcomes = await _judged_only(messages, plan)
    await loading
    return outcomes


async def _judged_only(messages: Iterator[SavedMessage], plan: Plan) -> list[JudgedMessage]:
    outcomes: list[JudgedMessage] = []
    opinion = SecondOpinion()
    async with AsyncExitStack() as open_things:
        open_things.push_async_callback(opinion.close)
        asking: Resolves | None = None
        if plan.evidence.absent is Absent.ASK:
            from verifier.resolver import Resolver  # noqa: PLC0415 - it takes 50 ms to load, for DNS only

            servers = None if plan.name_server is None else (plan.name_server,)
            asking = await open_things.enter_async_context(Resolver(servers))
        while batch := list(islice(messages, MAX_SIDE_BY_SIDE)):
            outcomes += await asyncio.gather(*(_one(message, plan, asking, opinion) for message in batch))
    return outcomes


async def _one(
    saved: SavedMessage, plan: Plan, resolver: Resolves | None, opinion: SecondOpinion
) -> JudgedMessage:
    context = Context(
        plan.identities,
        plan.at,
        plan.session,
        "localhost",
        plan.supplied,
        suffixes=plan.suffixes,
        rebuilt=saved.rebuilt,
    )
    check = judge(read_message(saved.raw), context)
    report, used = await drive(check, plan.evidence, resolver, opinion, raw=saved.raw)
    return JudgedMessage(saved, report, used)


def _save(path: Path, plan: Plan, used: list[Evidence]) -> None:
    """Write what was used by all messages as one file; opinions stay out, they belong to one message each."""
    answers: dict[Question, Answer] = {}
    for evidence in used:
        answers.update(evidence.answers)
    none: Mapping[int, Opinion] = {}
    try:
        path.write_text(
            write_evidence(Evidence(answers, none, Absent.UNKNOWN, plan.at), plan.session), encoding="ascii"
        )
    except OSError as error:
        raise FaultError(f"Cannot write {path}: {error.strerror}.", ExitCode.CANNOT_CREATE) from None


def _print(outcomes: list[JudgedMessage], *, as_lines: bool, explain: bool) -> None:
    if as_lines:
        for outcome in outcomes:
            found = as_json(outcome.report, outcome.saved.file, explained=explain)
            found["notes"] = [{"code": note.value, "text": NOTE_TEXT[note]} for note in outcome.saved.notes]
            typer.echo(json.dumps(found))
        return
    from expertmail.verdict_view import show  # noqa: PLC0415 - loaded by now, if at all

    show([(o.saved, o.report) for o in outcomes], explain=explain)


def _session(client_ip: str | None, helo: str | None, mail_from: str | None) -> Session | None:
    if client_ip is None and helo is None and mail_from is None:
        return None
    if client_ip is not None:
        try:
            client_ip = str(ipaddress.ip_address(client_ip))
        except ValueError:
            raise FaultError(f"--client-ip: “{client_ip}” is no IP address.", ExitCode.USAGE) from None
    if mail_from is not None:
        mail_from = mail_from.strip()
        if mail_from.startswith("<") and mail_from.endswith(">"):
            mail_from = mail_from[1:-1]
    return Session(client_ip, helo, mail_from, origin=SessionOrigin.SUPPLIED)


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise FaultError(
            f"--at: “{text}” is no ISO time, such as 2026-11-25T10:00:00Z.", ExitCode.USAGE
        ) from None
    try:
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:
        raise FaultError(f"--at: “{text}” is out of range.", ExitCode.USAGE) from None


def _name_server(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if text.startswith("[") and "]" in text:
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or str(_DNS_PORT)
    elif not colon or ":" in host:  # a bare IPv4 or IPv6 address
        host, port = text, str(_DNS_PORT)
    try:
        address = str(ipaddress.ip_address(host))
        number = int(port)
    except ValueError:
        address, number = "", 0
    if not address or not 0 < number <= _MAX_PORT:
        raise FaultError(
            f"--resolver: “{text}” must be an IP address with an optional port, such as 192.0.2.1:53.",
            ExitCode.USAGE,
        )
    return address, number


def _identities(path: Path) -> tuple[Identity, ...]:
    try:
        return parse_identities(_read(path).decode("utf-8"))
    except UnicodeDecodeError:
        raise FaultError(f"{path} is not UTF-8 text.", ExitCode.NO_INPUT) from None
    except IdentityError as error:
        raise FaultError(f"{path}: {error}", ExitCode.NO_INPUT) from None


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_OPTION_FILE:
            raise FaultError(f"{path} is larger than {MAX_OPTION_FILE >> 20} MB.", ExitCode.NO_INPUT)
        return path.read_bytes()
    except OSError as error:
        raise FaultError(f"Cannot read {path}: {error.strerror}.", ExitCode.NO_INPUT) from None
