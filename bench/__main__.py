"""``python -m bench``: the verifier against its peers, then durable intake by the running gateway.

mailauth is compared where it is installed (``npm install --prefix bench mailauth@7 node@22``). FULL=1 measures
longer. Exit 1 when the verifier misses its goal against dkimpy under FULL=1, or an acknowledged message is not stored
exactly once, however short the run.
"""

from __future__ import annotations

import asyncio
import os
import platform
import signal
import sys
from types import FrameType

from bench import cases, commands, mailauth, whole
from bench.intake import CASES, LONG_RUN, SHORT_RUN, Intake, measure
from expertmail.bench_command import show
from expertmail.build_form import build_form
from expertmail.verifier_bench import FULL, SHORT, compare


def main() -> int:
    # As Ctrl-C: what was started is stopped on the way out.
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
    print("The verifier alone")
    rows = compare(FULL if full else SHORT)
    show(rows)
    beside(whole.compare(FULL if full else SHORT))
    scores("The corpus", cases.score(20 if full else 4))
    scores("The kept files", cases.score_kept())
    started(commands.measure(commands.LONG_RUN if full else commands.SHORT_RUN))
    print("\nDurable intake by the gateway")
    size = LONG_RUN if full else SHORT_RUN
    faulty = False
    for case in CASES:
        intake = asyncio.run(measure(size, case))
        if case is CASES[0]:
            introduce(intake)
        tell(case.name, intake)
        faulty = faulty or bool(intake.faults)
    missed = [row for row in rows if not row.met]
    for row in missed:
        print(
            f"\nGoal missed: {row.what}, of {row.size} is {row.ratio:.1f} times as fast, not {row.goal:.0f}."
        )
    if not missed:
        print("\nGoal met.")
    return 1 if faulty or (full and missed) else 0


def beside(rows: list[whole.Whole]) -> None:
    print("\nThe whole verdict on a message that claims nothing: SPF, DKIM, DMARC, claims (wall time)")
    for row in rows:
        line = f"  {row.size}: {row.ours:,.0f} µs, {row.ours / row.floor:.1f} times the floor of {row.floor:,.0f} µs"
        if row.peer is not None:
            line += f"; mailauth {row.peer:,.0f} µs, so {row.peer / row.ours:.1f} times as fast (goal {whole.GOAL:.0f})"
        print(line)
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


if __name__ == "__main__":
    sys.exit(main())
