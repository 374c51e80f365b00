"""Verdicts for a person at a terminal. What the message says is shown without control characters, never as markup."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from expertmail.saved_messages import NOTE_TEXT, SavedMessage
from verifier.explanation import explain as explained
from verifier.report import AuthResult, DkimResult, Effect, Report, Verdict

_STYLES: Final = {
    Verdict.GENUINE: "bold green",
    Verdict.AUTHENTIC_UNPINNED: "bold yellow",
    Verdict.UNPROVEN: "bold yellow",
    Verdict.FORGED: "bold red",
    Verdict.NO_CLAIM: "bold",
}
_SIGNS: Final = {Effect.PROVES: "+", Effect.CONTRADICTS: "!", Effect.WEAKENS: "-", Effect.INFORMS: " "}
_STRONG: Final = (Effect.PROVES, Effect.CONTRADICTS, Effect.WEAKENS)
MAX_SHOWN: Final = 300  # characters of one text from a message


def show(judged: list[tuple[SavedMessage, Report]], *, explain: bool) -> None:
    """Print to standard output: each message with its sentence, and a table of all where there are several."""
    console = Console(highlight=False, soft_wrap=True)
    for saved, report in judged:
        _message(console, saved.file, report, saved, explain=explain)
    if len(judged) > 1:
        table = Table("verdict")
        for title in ("author", "file"):
            table.add_column(title, overflow="fold")
        for saved, report in judged:
            author = report.author.address if report.author else "(none that can be read)"
            table.add_row(
                Text(report.verdict.value, _STYLES[report.verdict]),
                Text(plain(author)),
                Text(plain(saved.file)),
            )
        console.print(table)


def plain(text: str) -> str:
    """A text from a message, safe to print: no control, bidi or other unprintable characters."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:MAX_SHOWN])
    return shown if len(text) <= MAX_SHOWN else f"{shown} …"


def _message(
    console: Console, name: str, report: Report, saved: SavedMessage | None, *, explain: bool
) -> None:
    console.print(Text.assemble((report.verdict.value.upper(), _STYLES[report.verdict]), f"  {plain(name)}"))
    console.print(Text(f"  {plain(report.sentence)}"))
    if report.author is not None:
        display = f" ({plain(report.author.display)})" if report.author.display else ""
        console.print(Text(f"  author: {plain(report.author.address)}{display}"))
    for reason in report.reasons:
        if explain or reason.effect in _STRONG:
            rfc = f" [{reason.code}; {reason.rfc}]" if explain and reason.rfc else f" [{reason.code}]"
            console.print(Text(f"  {_SIGNS[reason.effect]} {plain(reason.text)}{rfc}"))
            if explain and reason.evidence:
                console.print(Text(f"      evidence: {plain(reason.evidence)}"))
    for note in saved.notes if saved is not None else ():
        console.print(Text(f"  note: {NOTE_TEXT[note]}"))
    if explain:
        for line in (*_explained(report), *(f"  {check}" for check in _checks(report))):
            console.print(Text(f"  {line}"))
    for number, inner in enumerate(report.inner, 1):
        _message(console, f"{name}, attached message {number}", inner, None, explain=explain)
    console.print()


def _explained(report: Report) -> Iterator[str]:
    told = explained(report)
    yield "who answers for it:"
    width = max(len(link.who or "-") for link in told.chain)
    for link in told.chain:
        yield plain(f"  {link.what:<11}  {link.who or '-':<{min(width, 40)}}  {link.finding}")
    yield "what would change this verdict:"
    yield from (plain(f"  - {text}") for text in told.would_change)
    yield "what to do now:"
    yield from (plain(f"  - {text}") for text in told.do_now)
    yield "checks:"


def _checks(report: Report) -> Iterator[str]:
    for result in report.dkim:
        yield plain(
            f"dkim {result.position + 1}: {result.result}{_why(result)}, d={result.domain} s={result.selector}"
        )
        if result.signed:
            yield plain(f"  signed: {', '.join(result.signed)}")
        if result.oversigned:
            yield plain(f"  protected against additions: {', '.join(result.oversigned)}")
        if result.unsigned:
            yield plain(f"  not signed, so not proven: {', '.join(result.unsigned)}")
    if not report.dkim:
        yield "dkim: none"
    spf = report.spf
    yield plain(
        f"spf: {spf.result}" + (f", {spf.scope} {spf.domain} from {spf.client_ip}" if spf.domain else "")
    )
    dmarc = report.dmarc
    aligned = f", aligned by {' and '.join(dmarc.aligned_by)}" if dmarc.aligned_by else ""
    why = f" ({dmarc.reason})" if dmarc.reason else ""
    yield plain(f"dmarc: {dmarc.result}{why}{aligned}")
    if dmarc.policy:
        yield plain(f"  for mail that fails {dmarc.policy_domain} asks receivers for: {dmarc.policy}")
    yield plain(f"arc: {report.arc.result}" + (f" ({report.arc.reason})" if report.arc.reason else ""))
    for hop in report.arc.hops:
        says = f", says dmarc={hop.dmarc}" if hop.dmarc else ""
        says += f" of {hop.author_domain}" if hop.dmarc and hop.author_domain else ""
        yield plain(
            f"  hop {hop.instance}: {hop.domain}, seal {hop.seal}, message {hop.message}, chain before {hop.status}{says}"
        )
    if report.supplied:
        yield plain(f"supplied, not seen by us: {', '.join(report.supplied)}")


def _why(result: DkimResult) -> str:
    words = [w for w in (result.reason, *result.weaknesses) if w]
    if result.result is AuthResult.PASS:
        words += [
            "aligned" if result.aligned else "not aligned",
            *(() if result.acceptable else ("not accepted",)),
        ]
    return f" ({', '.join(words)})" if words else ""
