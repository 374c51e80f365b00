"""``python -m bench``: the verifier against its peers, then durable intake by the running gateway.

FULL=1 measures longer. Exit 1 when the verifier misses its goal under FULL=1, or an acknowledged message is not
stored exactly once, however short the run.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sys

from bench.intake import LONG_RUN, SHORT_RUN, Intake, measure
from expertmail.bench_command import show
from expertmail.verifier_bench import FULL, SHORT, compare


def main() -> int:
    full = bool(os.environ.get("FULL"))
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {'full' if full else 'short'} run\n")
    print("The verifier alone")
    rows = compare(FULL if full else SHORT)
    show(rows)
    print("\nDurable intake by the gateway")
    intake = asyncio.run(measure(LONG_RUN if full else SHORT_RUN))
    tell(intake)
    missed = [row for row in rows if not row.met]
    for row in missed:
        print(
            f"\nGoal missed: {row.what} of {row.size} is {row.ratio:.1f} times as fast, not {row.goal:.0f}."
        )
    if not missed:
        print("\nGoal met.")
    return 1 if intake.faults or (full and missed) else 0


def tell(intake: Intake) -> None:
    print(
        f"{intake.connections} connections, {intake.octets / 1000:.1f} KB signed messages, pipelining, one gateway process;"
    )
    print(
        "SPF, DKIM, DMARC, claims, matching and filing on; SQLite with synchronous=FULL, DNS from loopback."
    )
    print(f"  {intake.rate:,.0f} messages/s over {intake.messages} messages ({intake.seconds:.1f} s)")
    print(f"  from MAIL to the final reply: p50 {intake.p50 * 1000:.1f} ms, p99 {intake.p99 * 1000:.1f} ms")
    print(f"  CPU of the gateway: {intake.cpu * 1e6:,.0f} µs a message")
    print(
        f"  filed on the incident: {intake.filed}; stored exactly once: {'no' if intake.faults else 'yes, all'}"
    )
    for fault in intake.faults:
        print(f"  FAULT: {fault}")


if __name__ == "__main__":
    sys.exit(main())
