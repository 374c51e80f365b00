"""``python -m bench``: the verifier against its peers, then durable intake by the gateway, alone and beside others.

mailauth is compared where it is installed (``npm install --prefix bench mailauth@7 node@22``), other gateways where
there is a benchmark kit (``bench.kit``). FULL=1 measures longer. ONLY=gateways measures beside other gateways alone.
Exit 1 when a goal is missed under FULL=1, or an acknowledged message is not stored exactly once, however short the run.
"""

from __future__ import annotations

import asyncio
import os
import platform
import signal
import sys
from collections.abc import Iterator
from types import FrameType

from bench import cases, commands, console, gateways, kit, mailauth, outgoing, reply_extraction, scale, whole
from bench.intake import CASES, LONG_RUN, SHORT_RUN, Intake, measure
from bench.peer_figures import HEADINGS, cells, goals_of
from expertmail.bench_command import show
from expertmail.build_form import build_form
from expertmail.tables import show_table
from expertmail.verifier_bench import FULL, SHORT, Row, compare


def main() -> int:
    # As Ctrl-C, which a shell has ignored by what it starts in the background: what was started is stopped on the way out.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _stop)
    try:
        return run()
    except KeyboardInterrupt:
        print("\nStopped; nothing is left behind.")
        return 130


def _stop(_number: int, _frame: FrameType | None) -> None:
    os.kill(os.getpid(), signal.SIGINT)  # asyncio.run cancels its work on this one


def run() -> int:
    full = bool(os.environ.get("FULL"))
    machine = f"Python {platform.python_version()}, {os.cpu_count()} CPUs, the verifier as {build_form()}"
    print(f"{machine}, {'full' if full else 'short'} run\n")
    goals: list[Goal] = []
    faulty = False
    if os.environ.get("ONLY") != "gateways":
        goals, faulty = alone(full=full)
    print("\nDurable intake on two processes, beside other gateways")
    if (why := kit.missing()) is not None:
        print(f"  Not measured: {why}.")
    else:
        try:
            found = gateways.compare(gateways.LONG_RUN if full else gateways.SHORT_RUN, again=full)
        except kit.KitError as error:
            print(f"  FAULT: {error}")
            faulty = True
        else:
            side_by_side(found)
            goals += goals_of(found.ours, found.peers)
            faulty = faulty or bool(found.faults)
    missed = [text for text, met in goals if not met]
    print()
    for text in missed:
        print(f"Goal missed: {text}.")
    print(f"{len(goals) - len(missed)} of {len(goals)} goals met.")
    return 1 if faulty or (full and missed) else 0


def alone(*, full: bool) -> tuple[list[Goal], bool]:
    """The verifier, the commands and the gateway on one process: their goals, and whether intake was at fault."""
    print("The verifier alone")
    rows = compare(FULL if full else SHORT)
    show(rows)
    verdicts = whole.compare(FULL if full else SHORT)
    beside(verdicts)
    scores("The corpus", cases.score(20 if full else 4))
    scores("The kept files", cases.score_kept())
    by_hand = commands.measure(commands.LONG_RUN if full else commands.SHORT_RUN)
    started(by_hand)
    print("\nDurable intake by the gateway")
    size = LONG_RUN if full else SHORT_RUN
    faulty = False
    for case in CASES:
        intake = asyncio.run(measure(size, case))
        if case is CASES[0]:
            introduce(intake)
        tell(case.name, intake)
        faulty = faulty or bool(intake.faults)
    goals = [*(goal for row in rows if (goal := of_row(row))), *of_verdicts(verdicts), *of_commands(by_hand)]
    goals += scale.report(full=full)
    goals += outgoing.report(full=full)
    goals += console.report(full=full)
    print()
    reply_extraction.main()
    return goals, faulty


Goal = tuple[str, bool]
"""What was measured beside what is wanted, and whether that is reached."""


def of_row(row: Row) -> Goal | None:
    if row.goal is None:
        return None
    return (
        f"{row.what}, of {row.size} is {row.ratio:.1f} times as fast as {row.peer_name}, not {row.goal:.0f}",
        row.met,
    )


