"""What the kit measured of a server, and what is held to account: values only."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

CONNECTIONS: Final = (20, 64)
AIM: Final = 1.5  # times the best peer's messages a second
GOAL_P99: Final = 50.0  # milliseconds, at 20 connections
GOAL_PSS: Final = 250.0  # MB, all processes


@dataclass(frozen=True, slots=True)
class Pace:
    """Messages a second, CPU in microseconds a message, milliseconds from MAIL to the final reply.

    ``others``: cores that the rest of the machine took meanwhile.
    """

    rate: float
    low: float
    high: float
    cpu: float
    p50: float
    p99: float
    others: float


@dataclass(frozen=True, slots=True)
class Figures:
    """One server: its pace at each of ``CONNECTIONS``, MB/s of 1 MB messages, MB of PSS, messages not accepted."""

    name: str
    paces: tuple[Pace, ...]
    big: float
    pss: float
    refused: int


def figures_of(name: str, told: Mapping[str, Any]) -> Figures:
    """Read the JSON of one run of the kit. Raises KeyError where something was not measured."""
    speed = told["speed"]
    runs = [speed[f"c{connections}"] for connections in CONNECTIONS]
    return Figures(
        name,
        tuple(
            Pace(
                run["msg_per_s"],
                run["min"],
                run["max"],
                run["server_cpu_us_per_msg"],
                run["txn_ms"]["p50"],
                run["txn_ms"]["p99"],
                run["other_cores"],
            )
            for run in runs
        ),
        speed["big_c8"]["MB_per_s"],
        max(speed["memory_after_small"]["pss_MB"], speed["memory_after_big"]["pss_MB"]),
        sum(run["answered"] - run["accepted"] for run in (*runs, speed["big_c8"])),
    )


def middle(turns: Sequence[Figures]) -> Figures:
    """Medians of one server's turns; of the memory and of what was refused the most. Raises ValueError for no turns."""
    if not turns:
        raise ValueError("there is no turn to take the median of")
    return Figures(
        turns[0].name,
        tuple(
            Pace(
                statistics.median(pace.rate for pace in paces),
                min(pace.low for pace in paces),
                max(pace.high for pace in paces),
                statistics.median(pace.cpu for pace in paces),
                statistics.median(pace.p50 for pace in paces),
                statistics.median(pace.p99 for pace in paces),
                max(pace.others for pace in paces),
            )
            for paces in zip(*(turn.paces for turn in turns), strict=True)
        ),
        statistics.median(turn.big for turn in turns),
        max(turn.pss for turn in turns),
        max(turn.refused for turn in turns),
    )


def goals_of(ours: Figures, peers: Sequence[Figures]) -> Iterator[tuple[str, bool]]:
    """What was measured beside what is wanted, and whether that is reached; the best peer stands for all."""
    for at, connections in enumerate(CONNECTIONS):
        if peers:
            best = max(peers, key=lambda peer: peer.paces[at].rate)
            ratio = ours.paces[at].rate / best.paces[at].rate
            text = f"intake at {connections} connections is {ratio:.2f} times as fast as {best.name}"
            yield f"{text}, not ahead", ratio > 1
            yield f"{text}, not {AIM} times", ratio >= AIM
    p99 = ours.paces[CONNECTIONS.index(20)].p99
    yield f"p99 at 20 connections is {p99:.1f} ms, not {GOAL_P99:.0f} ms", p99 <= GOAL_P99
    if peers:
        best = max(peers, key=lambda peer: peer.big)
        text = f"messages of 1 MB go at {ours.big:.0f} MB/s, {best.name} at {best.big:.0f} MB/s: not ahead"
        yield text, ours.big > best.big
    text = f"all processes together have {ours.pss:.0f} MB (PSS), not under {GOAL_PSS:.0f} MB"
    yield text, ours.pss < GOAL_PSS


HEADINGS: Final = (
    "server",
    *(f"msg/s at {connections} (min..max)" for connections in CONNECTIONS),
    *(f"CPU µs at {connections}" for connections in CONNECTIONS),
    *(f"p50/p99 ms at {connections}" for connections in CONNECTIONS),
    "1 MB, MB/s",
    "PSS MB",
    "others' cores",
)


def cells(one: Figures) -> tuple[str, ...]:
    """The row of a table under ``HEADINGS``."""
    return (
        one.name + (f" ({one.refused} refused)" if one.refused else ""),
        *(f"{pace.rate:,.0f} ({pace.low:,.0f}..{pace.high:,.0f})" for pace in one.paces),
        *(f"{pace.cpu:,.0f}" for pace in one.paces),
        *(f"{pace.p50:.1f}/{pace.p99:.1f}" for pace in one.paces),
        f"{one.big:.1f}",
        f"{one.pss:.0f}",
        "/".join(f"{pace.others:.2f}" for pace in one.paces),
    )
