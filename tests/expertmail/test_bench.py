"""The benchmark measures what it says, on few messages; how fast things are is not asserted here."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest
import spf

from bench.intake import CASES, CONNECTIONS, Case, Run, measure
from expertmail.verifier_bench import GOAL, GOAL_DKIM, Effort, Row, compare, material


@pytest.fixture(scope="module")
def rows() -> tuple[Row, ...]:
    return compare(Effort(small=4, big=1, rounds=1))


def test_dkim_with_dmarc_spf_and_the_whole_verdict_are_measured_apart(rows: tuple[Row, ...]) -> None:
    assert [(row.what, row.size) for row in rows] == [
        ("DKIM, in batches", "5 KB"),
        ("DKIM, in batches", "1 MB"),
        ("DKIM, in turns", "5 KB"),
        ("DKIM and DMARC, in batches", "5 KB"),
        ("DKIM and DMARC, in batches", "1 MB"),
        ("DKIM and DMARC, in turns", "5 KB"),
        ("DKIM and DMARC, in turns", "1 MB"),
        ("SPF, one ip4", "5 KB"),
        ("SPF, two includes, mx, a", "5 KB"),
        ("whole verdict", "5 KB"),
        ("whole verdict", "1 MB"),
    ]
    assert all(row.ours > 0 and row.peer > 0 for row in rows)


def test_only_dkim_in_batches_has_a_goal(rows: tuple[Row, ...]) -> None:
    assert [row.goal for row in rows] == [
        GOAL_DKIM, GOAL_DKIM, None, GOAL, GOAL, None, None, None, None, None, None
    ]  # fmt: skip
    assert not Row("DKIM and DMARC", "5 KB", 100.0, 499.0, "peer", GOAL).met
    assert Row("DKIM and DMARC", "5 KB", 100.0, 500.0, "peer", GOAL).met


def test_every_message_is_another_one_of_the_size_that_is_told() -> None:
    stuff = material(Effort(small=5, big=2, rounds=1))
    assert len({*stuff.small, *stuff.big}) == 7
    assert all(4_900 < len(raw) < 5_700 for raw in stuff.small)
    assert all(990_000 < len(raw) < 1_020_000 for raw in stuff.big)


def test_our_spf_hook_is_back_in_place_after_the_peer_was_measured(rows: tuple[Row, ...]) -> None:
    assert rows
    assert spf.DNSLookup.__module__ == "verifier.spf"


@pytest.mark.slow
def test_the_installed_command_prints_json() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "expertmail", "bench", "--json"], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    assert all(row["ours_us"] > 0 and row["ratio"] > 0 for row in json.loads(told.stdout))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_acknowledged_message_is_found_stored_once_and_where_it_belongs(case: Case) -> None:
    intake = asyncio.run(measure(Run(40), case))
    assert intake.faults == ()
    assert (intake.messages, intake.connections) == (40, CONNECTIONS)
    assert intake.cpu > 0
