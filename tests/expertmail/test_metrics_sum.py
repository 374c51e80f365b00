"""One page for several processes: counters add up, also those of the dead, and gauges are of the living."""

from __future__ import annotations

import re

import pytest

from expertmail.metrics import Metrics
from expertmail.metrics_sum import added, what_stays
from expertmail.smtp_workers import LONGEST_PAUSE_SECONDS, next_pause


def worked(messages: int, sessions: int) -> Metrics:
    made = Metrics()
    for _ in range(messages):
        made.messages.labels(outcome="filed", verdict="genuine").inc()
        made.seconds.observe(0.003)
    made.connections.set(sessions)
    return made


def values(metrics: Metrics) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in re.findall(r"^(\S+?(?:\{.*\})?) (\S+)$", metrics.page().decode(), re.MULTILINE)
        if not name.startswith("#")
    }


FILED = 'expertmail_messages_total{outcome="filed",verdict="genuine"}'


def test_counts_of_all_processes_are_summed_sample_by_sample() -> None:
    shown, first, second = Metrics(), worked(3, 2), worked(4, 1)
    second.refusals.labels(code="550").inc()
    shown.add_others(lambda: added((first.counts(), second.counts())))
    page = values(shown)
    assert page[FILED] == 7
    assert page["expertmail_smtp_connections"] == 3
    assert page["expertmail_intake_seconds_count"] == 7
    assert page['expertmail_intake_seconds_bucket{le="0.0025"}'] == 0
    assert page['expertmail_intake_seconds_bucket{le="0.005"}'] == 7
    assert page['expertmail_refusals_total{code="550"}'] == 1
    created = "expertmail_intake_seconds_created"
    assert page[created] == min(values(one)[created] for one in (Metrics(), first, second, shown)[1:])


def test_a_page_without_other_processes_is_what_this_one_counted() -> None:
    page = worked(2, 1).page().decode()
    assert page.count("# TYPE expertmail_messages_total counter") == 1
    assert page.count("# HELP expertmail_intake_seconds From the last byte") == 1
    assert f"{FILED} 2.0" in page


def test_of_a_process_that_ended_its_counters_stay_and_its_gauges_go() -> None:
    shown, dead = Metrics(), worked(5, 9)
    shown.add_others(lambda: what_stays(dead.counts()))
    page = values(shown)
    assert (page[FILED], page["expertmail_smtp_connections"]) == (5, 0)


@pytest.mark.parametrize(
    ("last", "lived", "pause"),
    [
        (0, 0.1, 1),
        (1, 0.1, 2),
        (2, 59, 4),
        (16, 0, LONGEST_PAUSE_SECONDS),
        (LONGEST_PAUSE_SECONDS, 0, LONGEST_PAUSE_SECONDS),
        (LONGEST_PAUSE_SECONDS, 60, 1),
    ],
)
def test_a_worker_that_dies_again_and_again_is_started_ever_more_seldom(
    last: float, lived: float, pause: float
) -> None:
    assert next_pause(last, lived) == pause