def of_verdicts(rows: list[whole.Whole]) -> Iterator[Goal]:
    for row in rows:
        if row.peer is not None:
            ratio = row.peer / row.ours
            text = f"the verdict on {row.size} is {ratio:.1f} times as fast as mailauth, not {whole.GOAL:.0f}"
            yield text, ratio >= whole.GOAL


def of_commands(found: commands.Commands) -> Iterator[Goal]:
    for seconds in (found.unclaimed, found.claimed):
        text = f"one message from a cold process took {seconds:.2f} s, not {commands.GOAL_COLD} s"
        yield text, seconds <= commands.GOAL_COLD
    text = f"a folder went at {found.folder:,.0f} messages a second, not {commands.GOAL_FOLDER:,}"
    yield text, found.folder >= commands.GOAL_FOLDER


def beside(rows: list[whole.Whole]) -> None:
    print("\nThe whole verdict on a message that claims nothing: SPF, DKIM, DMARC, claims (wall time)")
    for row in rows:
        line = f"  {row.size}: {row.ours:,.0f} µs, {row.ours / row.floor:.1f} times the floor of {row.floor:,.0f} µs"
        if row.peer is not None:
            line += f"; mailauth {row.peer:,.0f} µs, so {row.peer / row.ours:.1f} times as fast (goal {whole.GOAL:.0f})"
        print(line)
        print(
            f"  {'':<{len(row.size)}}  {row.claimed:,.0f} µs where its sender is protected: dkimpy's second opinion is in it"
        )
    print("  The floor is one RSA-2048 check and one SHA-256 of the message by OpenSSL.")
    if (why := mailauth.missing()) is not None:
        print(f"  Not compared with mailauth: {why}")


def scores(what: str, rows: list[cases.Score]) -> None:
    print(f"\n{what}: what each takes for a message of the protected sender's")
    for row in rows:
        print(
            f"  {row.name:<16} genuine {row.genuine} of {row.of_genuine}, attacks {row.attacks} of {row.of_attacks}"
        )
        for kind in row.kinds:
            print(f"  {'':<16} - {kind}")


def started(found: commands.Commands) -> None:
    print("\nThe command, from a cold process (wall time)")
    for what, seconds in (
        ("one message that claims nothing", found.unclaimed),
        ("one claimed message", found.claimed),
    ):
        print(f"  {what}: {seconds:.2f} s (goal {commands.GOAL_COLD} s)")
    print(
        f"  a folder of {found.messages:,} messages: {found.folder:,.0f} messages/s (goal {commands.GOAL_FOLDER:,})"
    )


def introduce(intake: Intake) -> None:
    print(
        f"{intake.connections} connections, {intake.octets / 1000:.1f} KB signed messages, pipelining, one gateway process;"
    )
    print(
        "SPF, DKIM, DMARC, claims, matching and filing on; SQLite with synchronous=FULL, DNS from loopback."
    )


def tell(name: str, intake: Intake) -> None:
    print(f"Mail of {name}:")
    print(f"  {intake.rate:,.0f} messages/s over {intake.messages} messages ({intake.seconds:.1f} s)")
    print(f"  from MAIL to the final reply: p50 {intake.p50 * 1000:.1f} ms, p99 {intake.p99 * 1000:.1f} ms")
    print(f"  CPU of the gateway: {intake.cpu * 1e6:,.0f} µs a message")
    print(f"  stored exactly once, where it belongs: {'no' if intake.faults else 'yes, all'}")
    for fault in intake.faults:
        print(f"  FAULT: {fault}")


def side_by_side(found: gateways.Comparison) -> None:
    print("The same client, signed messages of 5 KB and zone for all, each message another one; medians.")
    print(f"Measured one after the other: {', '.join(found.order)}.")
    show_table(HEADINGS, [cells(one) for one in (found.ours, *found.peers)], "Nothing was measured.")
    for name, why in found.absent.items():
        print(f"  Not measured: {name}: {why}")
    print(f"  {found.stored:,} messages, verdicts and evidence sets are on record with us for as many 250s,")
    print(f"  each once, by its hash: {'no' if found.faults else 'yes, all'}")
    for fault in found.faults:
        print(f"  FAULT: {fault}")


if __name__ == "__main__":
    sys.exit(main())
