"""What the gateway tells its observer reaches the metrics, and whoever waits for orders."""

from __future__ import annotations

from expertmail.metrics import Metrics
from expertmail.watching import GatewayWatch


def test_a_copy_that_was_taken_wakes_the_delivery_and_a_refused_message_does_not() -> None:
    woken: list[str] = []
    watch = GatewayWatch(Metrics(), lambda: woken.append("woken"))
    watch.rejected(550)
    watch.deferred(451)
    assert woken == []
    watch.accepted("filed", "genuine", 0.1)
    assert woken == ["woken"]
