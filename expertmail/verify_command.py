"""``expertmail verify``: the verdict on saved messages, for a person or as one JSON object a line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import typer

from expertmail.default_identities import default_identities
from expertmail.dmarc_mode import suffixes_for
from expertmail.faults import ExitCode, FaultError
from expertmail.verdict_view import Row
from expertmail.verify_judging import Judged, Judging, Outcome, Piece, octets_of, pieces_of
from expertmail.verify_plan import Plan, identities_of, plan_of, session_of
from expertmail.verify_printing import OutputClosedError, printing, put, put_table
from expertmail.verify_progress import ProgressLine
from expertmail.worker_pool import Lost, WorkerPool
from verifier.evidence import Absent, Answer, Evidence, Question
from verifier.evidence_file import write_evidence
from verifier.identity import Identity
from verifier.report import DmarcMode, Verdict

MAX_SIDE_BY_SIDE: Final = 8  # messages judged at once where DNS is asked: they wait most of the time


class VerdictExit:
    """Exit codes of ``verify`` (the outside contract), and those that a shell gives for the two signals."""

    PROVEN = 0  # genuine, with or without no-claim beside it
    FORGED = 1
    DOUBTFUL = 2  # unproven or authentic-unpinned
    NO_CLAIM = 3
    INTERRUPTED = 130  # 1 would say "forged"
    OUTPUT_CLOSED = 141


@dataclass(slots=True)
class All:
    """What is kept of all messages until the end."""

    verdicts: set[Verdict] = field(default_factory=set)
    rows: list[Row] = field(default_factory=list)
    answers: dict[Question, Answer] = field(default_factory=dict)
    faults: list[FaultError] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """A fault of ours before a message that is not judged, and that before every verdict."""
        if self.faults:
            ours = any(fault.code is ExitCode.SOFTWARE for fault in self.faults)
            return int(ExitCode.SOFTWARE if ours else ExitCode.NO_INPUT)
        return exit_code(self.verdicts)


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
            typer.Argument(metavar="PATH", help="Files (.eml, mbox, .msg), folders, or - for standard input."),
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
        mode = dmarc_mode or (usual_mode() if usual_mode is not None else DmarcMode.RFC9989)
        plan = plan_of(
            identities_of(identity) if identity is not None else (identities or default_identities)(),
            evidence,
            zone,
            resolver,
            session_of(client_ip, helo, mail_from),
            at,
            suffixes_for(mode),
        )
        try:
            all_of_them = _judge_all(
                paths, Judging(plan, printing(as_lines=as_lines, explain=explain), save_evidence is not None)
            )
        except KeyboardInterrupt:
            typer.echo("expertmail: Stopped.", err=True)
            raise typer.Exit(VerdictExit.INTERRUPTED) from None
        except OutputClosedError:
            raise typer.Exit(VerdictExit.OUTPUT_CLOSED) from None
        if save_evidence is not None:
            _save(save_evidence, plan, all_of_them.answers)
        for fault in all_of_them.faults:
            typer.echo(f"expertmail: {fault.sentence}", err=True)
        raise typer.Exit(all_of_them.exit_code)


def exit_code(verdicts: AbstractSet[Verdict]) -> int:
    """The contract's exit code for a set of verdicts, attached messages included."""
    if Verdict.FORGED in verdicts:
        return VerdictExit.FORGED
    if verdicts & {Verdict.UNPROVEN, Verdict.AUTHENTIC_UNPINNED}:
        return VerdictExit.DOUBTFUL
    return VerdictExit.PROVEN if Verdict.GENUINE in verdicts else VerdictExit.NO_CLAIM


def _judge_all(paths: list[str], judging: Judging) -> All:
    """Judge and print in order, message by message."""
    found = All()
    progress = ProgressLine(lambda: octets_of(paths))
    count = MAX_SIDE_BY_SIDE if judging.plan.asks else _cores()
    with WorkerPool[Piece, list[Outcome]](judging, count) as pool:
        try:
            for piece, made in pool.in_order(pieces_of(paths, sys.stdin.buffer, found.faults)):
                outcomes = _lost(piece, made) if isinstance(made, Lost) else made
                for outcome in outcomes:
                    if isinstance(outcome, FaultError):
                        found.faults.append(outcome)
                        continue
                    progress.clear()
                    put(outcome.text)
                    _note(outcome, found, judging)
                progress.done(piece.octets)
        finally:
            progress.clear()
    put_table(found.rows, judging.printing)
    return found


def _note(judged: Judged, found: All, judging: Judging) -> None:
    found.answers.update(judged.answers)
    found.verdicts.update(judged.verdicts)
    if not judging.printing.as_lines:
        found.rows.append(Row(judged.verdicts[0], judged.author, judged.file))


def _lost(piece: Piece, lost: Lost) -> list[Outcome]:
    return [FaultError(f"{piece.file} {lost.words}.", lost.fault)]


def _cores() -> int:
    """Those that we may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _save(path: Path, plan: Plan, answers: dict[Question, Answer]) -> None:
    """Write what was used by all messages as one file; opinions stay out, they belong to one message each."""
    try:
        path.write_text(
            write_evidence(Evidence(answers, {}, Absent.UNKNOWN, plan.at), plan.session), encoding="ascii"
        )
    except OSError as error:
        raise FaultError(f"Cannot write {path}: {error.strerror}.", ExitCode.CANNOT_CREATE) from None
